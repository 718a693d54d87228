/**
 * A bad wire: forwards UDP datagrams between two ends and simulates the faults of networks. Randomness comes from a
 * seed, so that a run can be repeated. It runs inside a host, as a separate process. Its only argument is {@linkcode
 * Wire} in JSON. It prints the first byte of every datagram on a line: WireGuard's message types.
 *
 * @module
 */

import { createSocket } from "node:dgram";
import { seededRandom } from "../../lab.ts";

/** The ends of the wire and its faults. Probabilities are from 0 to 1, times in milliseconds. */
export interface Wire {
  /** Port to which one end sends; the other end sees another port of the same host. */
  readonly port: number;
  /** Port of the other end, on the same host. */
  readonly to: number;
  readonly loss?: number;
  readonly duplicate?: number;
  /** One bit is inverted. */
  readonly corrupt?: number;
  readonly delay?: number;
  /**
   * Added to the delay, uniformly from 0 to this. If it is larger than the time between two datagrams, it reorders
   * them.
   */
  readonly jitter?: number;
  readonly seed?: number;
}

if (import.meta.main) main(JSON.parse(Deno.args[0]!) as Wire);

function main(wire: Wire): void {
  const { loss = 0, duplicate = 0, corrupt = 0, delay = 0, jitter = 0, seed = 1 } = wire;
  const random = seededRandom(seed);
  const word = new Uint8Array(4);
  const chance = () => {
    random(word);
    return new DataView(word.buffer).getUint32(0) / 2 ** 32;
  };
  const front = createSocket("udp4");
  const back = createSocket("udp4");
  let asker: { address: string; port: number } | undefined;

  const pass = (bytes: Uint8Array, send: (bytes: Uint8Array) => void) => {
    console.log(bytes[0]);
    if (chance() < loss) return;
    for (let copies = chance() < duplicate ? 2 : 1; copies > 0; copies--) {
      const copy = Uint8Array.from(bytes);
      if (chance() < corrupt) copy[Math.floor(chance() * copy.length)]! ^= 1 << Math.floor(chance() * 8);
      setTimeout(() => send(copy), delay + chance() * jitter);
    }
  };
  front.on("message", (bytes, { address, port }) => {
    asker = { address, port };
    pass(bytes, (bytes) => back.send(bytes, wire.to, "127.0.0.1"));
  });
  back.on("message", (bytes) => {
    const to = asker;
    if (to) pass(bytes, (bytes) => front.send(bytes, to.port, to.address));
  });
  back.bind(0, "127.0.0.1", () => front.bind(wire.port, () => console.log("ready")));
}
