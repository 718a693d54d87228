/**
 * Forwards datagrams. Each program has its own flow with a socket that receives the answers. A flow ends after some
 * time without datagrams.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { parseAddress } from "../config/address.ts";
import {
  type Family,
  formatTarget,
  type PortListening,
  type Target,
  type UdpForward,
  type UdpReverse,
} from "../config/proxy_rules.ts";
import type { Net } from "./api.ts";

/** The maximum number of flows of one forward. A new one replaces the one that has been silent longest. */
const MAX_FLOWS = 1_024;
/** Datagrams that wait while a flow is opened. */
const MAX_WAITING = 16;
/** Seconds of silence that end a flow. RFC 4787 §4.3 requires at least two minutes. */
const IDLE = 180;

/** The far side of a flow: a socket for one program. */
interface FarSide {
  send(data: Uint8Array): void;
  close(): void;
}

/** Opens the far side of a flow. @param answer Takes the datagrams that come back. */
type Open = (answer: (data: Uint8Array) => void) => Promise<FarSide>;

/** One program's flow. */
class Flow {
  used = performance.now();
  #far: FarSide | undefined;
  #closed = false;
  #waiting: Uint8Array[] = [];

  constructor(opening: Promise<FarSide>, failed: () => void) {
    opening.then((far) => {
      if (this.#closed) return far.close();
      this.#far = far;
      for (const data of this.#waiting.splice(0)) far.send(data);
    }, failed);
  }

  send(data: Uint8Array): void {
    if (this.#far) this.#far.send(data);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(data.slice());
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#far?.close();
  }
}

/** All flows of one forward. */
class Flows {
  /** By the program's address and port, the longest silent first. */
  readonly #flows = new Map<string, Flow>();
  readonly #idle: number;
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param idle Seconds of silence that end one. */
  constructor(idle: number) {
    this.#idle = idle * 1_000;
    this.#timer = setInterval(() => this.#sweep(), Math.min(10_000, Math.max(100, this.#idle / 4)));
  }

  get count(): number {
    return this.#flows.size;
  }

  /** Passes a program's datagram on. @param open Opens the far side for its first one. */
  send(program: string, data: Uint8Array, open: Open, answer: (data: Uint8Array) => void): void {
    let flow = this.#flows.get(program);
    if (flow) {
      this.#flows.delete(program);
    } else {
      if (this.#flows.size >= MAX_FLOWS) this.#end(this.#flows.keys().next().value!);
      const opened: Flow = new Flow(
        open((data) => {
          opened.used = performance.now();
          answer(data);
        }),
        () => {
          if (this.#flows.get(program) === opened) this.#end(program);
        },
      );
      flow = opened;
    }
    flow.used = performance.now();
    this.#flows.set(program, flow);
    flow.send(data);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const program of this.#flows.keys()) this.#end(program);
  }

  #sweep(): void {
    const now = performance.now();
    for (const [program, { used }] of this.#flows) if (now - used > this.#idle) this.#end(program);
  }

  #end(program: string): void {
    this.#flows.get(program)?.close();
    this.#flows.delete(program);
  }
}

/** A forward of datagrams that runs. */
export interface UdpForwarding {
  /** Programs that it serves now. */
  readonly flows: number;
  close(): void;
}

/**
 * Forwards datagrams of programs on this machine through the tunnel.
 *
 * @throws {Deno.errors.AddrInUse} If the port is taken.
 */
export async function forwardUdp(net: Net, { from, to, idle = IDLE }: UdpForward): Promise<UdpForwarding> {
  const socket = await bound(from);
  const flows = new Flows(idle);
  socket.on("message", (data: Uint8Array, { address, port }: RemoteInfo) => {
    flows.send(
      formatTarget({ host: address, port }),
      data,
      (answer) => openInside(net, to, answer),
      (answer) => socket.send(Buffer.from(answer), port, address, () => {}),
    );
  });
  socket.on("error", () => {});
  return closable(flows, () => socket.close());
}

/**
 * Forwards datagrams from the tunnel to this machine, or to a host that this machine reaches.
 *
 * @throws {Deno.errors.AddrInUse} If the port is taken.
 */
export function reverseUdp(net: Net, { port, to }: UdpReverse): UdpForwarding {
  const inside = net.listenDatagram({ port });
  const flows = new Flows(IDLE);
  (async () => {
    for await (const [data, from] of eachDatagram(inside)) {
      flows.send(
        formatTarget({ host: from.hostname, port: from.port }),
        data,
        (answer) => openOutside(to, answer),
        // A program that has sent a datagram and closed its socket causes "port unreachable" errors.
        (answer) => void inside.send(answer, from).catch(() => {}),
      );
    }
  })();
  return closable(flows, () => inside.close());
}

function closable(flows: Flows, close: () => void): UdpForwarding {
  return {
    get flows() {
      return flows.count;
    },
    close: () => {
      flows.close();
      close();
    },
  };
}

/** A socket in the tunnel for a target behind the tunnel. */
async function openInside(net: Net, to: Target, answer: (data: Uint8Array) => void): Promise<FarSide> {
  const hostname = await addressInTunnel(net, to.host);
  const inside = net.listenDatagram({ port: 0 });
  const remote: Deno.NetAddr = { transport: "udp", hostname, port: to.port };
  (async () => {
    for await (const [data, from] of eachDatagram(inside)) {
      if (from.hostname === hostname && from.port === to.port) answer(data);
    }
  })();
  // A datagram that does not fit a packet is lost.
  return { send: (data) => void inside.send(data, remote).catch(() => {}), close: () => inside.close() };
}

/**
 * A socket of this machine for a target that it reaches. It is connected, so it receives datagrams of this target only.
 */
async function openOutside(to: Target, answer: (data: Uint8Array) => void): Promise<FarSide> {
  const { address, family } = await lookup(to.host);
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("error", reject);
  socket.connect(to.port, address, resolve);
  await promise;
  socket.removeAllListeners("error");
  socket.on("message", answer);
  // The port is closed. The sender gets no answer.
  socket.on("error", () => {});
  return { send: (data) => socket.send(Buffer.from(data), () => {}), close: () => socket.close() };
}

async function bound({ hostname, port }: PortListening): Promise<Socket> {
  const address = hostname === "localhost" ? "127.0.0.1" : hostname;
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("error", reject);
  socket.bind(port, address, resolve);
  try {
    await promise;
  } catch (error) {
    socket.close();
    const where = `UDP ${formatTarget({ host: hostname, port })}`;
    const kind = (error as { code?: string }).code === "EADDRINUSE" ? Deno.errors.AddrInUse : Error;
    throw new kind(`cannot listen at ${where}: ${(error as Error).message}`, { cause: error });
  }
  socket.removeAllListeners("error");
  return socket;
}

/** Every datagram until the socket is closed. */
export async function* eachDatagram(
  conn: Deno.DatagramConn,
): AsyncGenerator<[Uint8Array, Deno.NetAddr], void, void> {
  for (;;) {
    try {
      const [data, from] = await conn.receive();
      yield [data, from as Deno.NetAddr];
    } catch (error) {
      // A port that was sent to is closed. The sender gets no answer.
      if (error instanceof Deno.errors.ConnectionRefused) continue;
      return;
    }
  }
}

/**
 * The address of a name, looked up in the tunnel: of the preferred family, or else of the other one. Families of which the
 * tunnel has no address are left out, as nothing can be sent to them.
 *
 * @throws {Deno.errors.NotFound} If there is none.
 */
export async function addressInTunnel(
  net: Pick<Net, "resolveDns"> & {
    readonly prefer?: Family | undefined;
    readonly families?: ReadonlySet<Family>;
  },
  host: string,
): Promise<string> {
  if (parseAddress(host)) return host;
  const order = net.prefer === "ipv6" ? ["ipv6", "ipv4"] as const : ["ipv4", "ipv6"] as const;
  let failure: unknown;
  for (const family of order) {
    if (net.families && !net.families.has(family)) continue;
    try {
      const [found] = await net.resolveDns(host, family === "ipv6" ? "AAAA" : "A");
      if (found !== undefined) return found;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure ?? new Deno.errors.NotFound(`"${host}" has no address`);
}
