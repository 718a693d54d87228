/**
 * Decides which packets go through lanes.
 *
 * @module
 */

import type { Wasm } from "../../../wasm/mod.ts";
import type { Now } from "../../protocol/clock.ts";
import type { Keypair } from "../../protocol/keypair.ts";
import type { PacketPath } from "../path.ts";
import { type Direction, IN, OUT } from "./board.ts";
import { Incoming } from "./incoming.ts";
import type { Lanes } from "./lanes.ts";
import { Outgoing } from "./outgoing.ts";
import { LanePolicy } from "./policy.ts";

/** Lanes are used if one source has at least this many bytes in one turn. */
const BULK = 16_384;
/** A multiplication counts as this many bytes, because encrypting them takes as long. */
const MULTIPLICATION = 65_536;
/** After this many turns with fewer bytes, the engine handles a source itself again. */
const PATIENCE = 16;

/** Whether a source has much traffic that lanes can take. */
class Bulk {
  on = false;
  /** Bytes in this turn. */
  #bytes = 0;
  #quiet = 0;

  add(length: number): void {
    this.#bytes += length;
  }

  /** Ends a turn. @returns The bytes that were counted. */
  endTurn(): number {
    const bytes = this.#bytes;
    this.#bytes = 0;
    if (bytes >= BULK) {
      this.on = true;
      this.#quiet = 0;
    } else if (this.on && ++this.#quiet >= PATIENCE) {
      this.on = false;
      this.#quiet = 0;
    }
    return bytes;
  }
}

/** An engine's lanes and the packets that they get. */
export class LanePath {
  readonly lanes: Lanes;
  readonly outgoing: Outgoing;
  readonly incoming: Incoming;
  readonly #policy: LanePolicy;
  readonly #out = new Bulk();
  readonly #in = new Bulk();

  constructor(path: PacketPath, lanes: Lanes, now: Now) {
    this.lanes = lanes;
    this.outgoing = new Outgoing(path, lanes, now);
    this.incoming = new Incoming(path, lanes, now);
    const { threads } = lanes;
    this.#policy = new LanePolicy(threads.limit, threads.considerate, threads);
  }

  /** The path for packets from the TUN device through lanes, if it is used. */
  get sealing(): Outgoing | null {
    const { lanes } = this;
    return lanes.using > 0 && this.#out.on || !lanes.isEmpty(OUT) ? this.outgoing : null;
  }

  /** The path for trains of datagrams through lanes, if it is used. */
  get opening(): Incoming | null {
    const { lanes } = this;
    return lanes.using > 0 && this.#in.on || !lanes.isEmpty(IN) ? this.incoming : null;
  }

  /** A train of one session was sent or received. */
  noteTrain(direction: Direction, length: number): void {
    (direction === OUT ? this.#out : this.#in).add(length);
  }

  /** A turn has read everything from the TUN device, or from a socket. */
  allRead(direction: Direction): void {
    this.#count((direction === OUT ? this.#out : this.#in).endTurn());
  }

  /** The first bytes of a window count only if they are many. A few do not justify reading the clock. */
  #count(bytes: number): void {
    if (bytes >= BULK || this.#policy.counting) this.#policy.count(bytes);
  }

  /** A handshake needs a multiplication. */
  noteMultiplication(): void {
    this.#policy.count(MULTIPLICATION);
  }

  /** Like `Wasm.openBatch`, for a session whose replay window lanes may share. */
  openHere(
    wasm: Wasm,
    { slot }: Keypair,
    from: number,
    length: number,
    stride: number,
    flags: number,
  ): number {
    this.lanes.keys.beginOpening(slot);
    const packets = wasm.openBatch(slot, from, length, stride, flags);
    this.lanes.keys.endOpening(slot);
    return packets;
  }

  /** Called at the end of a turn: starts, uses and ends lanes. @returns When to call it again. */
  turnEnds(now: Now, time: () => number): number {
    const policy = this.#policy, { lanes } = this;
    if (policy.counting || lanes.started > 0) {
      const end = policy.turnEnded(now.boot, time(), lanes.count);
      if (lanes.threads.considerate) lanes.use(policy.wanted);
      if (end) lanes.stop();
      else while (lanes.started < policy.wanted && lanes.start());
    }
    return lanes.started > 0 ? policy.nextLook : Infinity;
  }
}
