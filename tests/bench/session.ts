/**
 * Two hosts with a cable, and one implementation at both ends of a tunnel between them.
 *
 * @module
 */

import { Host } from "../netns/lab/host.ts";
import { type Config, generateKeys, type Keys } from "../netns/lab/keys.ts";
import { connect } from "../netns/lab/network.ts";
import { ADDRESSES, CABLE, type Side } from "../netns/lab/pair.ts";
import { pingUntilAnswered } from "../netns/lab/traffic.ts";
import { Tunnel } from "../netns/lab/tunnel.ts";
import type { Contender } from "./contender.ts";

/** The kernel's USER_HZ, in which /proc counts processor time; 100 on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;
const MTU = 1420;

/** A tunnel that carries packets. */
export class Session implements AsyncDisposable {
  private constructor(
    readonly contender: Contender,
    readonly near: Tunnel,
    readonly far: Tunnel,
    readonly hosts: Readonly<Record<Side, Host>>,
    /** Milliseconds from the start of the near daemon until its interface was configured and up. */
    readonly upAfter: number,
  ) {}

  /**
   * Makes hosts and tunnel, and waits for the first answer through it.
   *
   * @param contender What runs at both ends.
   * @param family Family of the packets outside.
   */
  static async start(contender: Contender, family: 4 | 6): Promise<Session> {
    const keys = { near: generateKeys(), far: generateKeys() };
    await using stack = new AsyncDisposableStack();
    const hosts = {
      near: stack.use(await Host.create("near")),
      far: stack.use(await Host.create("far")),
    };
    const end = (side: Side) => ({
      host: hosts[side],
      name: CABLE,
      addresses: [`${ADDRESSES[side].outside[4]}/24`, `${ADDRESSES[side].outside[6]}/64`],
    });
    await connect(end("near"), end("far"));
    const tunnel = (side: Side) =>
      Tunnel.start({
        implementation: contender.implementation,
        program: contender.program,
        machine: hosts[side],
        addresses: [`${ADDRESSES[side].inside[4]}/24`, `${ADDRESSES[side].inside[6]}/64`],
        mtu: MTU,
        config: configuration(keys, side, family),
      });
    const far = await tunnel("far");
    const before = performance.now();
    const near = await tunnel("near");
    const upAfter = performance.now() - before;
    await pingUntilAnswered(hosts.near, ADDRESSES.far.inside[4]);
    stack.move();
    return new Session(contender, near, far, hosts, upAfter);
  }

  /** Processor seconds, user and system, that both daemons have used together so far. */
  async processorSeconds(): Promise<number> {
    let ticks = 0;
    for (const text of await this.#read("stat")) {
      // proc_pid_stat(5): utime and stime are fields 14 and 15; field 2 may hold spaces but ends with the last ")".
      const [utime, stime] = text.slice(text.lastIndexOf(")") + 2).split(" ").slice(11, 13);
      ticks += Number(utime) + Number(stime);
    }
    return ticks / TICKS_PER_SECOND;
  }

  /** The most memory in bytes that either daemon has ever had resident. */
  async peakMemory(): Promise<number> {
    const peaks = (await this.#read("status")).map((text) => {
      const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1];
      return Number(kibibytes) * 1024;
    });
    return Math.max(...peaks);
  }

  /** A file of both daemons' folders in /proc. */
  async #read(file: string): Promise<string[]> {
    const { near, far } = this.hosts;
    return await Promise.all([
      // Their numbers are those of their hosts' process namespaces.
      Deno.readTextFile(near.path(`/proc/${this.near.process!.pid}/${file}`)),
      Deno.readTextFile(far.path(`/proc/${this.far.process!.pid}/${file}`)),
    ]);
  }

  /** Ends the hosts and everything on them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.hosts.near[Symbol.asyncDispose](), this.hosts.far[Symbol.asyncDispose]()]);
  }
}

function configuration(keys: Readonly<Record<Side, Keys>>, side: Side, family: 4 | 6): Config {
  const other = side === "near" ? "far" : "near";
  const { outside, inside, port } = ADDRESSES[other];
  return {
    privateKey: keys[side].privateKey,
    listenPort: ADDRESSES[side].port,
    peers: [{
      publicKey: keys[other].publicKey,
      allowedIps: [`${inside[4]}/32`, `${inside[6]}/128`],
      endpoint: `${family === 6 ? `[${outside[6]}]` : outside[4]}:${port}`,
    }],
  };
}
