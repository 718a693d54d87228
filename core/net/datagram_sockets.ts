/**
 * The tunnel's UDP sockets with `node:dgram`. They work on every system and need only permission for the network.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { formatAddress, parseAddress } from "../config/address.ts";
import type {
  BoundSockets,
  DatagramSocket,
  Opening,
  Refusal,
  SocketFactory,
  SocketMemory,
} from "../engine/doors.ts";
import { addressBytes, ENDPOINT_WORDS, type EndpointWords, endpointWords } from "../protocol/endpoint.ts";
import { Errno } from "../uapi/errno.ts";
import type { Memory } from "../../wasm/mod.ts";
import type { EventLoopHost, Source } from "./event_loop_host.ts";

/** The maximum number of bytes that wait for the engine, and that wait for the system. */
const MAX_WAITING = 4 << 20;

const { EACCES, EADDRINUSE, EAFNOSUPPORT, EIO, ENOBUFS } = Errno;
/** Errors of `node:dgram` whose number the engine gets. Each other error is EIO. */
const ERRNOS: Readonly<Record<string, number>> = { EADDRINUSE, EACCES, EAFNOSUPPORT };

/** An error of a socket, as the engine takes it. */
class SocketRefusal extends Error implements Refusal {
  override readonly name = "SocketRefusal";

  constructor(message: string, readonly errno: number, options?: ErrorOptions) {
    super(message, options);
  }
}

/** A socket of one family. */
class NodeSocket implements DatagramSocket, Source {
  readonly from: EndpointWords = new Uint32Array(ENDPOINT_WORDS);
  /** Every train is one datagram. */
  segment = 0;
  readonly tos = 0;
  errors = 0;
  refused = 0;
  #waiting: { bytes: Uint8Array; sender: RemoteInfo }[] = [];
  #waitingBytes = 0;
  #drops = 0;
  /** Bytes that the system has not accepted yet. */
  #sending = 0;
  readonly #opening: Opening;

  constructor(
    readonly family: 4 | 6,
    readonly socket: Socket,
    readonly memoryOf: Memory,
    host: EventLoopHost,
    opening: Opening,
  ) {
    this.#opening = opening;
    socket.on("message", (bytes: Uint8Array, sender: RemoteInfo) => {
      if (this.#waitingBytes + bytes.length > MAX_WAITING) {
        this.#drops++;
        return;
      }
      this.#waiting.push({ bytes, sender });
      this.#waitingBytes += bytes.length;
      host.wake();
    });
    socket.on("error", () => this.errors++);
  }

  get pending(): boolean {
    return this.#waiting.length > 0;
  }

  ready(): void {
    this.#opening.readable(this);
  }

  get crowded(): boolean {
    return 2 * this.#sending > MAX_WAITING;
  }

  get memory(): SocketMemory {
    return {
      received: this.#waitingBytes,
      receiveBound: MAX_WAITING,
      sent: this.#sending,
      sendBound: MAX_WAITING,
      drops: this.#drops,
    };
  }

  receive(at: number, capacity: number): number {
    for (;;) {
      const next = this.#waiting.shift();
      if (!next) return 0;
      const { bytes, sender } = next;
      this.#waitingBytes -= bytes.length;
      const [text = "", zone] = sender.address.split("%");
      const address = parseAddress(text);
      if (address === null || bytes.length > capacity || bytes.length === 0) {
        this.errors++;
        continue;
      }
      const scope = Number(zone ?? 0) || 0;
      this.from.set(endpointWords({ family: this.family, address, port: sender.port, scope }));
      this.memoryOf.bytes.set(bytes, at);
      this.segment = bytes.length;
      return bytes.length;
    }
  }

  send(to: EndpointWords, at: number, length: number, segment: number, _tos: number): number {
    // If a train is refused, none of it is sent. If the system refuses it later, that is reported as an error.
    this.refused = segment > 0 ? Math.ceil(length / segment) : 1;
    if (this.#sending + length > MAX_WAITING) return -ENOBUFS;
    const address = formatAddress(addressBytes(to));
    const host = to[6] ? `${address}%${to[6]}` : address;
    const stride = segment || length;
    try {
      for (let from = 0; from < length; from += stride) {
        // The system sends later, and packet memory is used again at once.
        const bytes = this.memoryOf.bytes.slice(at + from, at + Math.min(length, from + stride));
        this.socket.send(Buffer.from(bytes.buffer), to[1]!, host, (error) => {
          this.#sending -= bytes.length;
          if (error) this.errors++;
        });
        // After `send`, because sending to port 0, which any sender can have, throws at once and never calls back.
        this.#sending += bytes.length;
      }
    } catch {
      return -EIO;
    }
    return 0;
  }
}

/** Opens sockets by `node:dgram`. */
export class NodeSockets implements SocketFactory {
  readonly #memory: Memory;
  readonly #host: EventLoopHost;

  constructor(memory: Memory, host: EventLoopHost) {
    this.#memory = memory;
    this.#host = host;
  }

  open(port: number, mark: number, opening: Opening): void {
    if (mark !== 0) {
      return opening.refused(new SocketRefusal("a mark needs the sockets of Linux (--allow-ffi)", EACCES));
    }
    this.#open(port, opening).then((sockets) => {
      opening.opened(sockets);
      this.#host.wake();
    }, (error) => {
      opening.refused(refusal(error));
      this.#host.wake();
    });
  }

  async #open(port: number, opening: Opening): Promise<BoundSockets> {
    const v4 = await bind("udp4", port);
    let v6: Socket | null = null;
    try {
      v6 = await bind("udp6", v4.address().port);
    } catch (error) {
      // A machine without IPv6 uses IPv4 only. If another program uses the port, IPv4 does not use it either.
      if ((error as { code?: string }).code === "EADDRINUSE") {
        v4.close();
        throw error;
      }
    }
    const sockets = [
      new NodeSocket(4, v4, this.#memory, this.#host, opening),
      ...v6 ? [new NodeSocket(6, v6, this.#memory, this.#host, opening)] : [],
    ];
    for (const socket of sockets) this.#host.add(socket);
    return {
      port: v4.address().port,
      v4: sockets[0]!,
      v6: sockets[1] ?? null,
      setMark(mark: number): void {
        if (mark !== 0) throw new SocketRefusal("a mark needs the sockets of Linux (--allow-ffi)", EACCES);
      },
      close: () => {
        for (const socket of sockets) {
          this.#host.remove(socket);
          socket.socket.close();
        }
      },
    };
  }
}

function bind(type: "udp4" | "udp6", port: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  // No `recvBufferSize`: with it Deno receives 700 datagrams a second.
  const socket = createSocket({ type, ipv6Only: type === "udp6" });
  socket.once("error", (error) => {
    socket.close();
    reject(error);
  });
  socket.bind(port, () => {
    socket.removeAllListeners("error");
    resolve(socket);
  });
  return promise;
}

function refusal(error: unknown): Refusal {
  const { code = "", message = String(error) } = error as { code?: string; message?: string };
  return new SocketRefusal(message, ERRNOS[code] ?? EIO, { cause: error });
}
