/**
 * The typed interface of the WebAssembly module: sessions and batches of packets in `instance.ts`, what handshakes need
 * in `handshake.ts`, and TCP in `tcp.ts`. No other file uses the module's exports.
 *
 * @module
 */

import { type Build, compile } from "./builds.ts";
import { KEY } from "./handshake.ts";
import { Instance } from "./instance.ts";
import { VIRTIO_HEADER } from "./packet.ts";
import { type TcpOptions, TcpStack } from "./tcp.ts";

export type { Build } from "./builds.ts";
export { type Address, Memory } from "./memory.ts";
export type { Opened, Sealed } from "./results.ts";

const TAG = 16;

let chosen: Build | undefined;

/** The wide build if V8 accepts it and its results are correct, else the plain one. */
function best(): Build {
  if (chosen === undefined) {
    try {
      chosen = new Wasm("wide").isSound() ? "wide" : "plain";
    } catch (error) {
      if (!(error instanceof WebAssembly.CompileError)) throw error;
      chosen = "plain";
    }
  }
  return chosen;
}

/** Bytes of the transport message that `isSound` seals. */
const KNOWN_LENGTH = 1_408;
/** Its tag, as RFC 8439 and noble have it. */
export const KNOWN_TAG = "92ee2d26b3cbe886cb3a58d8bb153f21";

/** An instance of a build. */
export class Wasm extends Instance {
  /** @param build The default is the faster one that works here. */
  constructor(readonly build: Build = best()) {
    super(compile(build));
  }

  /** TCP in this instance's memory. */
  tcp(options: TcpOptions): TcpStack {
    return new TcpStack(this.exports, this.memory, options);
  }

  /** Seals a packet whose tag is known, to test a build that depends on experimental flags. */
  isSound(): boolean {
    const { memory } = this;
    const from = memory.allocate(VIRTIO_HEADER + KNOWN_LENGTH);
    const to = memory.allocate(2 * KNOWN_LENGTH);
    const key = Uint8Array.from({ length: KEY }, (_, i) => i);
    const slot = this.install(key, key, 1);
    const packet = memory.bytes.subarray(from + VIRTIO_HEADER, from + VIRTIO_HEADER + KNOWN_LENGTH);
    packet.forEach((_, i) => packet[i] = i);
    packet[0] = 0x45;
    this.sealBatch(slot, from, VIRTIO_HEADER + KNOWN_LENGTH, to, 2 * KNOWN_LENGTH, KNOWN_LENGTH, 0, 1);
    const end = to + this.sealed.written;
    const tag = memory.bytes.slice(end - TAG, end).toHex();
    this.forget(slot);
    return tag === KNOWN_TAG;
  }
}
