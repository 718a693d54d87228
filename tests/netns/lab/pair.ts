/**
 * Two machines with one tunnel between them: ours is near, the other implementation is far.
 *
 * @module
 */

import { peer } from "../peers/mod.ts";
import { Guest } from "./guest.ts";
import { Host, type Machine } from "./host.ts";
import { generateKeys, generatePresharedKey } from "./keys.ts";
import { addAddresses, connect } from "./network.ts";
import { type Implementation, subject, Tunnel } from "./tunnel.ts";

/** An end of the pair. */
export type Side = "near" | "far";

/** Addresses of both ends, outside and inside the tunnel. */
export const ADDRESSES = {
  near: { outside: { 4: "10.1.0.1", 6: "fd01::1" }, inside: { 4: "10.7.0.1", 6: "fd07::1" }, port: 51820 },
  far: { outside: { 4: "10.1.0.2", 6: "fd01::2" }, inside: { 4: "10.7.0.2", 6: "fd07::2" }, port: 51821 },
} as const;

/** Name of the interface on the cable, at both ends. */
export const CABLE = "eth0";

/** How to make the tunnel. */
export interface PairOptions {
  /** The end that has the other's endpoint, and so is the only one that can begin. */
  readonly initiator?: Side | "both";
  /** Family of the packets outside. */
  readonly family?: 4 | 6;
  readonly presharedKey?: boolean;
  readonly mtu?: number;
  /** Variables for the processes of both. */
  readonly env?: Record<string, string>;
}

/** Two machines side by side. */
export class Pair {
  private constructor(
    readonly implementation: Implementation,
    readonly near: Host,
    readonly far: Machine & AsyncDisposable,
  ) {}

  /**
   * Makes two machines with a cable between them.
   *
   * @param implementation The implementation on the far machine. A kernel gets a machine in an emulator.
   */
  static async create(implementation: Implementation): Promise<Pair> {
    const near = await Host.create("near");
    try {
      const far = implementation === "kernel"
        ? await Guest.boot("far", await peer("kernel"), near, CABLE)
        : await Host.create("far");
      const networks = (
        side: Side,
      ) => [`${ADDRESSES[side].outside[4]}/24`, `${ADDRESSES[side].outside[6]}/64`];
      if (far instanceof Host) {
        const end = (host: Host, side: Side) => ({ host, name: CABLE, addresses: networks(side) });
        await connect(end(near, "near"), end(far, "far"));
      } else {
        await addAddresses(near, CABLE, networks("near"));
        await addAddresses(far, CABLE, networks("far"));
        await far.ok("ip", "link", "set", CABLE, "up");
      }
      return new Pair(implementation, near, far);
    } catch (error) {
      await near[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes an interface at both ends, with new keys. */
  async tunnels(options: PairOptions = {}): Promise<Tunnels> {
    const { initiator = "both", family = 4, presharedKey = false, mtu = 1420, env = {} } = options;
    const keys = { near: generateKeys(), far: generateKeys() };
    const psk = presharedKey ? generatePresharedKey() : undefined;
    const start = async (side: Side, other: Side) => {
      const { outside, port } = ADDRESSES[other];
      const knows = initiator === "both" || initiator === side;
      const host = family === 6 ? `[${outside[6]}]` : outside[4];
      return await Tunnel.start({
        implementation: side === "near" ? subject() : this.implementation,
        machine: this[side],
        addresses: [`${ADDRESSES[side].inside[4]}/24`, `${ADDRESSES[side].inside[6]}/64`],
        mtu,
        env,
        config: {
          privateKey: keys[side].privateKey,
          listenPort: ADDRESSES[side].port,
          peers: [{
            publicKey: keys[other].publicKey,
            presharedKey: psk,
            allowedIps: [`${ADDRESSES[other].inside[4]}/32`, `${ADDRESSES[other].inside[6]}/128`],
            endpoint: knows ? `${host}:${port}` : undefined,
          }],
        },
      });
    };
    const near = await start("near", "far");
    try {
      return new Tunnels(near, await start("far", "near"));
    } catch (error) {
      await near.kill();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.far[Symbol.asyncDispose]();
    await this.near[Symbol.asyncDispose]();
  }
}

/** The interfaces of a pair; the machines stay when they go. */
export class Tunnels {
  constructor(readonly near: Tunnel, readonly far: Tunnel) {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.near.kill();
    await this.far.kill();
  }
}
