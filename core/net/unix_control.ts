/**
 * A control socket with `node:net`, without FFI. `wgd show`, `set` and `doctor` control a tunnel inside a program
 * through it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { makeControlFolder } from "../client/proxy_sockets.ts";
import type { ControlStream, StreamInterest } from "../engine/doors.ts";
import type { EventLoopHost, Source } from "./event_loop_host.ts";
import { removeSocket, removeStaleSocket } from "./local_listener.ts";
import type { MemoryControl } from "./memory_control.ts";

/** Milliseconds that a program has to read the end of a reply. */
const REPLY_TIMEOUT = 10_000;
const WOULD_BLOCK = -1;
const BROKEN = -2;

/** A listening socket, whose connections go to the engine. */
export class UnixControl {
  readonly #server: Server;
  readonly #path: string;
  readonly #ino: number | null;

  private constructor(server: Server, path: string) {
    this.#server = server;
    this.#path = path;
    this.#ino = Deno.lstatSync(path).ino;
  }

  /**
   * Listens in a folder that only its owner can use. A socket without a listener is replaced.
   *
   * @throws {Deno.errors.AddrInUse} If another process listens there.
   * @throws {Deno.errors.PermissionDenied} If others may use the folder, or we may not.
   */
  static async open(path: string, host: EventLoopHost, control: MemoryControl): Promise<UnixControl> {
    makeControlFolder(path.slice(0, path.lastIndexOf("/")));
    await removeStaleSocket(path);
    // A program may close its side after its request.
    const server = createServer(
      { allowHalfOpen: true },
      (socket) => control.enter(new NodeStream(socket, host)),
    );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once("error", reject);
    server.listen(path, resolve);
    await promise;
    return new UnixControl(server, path);
  }

  /** Ends it, and removes its file. */
  close(): void {
    removeSocket(this.#path, this.#ino);
    this.#server.close();
  }
}

/** A connection; it never blocks. */
class NodeStream implements ControlStream, Source {
  readonly #socket: Socket;
  readonly #host: EventLoopHost;
  #interest: StreamInterest = "nothing";
  #ready: () => void = () => {};
  #readable = false;
  #ended = false;
  #broken = false;
  #crowded = false;

  constructor(socket: Socket, host: EventLoopHost) {
    this.#socket = socket;
    this.#host = host;
    socket.on("readable", () => {
      this.#readable = true;
      host.wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      host.wake();
    });
    socket.on("drain", () => {
      this.#crowded = false;
      host.wake();
    });
    const broke = () => {
      this.#broken = true;
      host.wake();
    };
    socket.on("error", broke);
    socket.on("close", broke);
  }

  read(into: Uint8Array): number {
    if (this.#broken) return BROKEN;
    const { readableLength } = this.#socket;
    // `read` of more bytes than there are returns nothing.
    const chunk: Buffer | null = readableLength > 0
      ? this.#socket.read(Math.min(readableLength, into.length))
      : this.#socket.read();
    if (chunk === null) {
      this.#readable = false;
      return this.#ended ? 0 : WOULD_BLOCK;
    }
    into.set(chunk);
    // Requests hold keys.
    chunk.fill(0);
    return chunk.length;
  }

  write(bytes: Uint8Array): number {
    if (this.#broken) return BROKEN;
    if (this.#crowded) return WOULD_BLOCK;
    // The system reads it later, but the caller erases it at once. So it is copied.
    this.#crowded = !this.#socket.write(Buffer.from(bytes));
    return bytes.length;
  }

  watch(ready: () => void): void {
    this.#ready = ready;
    this.#host.add(this);
  }

  wait(interest: StreamInterest): void {
    this.#interest = interest;
  }

  get pending(): boolean {
    if (this.#interest === "nothing") return false;
    return this.#broken || (this.#interest === "reading" ? this.#readable || this.#ended : !this.#crowded);
  }

  ready(): void {
    this.#ready();
  }

  close(): void {
    this.#host.remove(this);
    this.#socket.setTimeout(REPLY_TIMEOUT, () => this.#socket.destroy());
    this.#socket.destroySoon();
  }
}
