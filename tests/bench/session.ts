/**
 * Two hosts with a cable, and one implementation at both ends of a tunnel between them.
 *
 * @module
 */

import { Host } from "../netns/lab/host.ts";
import { type Config, generateKeys, type Keys } from "../netns/lab/keys.ts";
import { connect } from "../netns/lab/network.ts";
import { ADDRESSES, CABLE, type Side } from "../netns/lab/pair.ts";
import { eventually } from "../netns/lab/exec.ts";
import { Tunnel } from "../netns/lab/tunnel.ts";
import { type Contender, environment } from "./contender.ts";
import { pings } from "./round_trips.ts";
import { SlowCores } from "./slow_cores.ts";

/** Of both ends, the same for all contenders of a run: initiations for one of them are made beforehand. */
export const KEYS: Readonly<Record<Side, Keys>> = { near: generateKeys(), far: generateKeys() };

/** The kernel's USER_HZ, in which /proc counts processor time; 100 on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;
const MTU = 1420;

/** A tunnel that carries packets. */
export class Session implements AsyncDisposable {
  /** Whether the near daemon has been told of the peers in initiations.ts. */
  initiatorsKnown = false;

  private constructor(
    readonly contender: Contender,
    readonly near: Tunnel,
    readonly far: Tunnel,
    readonly hosts: Readonly<Record<Side, Host>>,
    /** Milliseconds from the start of the near daemon until its interface was configured and up. */
    readonly upAfter: number,
    /** Round trip of the first ping in milliseconds; it waits for a handshake. */
    readonly firstPing: number,
    readonly slowCores: SlowCores | undefined,
  ) {}

  /**
   * Makes hosts and tunnel, and waits for the first answer through it.
   *
   * @param contender What runs at both ends.
   * @param family Family of the packets outside.
   * @param cores How many slow cores each end has; by default both share all processors.
   */
  static async start(contender: Contender, family: 4 | 6, cores?: number): Promise<Session> {
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
        config: configuration(side, family),
        env: environment(contender, cores),
      });
    const far = await tunnel("far");
    const before = performance.now();
    const near = await tunnel("near");
    const upAfter = performance.now() - before;
    const [firstPing] = await eventually("an answer through the tunnel", async () => {
      const times = await pings(hosts.near, ADDRESSES.far.inside[4], { count: 1, wait: 1 });
      return times.length > 0 ? times : undefined;
    });
    let slowCores: SlowCores | undefined;
    if (cores !== undefined) {
      const processes = await Promise.all([near, far].map((tunnel) => outerPid(hosts, tunnel)));
      slowCores = await SlowCores.hold(processes, cores);
    }
    stack.move();
    return new Session(contender, near, far, hosts, upAfter, firstPing!, slowCores);
  }

  /**
   * Processor seconds, user and system, that daemons have used so far.
   *
   * @param sides Whose; both together by default.
   */
  async processorSeconds(...sides: Side[]): Promise<number> {
    let ticks = 0;
    for (const text of await this.#read("stat", sides)) {
      // proc_pid_stat(5): utime and stime are fields 14 and 15; field 2 may hold spaces but ends with the last ")".
      const [utime, stime] = text.slice(text.lastIndexOf(")") + 2).split(" ").slice(11, 13);
      ticks += Number(utime) + Number(stime);
    }
    return ticks / TICKS_PER_SECOND;
  }

  /** The most memory in bytes that either daemon has ever had resident. */
  async peakMemory(): Promise<number> {
    return Math.max(...(await this.#read("status", [])).map((text) => kibibytes(text, "VmHWM") * 1024));
  }

  /** Bytes that the near daemon has resident. */
  async residentMemory(): Promise<number> {
    const [text] = await this.#read("status", ["near"]);
    return kibibytes(text!, "VmRSS") * 1024;
  }

  /** A file of daemons' folders in /proc. */
  async #read(file: string, sides: readonly Side[]): Promise<string[]> {
    const wanted: readonly Side[] = sides.length > 0 ? sides : ["near", "far"];
    return await Promise.all(wanted.map((side) =>
      // Their numbers are those of their hosts' process namespaces.
      Deno.readTextFile(this.hosts[side].path(`/proc/${this[side].process!.pid}/${file}`))
    ));
  }

  /** Ends the hosts and everything on them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.slowCores?.[Symbol.asyncDispose]();
    await Promise.all([this.hosts.near[Symbol.asyncDispose](), this.hosts.far[Symbol.asyncDispose]()]);
  }
}

/** The number that a tunnel's process has outside its host. */
async function outerPid(hosts: Readonly<Record<Side, Host>>, { machine, process }: Tunnel): Promise<number> {
  const host = machine === hosts.near ? hosts.near : hosts.far;
  const namespace = await Deno.readLink(`/proc/${host.pid}/ns/pid`);
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (await Deno.readLink(`/proc/${name}/ns/pid`) !== namespace) continue;
      const status = await Deno.readTextFile(`/proc/${name}/status`);
      // proc_pid_status(5): its number in our namespace, and at last in its own.
      if (/^NSpid:.*\t(\d+)$/m.exec(status)?.[1] === String(process!.pid)) return Number(name);
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`the process of ${host.name} is not in /proc`);
}

function kibibytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)![1]);
}

/** What an end is told of the other. */
export function configuration(side: Side, family: 4 | 6): Config {
  const other = side === "near" ? "far" : "near";
  const { outside, inside, port } = ADDRESSES[other];
  return {
    privateKey: KEYS[side].privateKey,
    listenPort: ADDRESSES[side].port,
    peers: [{
      publicKey: KEYS[other].publicKey,
      allowedIps: [`${inside[4]}/32`, `${inside[6]}/128`],
      endpoint: `${family === 6 ? `[${outside[6]}]` : outside[4]}:${port}`,
    }],
  };
}
