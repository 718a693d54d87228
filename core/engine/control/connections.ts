/**
 * Accepts connections to the control socket, serves them in turns, and closes them.
 *
 * @module
 */

import type { Now } from "../../protocol/clock.ts";
import { type ControlSocket, type ControlStream, isRefusal, type StreamInterest } from "../doors.ts";
import { Connection, type ConnectionState, type Respond } from "./connection.ts";

/** The maximum number of connections. More wait until one ends or can be closed. */
export const MAX_CONNECTIONS = 64;
/** Milliseconds after which a connection without a request is closed if others wait. */
export const SILENCE = 1_000;
/** Milliseconds until the next attempt to accept a connection, after the system had no resources for one. */
const ACCEPT_PAUSE = 1_000;
/** Bytes read in one turn. */
const READ_BUFFER = 65_536;

/** What to wait for on its stream. Nothing if it is working or has ended. */
const INTERESTS: Readonly<Record<ConnectionState, StreamInterest>> = {
  receiving: "reading",
  sending: "writing",
  working: "nothing",
  over: "nothing",
};

/** A connection's stream, and when its program last sent something, in milliseconds on `Now.boot`. */
interface OpenConnection {
  readonly stream: ControlStream;
  heardAt: number;
}

/** All connections to one control socket. */
export class Connections {
  readonly #open = new Map<Connection, OpenConnection>();
  /** Those that have a step in every turn. */
  readonly #working = new Set<Connection>();
  readonly #buffer = new Uint8Array(READ_BUFFER);
  #acceptAgainAt = Infinity;
  /** Whether the system had no resources for the last waiting connection. */
  #refused = false;

  /**
   * @param respond Answers a request.
   * @param now The time; the same object in each turn.
   * @param log Called when connections have to wait.
   */
  constructor(
    readonly socket: ControlSocket,
    readonly respond: Respond,
    readonly now: Now,
    readonly log: (message: string) => void,
  ) {}

  /** How many there are. */
  get count(): number {
    return this.#open.size;
  }

  /** When to call `turn`, in milliseconds on `Now.boot`. */
  get nextDeadline(): number {
    return this.#acceptAgainAt;
  }

  /** Accepts connections from now on. @param deleted Called when the control socket is deleted. */
  watch(deleted: () => void): void {
    this.socket.watch({ waiting: () => this.#accept(), deleted });
  }

  /** Continues changes that are being applied. @returns Whether there is more to do. */
  turn(): boolean {
    if (this.#acceptAgainAt <= this.now.boot) this.#acceptAgain();
    for (const connection of this.#working) this.#serve(connection);
    return this.#working.size > 0;
  }

  /** Closes all connections and the control socket. */
  close(): void {
    for (const [connection, { stream }] of this.#open) {
      connection.end();
      stream.close();
    }
    this.#open.clear();
    this.#working.clear();
    this.socket.close();
  }

  #accept(): void {
    for (;;) {
      const full = this.#open.size >= MAX_CONNECTIONS;
      const silent = full ? this.#silentLongest() : undefined;
      const waitsUntil = silent ? silent.heardAt + SILENCE : Infinity;
      if (full && waitsUntil > this.now.boot) {
        this.#acceptAgainAt = waitsUntil;
        break;
      }
      let stream: ControlStream | null;
      try {
        stream = this.socket.accept();
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.#acceptLater(error.message);
        return;
      }
      if (stream === null) return;
      this.#refused = false;
      if (silent) this.#hangUp(silent.connection);
      this.#begin(stream);
    }
    this.socket.listen(false);
  }

  /** The connection without a request that has been silent longest. */
  #silentLongest(): { connection: Connection; heardAt: number } | undefined {
    let [found, heardAt]: [Connection | undefined, number] = [undefined, Infinity];
    for (const [connection, open] of this.#open) {
      if (connection.isSilent && open.heardAt < heardAt) [found, heardAt] = [connection, open.heardAt];
    }
    return found && { connection: found, heardAt };
  }

  #hangUp(connection: Connection): void {
    connection.end();
    this.#working.delete(connection);
    this.#open.get(connection)!.stream.close();
    this.#open.delete(connection);
  }

  #begin(stream: ControlStream): void {
    const connection = new Connection(stream, this.respond);
    const open = { stream, heardAt: this.now.boot };
    this.#open.set(connection, open);
    stream.watch(() => {
      // It may have been closed in this turn.
      if (!this.#open.has(connection)) return;
      open.heardAt = this.now.boot;
      // A working connection is served in every turn.
      if (connection.state !== "working") this.#serve(connection);
    });
    stream.wait("reading");
  }

  #serve(connection: Connection): void {
    connection.serve(this.#buffer);
    const { state } = connection;
    if (state === "working") this.#working.add(connection);
    else this.#working.delete(connection);
    if (state === "over") this.#leave(connection);
    else this.#open.get(connection)!.stream.wait(INTERESTS[state]);
  }

  #leave(connection: Connection): void {
    this.#hangUp(connection);
    // Waiting connections can be accepted now.
    this.#acceptAgain();
  }

  /** Does not accept connections for a while. The socket stays ready, and nothing here can free resources. */
  #acceptLater(reason: string): void {
    if (!this.#refused) this.log(reason);
    this.#refused = true;
    this.#acceptAgainAt = this.now.boot + ACCEPT_PAUSE;
    this.socket.listen(false);
  }

  #acceptAgain(): void {
    this.#acceptAgainAt = Infinity;
    this.socket.listen(true);
  }
}
