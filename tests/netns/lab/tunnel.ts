/**
 * A WireGuard interface of any implementation, started by hand and configured by Debian's `wg`.
 *
 * @module
 */

import { peer } from "../peers/mod.ts";
import { V8_FLAGS } from "../../../core/v8_flags.ts";
import { exists } from "../peers/cache.ts";
import { eventually, type Finished, must } from "./exec.ts";
import { Host, type Machine, type Process } from "./host.ts";
import { type Config, formatConfig } from "./keys.ts";
import { addAddresses } from "./network.ts";

/** Implementations that can be at an end of a tunnel. */
export type Implementation = "wgd" | "wireguard-go" | "boringtun" | "kernel";

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");

/**
 * The tested implementation: wgd, or the one named by `WGD_SUBJECT`. The tests describe the behaviour of any WireGuard,
 * so others can be tested as well, and a test that fails for all of them is wrong.
 */
export function subject(): Implementation {
  return (Deno.env.get("WGD_SUBJECT") ?? "wgd") as Implementation;
}

/** The words that run wgd: `WGD`, or the built executable, or the sources. */
export function wgdCommand(): string[] {
  const given = Deno.env.get("WGD")?.split(" ").filter((word) => word !== "") ?? [];
  if (given.length > 0) return given;
  const built = `${ROOT}/dist/wgd`;
  if (exists(built)) return [built];
  return [Deno.execPath(), "run", "--allow-all", `--v8-flags=${V8_FLAGS}`, `${ROOT}/cli/main.ts`];
}

/**
 * The words that run wgd as a user other than root: a copy on the host, since a checkout may lie where only root can go.
 *
 * @param user Number of the user.
 * @param host The host; the copy goes with it.
 */
export async function wgdCommandAs(user: number, host: Host): Promise<string[]> {
  const [program, ...rest] = wgdCommand();
  const folder = `${host.scratch}/user-${user}`;
  await host.sh(`mkdir -p ${folder}; chown ${user}:${user} ${folder}`);
  const drop = ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
  const environment = ["env", `HOME=${folder}`, `XDG_CACHE_HOME=${folder}`];
  // From its sources, it needs a checkout for all.
  if (rest.length > 0) return [...drop, ...environment, program!, ...rest];
  await must(["install", "-m", "755", program!, host.path(`${folder}/wgd`)]);
  return [...drop, ...environment, `${folder}/wgd`];
}

/** The words that make an interface and stay in the foreground. */
export async function daemonCommand(
  implementation: Exclude<Implementation, "kernel">,
  name: string,
): Promise<string[]> {
  switch (implementation) {
    case "wgd":
      return [...wgdCommand(), "run", "--foreground", name];
    case "wireguard-go":
      return [await peer("wireguard-go"), "--foreground", name];
    case "boringtun":
      return [await peer("boringtun"), "--foreground", "--disable-drop-privileges", name];
  }
}

/** Options for making an interface. */
export interface TunnelOptions {
  readonly implementation: Implementation;
  /** Another program to run in the implementation's place, as `PROGRAM --foreground NAME`. */
  readonly program?: string | undefined;
  /** Where its process and its UDP sockets are. */
  readonly machine: Machine;
  /** @default {"wg0"} */
  readonly name?: string;
  /** The host that gets the interface, if another than that of the sockets. */
  readonly at?: Host;
  readonly addresses?: readonly string[];
  readonly mtu?: number;
  readonly config?: Config;
  /** Destinations to route into it besides its own networks. */
  readonly routes?: readonly string[];
  readonly env?: Record<string, string>;
}

/** An interface and, except the kernel's, its process. */
export class Tunnel {
  readonly name: string;
  readonly machine: Machine;
  /** Where the interface is. */
  readonly at: Machine;
  process: Process | undefined;
  readonly #options: TunnelOptions;

  private constructor(options: TunnelOptions) {
    this.#options = options;
    this.name = options.name ?? "wg0";
    this.machine = options.machine;
    this.at = options.at ?? options.machine;
  }

  /** Makes an interface and brings it up. */
  static async start(options: TunnelOptions): Promise<Tunnel> {
    const tunnel = new Tunnel(options);
    await tunnel.restart();
    return tunnel;
  }

  /** Runs `wg` where the control socket is. */
  async wg(...words: string[]): Promise<string> {
    return await this.machine.ok("wg", ...words);
  }

  /** Runs `wg set` on this interface. */
  async set(...words: string[]): Promise<void> {
    await this.wg("set", this.name, ...words);
  }

  /** Gives it a configuration through `wg setconf` (or syncconf, addconf). */
  async configure(
    config: Config | string,
    command: "setconf" | "syncconf" | "addconf" = "setconf",
  ): Promise<void> {
    const text = typeof config === "string" ? config : formatConfig(config);
    const file = `${this.machine.scratch}/${this.name}.conf`;
    await this.machine.sh(`umask 077; cat > ${file}; wg ${command} ${this.name} ${file}`, {
      stdin: text,
      timeout: 120_000,
    });
  }

  /** One field of `wg show`, a row per peer, a column per word. */
  async show(field: string): Promise<string[][]> {
    const text = await this.wg("show", this.name, field);
    return text.trimEnd().split("\n").filter((line) => line !== "").map((line) => line.split("\t"));
  }

  /** The endpoint of the only peer. */
  async endpoint(): Promise<string> {
    return (await this.show("endpoints"))[0]![1]!;
  }

  /** Bytes of the only peer. */
  async transfer(): Promise<{ received: number; sent: number }> {
    const [, received, sent] = (await this.show("transfer"))[0]!;
    return { received: Number(received), sent: Number(sent) };
  }

  /** Seconds since 1970 of the only peer's last handshake; 0 if there was none. */
  async latestHandshake(): Promise<number> {
    return Number((await this.show("latest-handshakes"))[0]![1]);
  }

  /** Ends it without warning, as a crash would. The kernel has no process to kill: its interface is deleted. */
  async kill(): Promise<void> {
    if (!this.process) return void await this.machine.ok("ip", "link", "del", this.name);
    await this.process.signal("KILL");
    await this.process.ended;
    this.process = undefined;
  }

  /** Ends it as an administrator would. @returns How its process ended. */
  async stop(signal: "TERM" | "INT" | "QUIT" = "TERM"): Promise<Finished> {
    if (!this.process) {
      await this.machine.ok("ip", "link", "del", this.name);
      return { code: 0, stdout: "", stderr: "" };
    }
    const { process } = this;
    await process.signal(signal);
    const { code } = await process.ended;
    this.process = undefined;
    return { code, stdout: process.output(), stderr: "" };
  }

  /** Makes it again, with the configuration that it was first made with. */
  async restart(): Promise<void> {
    try {
      await this.#create();
    } catch (error) {
      await this.kill().catch(() => {});
      throw error;
    }
  }

  async #create(): Promise<void> {
    const { implementation, addresses = [], mtu = 1420, config, routes = [], at } = this.#options;
    await this.#launch(implementation);
    if (at && this.machine instanceof Host) await this.machine.move(this.name, at);
    if (config) await this.configure(config);
    await addAddresses(this.at, this.name, addresses);
    const lines = [`ip link set ${this.name} mtu ${mtu} up`];
    for (const route of routes) {
      lines.push(`ip ${route.includes(":") ? "-6 " : ""}route add ${route} dev ${this.name}`);
    }
    await this.at.sh(lines.join("\n"));
    if (this.process && config?.listenPort) await this.#bound(config.listenPort);
  }

  /**
   * Waits until its process listens at the port. The kernel binds it before `ip link set up` returns; a process hears of
   * that a moment later. An initiation in between finds the port closed, and the next one comes five seconds later.
   */
  async #bound(port: number): Promise<void> {
    const sockets = () => this.machine.ok("ss", "-Huln", `sport = ${port}`);
    await eventually(`UDP port ${port} of ${this.name}`, async () => await sockets() !== "", { every: 5 });
  }

  async #launch(implementation: Implementation): Promise<void> {
    const { program, env = {} } = this.#options;
    if (implementation === "kernel") {
      await this.machine.ok("ip", "link", "add", this.name, "type", "wireguard");
      return;
    }
    if (!(this.machine instanceof Host)) {
      throw new TypeError(`A guest runs the kernel's WireGuard, not ${implementation}`);
    }
    const command = program === undefined
      ? await daemonCommand(implementation, this.name)
      : [program, "--foreground", this.name];
    const process = await this.machine.start(command, { env });
    this.process = process;
    let code: number | undefined;
    process.ended.then((ended) => code = ended.code);
    try {
      // Not by `wg show`, which deletes a socket that nobody listens on: the daemon is to find and replace it.
      const path = this.machine.path(`/run/wireguard/${this.name}.sock`);
      await eventually(`${this.name} of ${implementation}`, async () => {
        if (code !== undefined) return true;
        (await Deno.connect({ transport: "unix", path })).close();
        return true;
      }, { every: 5 });
    } catch (error) {
      throw new Error(`${(error as Error).message}; it printed: ${process.output()}`);
    }
    if (code !== undefined) throw new Error(`"${command.join(" ")}" ended with ${code}: ${process.output()}`);
  }
}
