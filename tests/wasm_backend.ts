/**
 * The real cryptography and data path for the lab, one packet at a time.
 *
 * @module
 */

import { Wasm } from "../wasm/mod.ts";
import type { Backend, Transport } from "./lab.ts";
import { VIRTIO_HEADER } from "../wasm/packet.ts";

const REGION = 0x10000;

/** Keypairs, sealing and opening in WASM memory. */
class WasmTransport implements Transport {
  readonly #wasm = new Wasm();
  readonly #from = this.#wasm.memory.allocate(REGION);
  readonly #to = this.#wasm.memory.allocate(REGION);
  /** Keypairs that are installed. */
  size = 0;

  install(sendKey: Uint8Array, receiveKey: Uint8Array, remoteIndex: number): number {
    this.size++;
    return this.#wasm.install(sendKey, receiveKey, remoteIndex);
  }

  forget(slot: number): void {
    this.size--;
    this.#wasm.forget(slot);
  }

  seal(slot: number, packet: Uint8Array): Uint8Array | null {
    const wasm = this.#wasm;
    if (packet.length === 0) return this.#copy(this.#to, wasm.sealKeepalive(slot, this.#to));
    wasm.memory.bytes.fill(0, this.#from, this.#from + VIRTIO_HEADER);
    wasm.memory.bytes.set(packet, this.#from + VIRTIO_HEADER);
    wasm.sealBatch(slot, this.#from, VIRTIO_HEADER + packet.length, this.#to, REGION, 0, 0, 1);
    return this.#copy(this.#to, wasm.sealed.written);
  }

  open(slot: number, datagram: Uint8Array): Uint8Array | null {
    const wasm = this.#wasm;
    wasm.memory.bytes.set(datagram, this.#from);
    const packets = wasm.openBatch(slot, this.#from, datagram.length, datagram.length, 0);
    if (wasm.opened.authenticated === 0) return null;
    // Authentic data that is not a packet does not count as a keepalive.
    if (packets === 0) return new Uint8Array(wasm.opened.keepalives === 1 ? 0 : 1);
    return this.#copy(wasm.partAddress(0) + VIRTIO_HEADER, wasm.partLength(0) - VIRTIO_HEADER);
  }

  #copy(at: number, length: number): Uint8Array | null {
    return length === 0 ? null : this.#wasm.memory.bytes.slice(at, at + length);
  }
}

/** The cryptography that wgd runs on. */
export const wasm: Backend = { crypto: new Wasm(), transport: () => new WasmTransport() };
