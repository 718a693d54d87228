/**
 * Finds out what to do about a failed step. The program's own message does not always help, so this checks the system
 * for the cause. It never guesses.
 *
 * @module
 */

import { diagnoseDevice } from "../client/devices.ts";
import type { FileError } from "../file_error.ts";
import { IPV6_MIN_MTU } from "../config/pitfalls.ts";
import type { Step } from "./plan/step.ts";
import { readProgram, succeeds } from "./run_program.ts";
import { isUdpPortTaken } from "./udp_port.ts";

/** Debian's package of each program that steps call. */
const PACKAGES: Readonly<Record<string, string>> = {
  "bash": "bash",
  "ip": "iproute2",
  "ip6tables-restore": "iptables",
  "iptables-restore": "iptables",
  "nft": "nftables",
  "resolvconf": "openresolv",
  "resolvectl": "systemd-resolved",
};

/** Returns how to install a program. */
export function adviseMissing(program: string): string {
  const name = PACKAGES[program];
  return name === undefined ? `install it, or see PATH` : `install it; Debian's package is ${name}`;
}

/**
 * Returns why a step failed and what to do about it.
 *
 * @param name The interface, in the state in which the step left it.
 * @param step The step.
 * @param code Its exit code.
 */
export async function adviseStep(name: string, step: Step, code: number): Promise<string> {
  const cause = step.kind === "hook"
    ? `the hook "${step.script}" of the file failed with exit code ${code}`
    : step.kind === "command"
    ? await adviseCommand(name, step.command, code)
    : undefined;
  return cause ?? `its exit code was ${code}; see its output above`;
}

async function adviseCommand(
  name: string,
  command: readonly string[],
  code: number,
): Promise<string | undefined> {
  switch (command[0]) {
    case "ip":
      if (command[1] === "link") return await adviseLink(name);
      return command[1] === "-6" && await adviseIPv6(name) || await adviseIp(name, command, code);
    case "nft":
      return await succeeds(["nft", "list", "tables"])
        ? "the kernel refuses these rules; load what they need: modprobe -a nft_ct nft_fib_ipv4 nft_fib_ipv6" +
          CONTAINER
        : `the kernel has no nf_tables; load it: modprobe nf_tables${CONTAINER}; or remove nft to use iptables`;
    case "iptables-restore":
    case "ip6tables-restore":
      return await adviseIptables(command[0]);
    default:
      return undefined;
  }
}

/** A container cannot load modules. Its host must load them. */
const CONTAINER = " (in a container: on its host)";

async function adviseIp(
  name: string,
  [, family, object, verb, subject, ...words]: readonly string[],
  code: number,
): Promise<string | undefined> {
  if (verb !== "add") return undefined;
  if (object === "address") {
    const has = (await readProgram(["ip", "-oneline", family!, "address", "show", "dev", name])).includes(
      ` ${subject} `,
    );
    return has
      ? `${name} already has the address ${subject}: it is in the file twice, or a hook added it`
      : undefined;
  }
  if (object !== "route") return undefined;
  const [, table] = /\btable (\S+)/.exec(words.join(" ")) ?? [];
  if (table !== undefined && /\D/.test(table) && code === 255) {
    return `no routing table has the name "${table}"; use a number, or add the name to /etc/iproute2/rt_tables`;
  }
  const where = table === undefined ? [] : ["table", table];
  const [route] = (await readProgram(["ip", family!, "route", "show", subject!, ...where])).split("\n");
  return route
    ? `there is already a route to ${subject}: ${route.trim()}; remove ${subject} from AllowedIPs, ` +
      "or set the routes yourself with Table = off"
    : undefined;
}

/**
 * Why an interface cannot be set up. The kernel's WireGuard binds its UDP port when the interface is set up, so a port
 * that is in use fails here. A wgd process has already bound it.
 */
async function adviseLink(name: string): Promise<string | undefined> {
  const device = await diagnoseDevice(name).catch(() => undefined);
  const port = device?.backend === "kernel" ? device.state.listenPort : 0;
  if (port === 0 || !await isUdpPortTaken(port)) return undefined;
  return `another program uses UDP port ${port}; choose another ListenPort, or see which it is: ss -lunp`;
}

/** Why an interface has no IPv6; undefined if it has. */
async function adviseIPv6(name: string): Promise<string | undefined> {
  const fix = "remove the IPv6 addresses and networks from the file";
  const isOff = async (of: string) =>
    await Deno.readTextFile(`/proc/sys/net/ipv6/conf/${of}/disable_ipv6`).then((text) => text === "1\n");
  try {
    const [all, byDefault] = [await isOff("all"), await isOff("default")];
    const off = await isOff(name).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return null;
    });
    if (off === null) {
      return `the MTU of ${name} is too small for IPv6, which needs ${IPV6_MIN_MTU}; set MTU = ${IPV6_MIN_MTU} or ` +
        `more, or ${fix}`;
    }
    if (!off) return undefined;
    const keys = [...all ? ["all"] : [], ...byDefault ? ["default"] : []].map((of) =>
      `net.ipv6.conf.${of}.disable_ipv6=0`
    );
    return `IPv6 is turned off on ${name} (net.ipv6.conf.${name}.disable_ipv6 = 1); ` +
      (keys.length > 0
        ? `turn it on: sysctl ${keys.join(" ")} (Docker: ${
          keys.map((key) => `--sysctl ${key}`).join(" ")
        }), or ${fix}`
        : `perhaps by a hook; keep it on, or ${fix}`);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return undefined;
    return `this kernel has no IPv6 (see /proc/cmdline: ipv6.disable); ${fix}`;
  }
}

async function adviseIptables(program: string): Promise<string> {
  const module = program === "iptables-restore" ? "iptable" : "ip6table";
  for (const table of ["raw", "mangle"]) {
    if (await succeeds([program, "-n", "--test"], `*${table}\nCOMMIT\n`)) continue;
    return `the kernel has no table "${table}" for iptables; load it: modprobe ${module}_${table}${CONTAINER}, ` +
      "or install nftables";
  }
  return `the kernel refuses these rules; load what they need: modprobe -a xt_addrtype xt_comment xt_connmark xt_mark` +
    CONTAINER;
}

/** Returns what to do about a kernel parameter that could not be set. */
export function adviseSysctl(assignment: string, error: FileError): string {
  return `/proc/sys cannot be written here (${error.reason}); on the machine or the container's host: ` +
    `sysctl ${assignment}; for Docker: --sysctl ${assignment}`;
}
