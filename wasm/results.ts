/**
 * The results of sealing and opening a batch: getters over linear memory, so that no object is allocated per batch.
 *
 * @module
 */

import type { Memory } from "./memory.ts";

/** The results of the last `sealBatch`. */
export interface Sealed {
  /** Bytes of the train. */
  readonly written: number;
  /** Bytes of each datagram except the last. */
  readonly stride: number;
  /** Datagrams in the train. */
  readonly segments: number;
  /** Datagrams of the whole packet. */
  readonly total: number;
  /** 1: the counter has passed REKEY_AFTER_MESSAGES; 2: it has reached REJECT_AFTER_MESSAGES, or the packet has more datagrams than there are counters left. */
  readonly flags: number;
  /** Whether the packet or its virtio header was invalid. */
  readonly malformed: boolean;
  /** ECN bits for the outer header. */
  readonly ecn: number;
}

/** The results of the last `openBatch`. */
export interface Opened {
  /** Packets for the TUN device. */
  readonly packets: number;
  /** Datagrams that were accepted. */
  readonly authenticated: number;
  /** Accepted datagrams that are empty. */
  readonly keepalives: number;
  /** Bytes of the accepted datagrams. */
  readonly wireBytes: number;
  readonly badTag: number;
  readonly replayed: number;
  /** Authentic, but not an IP packet, or shorter than its header says. */
  readonly malformed: number;
  readonly tooShort: number;
}

/** The results of the last `sealBatch`. @param result Word offset of the results of the last call. */
export function sealedAt(memory: Memory, result: number): Sealed {
  const word = (i: number) => memory.words[result + i]!;
  return {
    get written() {
      return word(0);
    },
    get stride() {
      return word(1);
    },
    get segments() {
      return word(2);
    },
    get total() {
      return word(3);
    },
    get flags() {
      return word(4) & 3;
    },
    get malformed() {
      return (word(4) & 4) !== 0;
    },
    get ecn() {
      return word(5);
    },
  };
}

/** The results of the last `openBatch`. @param result Word offset of the results of the last call. */
export function openedAt(memory: Memory, result: number): Opened {
  const word = (i: number) => memory.words[result + i]!;
  return {
    get packets() {
      return word(0);
    },
    get authenticated() {
      return word(1);
    },
    get keepalives() {
      return word(2);
    },
    get wireBytes() {
      return word(3);
    },
    get badTag() {
      return word(4);
    },
    get replayed() {
      return word(5);
    },
    get malformed() {
      return word(6);
    },
    get tooShort() {
      return word(7);
    },
  };
}
