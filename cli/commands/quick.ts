/**
 * `wgd quick`: wg-quick.
 *
 * @module
 */

import type { SocketAddress } from "../../core/config/endpoint.ts";
import {
  ConfigError,
  parseQuickConfig,
  parseWgConfig,
  type QuickConfig,
  type WgConfig,
} from "../../core/config/parse.ts";
import { ValueError } from "../../core/config/values.ts";
import { type Actions, apply, StepError } from "../../core/quick/apply.ts";
import { downFacts, upFacts } from "../../core/quick/facts.ts";
import { planDown, planUp } from "../../core/quick/plan.ts";
import { getDevice, listInterfaces, setDevice } from "../../core/uapi/client.ts";
import { toChange } from "../../core/uapi/convert.ts";
import { UapiError } from "../../core/uapi/format.ts";
import { servicePort } from "../../core/uapi/system.ts";
import { resolve } from "../endpoint.ts";
import { decodeText, readBytes } from "../input.ts";
import { programName, tool } from "../program.ts";
import { complain, complainBytes, print } from "../render/output.ts";
import { strerror } from "../render/strerror.ts";
import { selfCommand } from "../self.ts";

const FOLDER = "/etc/wireguard";
const NAME = /^[a-zA-Z0-9_=+.-]{1,15}$/;
/** How long the process behind a deleted interface may take to remove its socket. */
const GONE_TIMEOUT = 2_000;

/** A failure that has a sentence for the user; nothing else needs to be said. */
class Failure extends Error {
  constructor(message: string, readonly hint?: string, readonly code = 1) {
    super(message);
  }
}

/** A configuration file, read. */
interface Source {
  readonly name: string;
  readonly path: string;
  readonly quick: QuickConfig;
}

/** Brings interfaces up and down by their files. */
export async function quick(args: string[]): Promise<number> {
  const [action, target] = args;
  if (args.length === 1 && /^(-h|--help|help)$/.test(action!)) {
    complain(usage());
    return 0;
  }
  if (args.length !== 2 || !/^(up|down|strip)$/.test(action!)) {
    complain(usage());
    return 1;
  }
  try {
    const elevated = await elevate(args);
    if (elevated !== undefined) return elevated;
    const source = await readSource(target!);
    switch (action) {
      case "up":
        return await up(source);
      case "down":
        return await down(source);
      default:
        print(`${source.quick.wg}\n`);
        return 0;
    }
  } catch (error) {
    return report(error);
  }
}

function usage(): string {
  const name = tool() === "wg-quick" ? programName() : `${programName()} quick`;
  return `Usage: ${name} [ up | down | strip ] [ CONFIG_FILE | INTERFACE ]

  CONFIG_FILE is a configuration file, whose filename is the interface name
  followed by \`.conf'. Otherwise, INTERFACE is an interface name, with
  configuration found at ${FOLDER}/INTERFACE.conf.`;
}

/** Interfaces are root's business: as wg-quick does, the same command is run again by sudo. */
async function elevate(args: string[]): Promise<number | undefined> {
  if (Deno.uid() === 0) return undefined;
  const self = selfCommand();
  const prompt = `${programName()} must be run as root. Please enter the password for %u to continue: `;
  try {
    const { code } = await new Deno.Command("sudo", {
      args: ["-p", prompt, "--", self.command, ...self.args, "quick", ...args],
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    return code;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Failure(
      "must be run as root",
      "this machine has no sudo; become root first, for example by su",
    );
  }
}

/** Finds and reads the file: the one of that name if there is one, else the interface's in /etc/wireguard. */
async function readSource(target: string): Promise<Source> {
  const here = await Deno.stat(target).then(({ isDirectory }) => !isDirectory, () => false);
  const path = !here && NAME.test(target) ? `${FOLDER}/${target}.conf` : target;
  const stat = await Deno.stat(path).catch(() => null);
  if (stat === null || stat.isDirectory) {
    const looked = path === target ? "" : `looked for "${target}" here and for ${path}`;
    throw new Failure(`\`${path}' does not exist`, looked || undefined);
  }
  const name = /(?:^|\/)([a-zA-Z0-9_=+.-]{1,15})\.conf$/.exec(path)?.[1];
  if (name === undefined) {
    throw new Failure("The config file must be a valid interface name, followed by .conf");
  }
  const folder = await Deno.stat(path.includes("/") ? path.replace(/\/[^/]*$/, "") || "/" : ".");
  if (stat.isFile && ((stat.mode ?? 0) & (folder.mode ?? 0) & 0o007) !== 0) {
    complain(`Warning: \`${path}' is world accessible`);
  }
  const { text, encode } = decodeText(await readBytes(path));
  try {
    return { name, path, quick: parseQuickConfig(text, path) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    complainBytes(encode(`${programName()}: ${error.message}\n`));
    complainBytes(encode(`${error.hint}\n`));
    throw new Failure("");
  }
}

async function up({ name, path, quick }: Source): Promise<number> {
  if (await exists(name)) {
    throw new Failure(`\`${name}' already exists`, `take it down first: ${programName()} quick down ${name}`);
  }
  // Everything that can be wrong with the file is found before the first step.
  const { config, endpoints } = await readWg(path, quick);
  const facts = await upFacts(endpoints.filter((endpoint) => endpoint !== undefined));
  const steps = planUp(name, quick.quick, config, facts);
  const interrupted = new AbortController();
  const abort = () => interrupted.abort(new Failure("interrupted; everything was undone", undefined, 130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, abort);
  const create = creation(name);
  const actions: Actions = {
    announce: (text) => complain(`[#] ${text}`),
    createEcho: [...create.shown, name].join(" "),
    create: () => create.run(),
    configureEcho: `wg addconf ${name} /dev/fd/63`,
    configure: async () => {
      try {
        await setDevice(name, toChange(config, endpoints, "add"));
      } catch (error) {
        if (!(error instanceof UapiError)) throw error;
        throw refused(error, path, quick);
      }
    },
    setFwmark: (fwmark) => setDevice(name, { fwmark, replacePeers: false, peers: [] }),
    signal: interrupted.signal,
  };
  try {
    await apply(name, steps, actions);
    return 0;
  } catch (error) {
    await gone(name);
    throw error;
  }
}

async function down({ name, quick }: Source): Promise<number> {
  if (!(await listInterfaces()).includes(name)) throw new Failure(`\`${name}' is not a WireGuard interface`);
  const facts = await downFacts(name, await getDevice(name));
  await apply(name, planDown(name, quick.quick, facts), {
    announce: (text) => complain(`[#] ${text}`),
    createEcho: "",
    create: () => Promise.resolve(),
    configureEcho: "",
    configure: () => Promise.resolve(),
    setFwmark: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  await gone(name);
  return 0;
}

/** Reads what is left for `wg`, and looks the endpoints up. */
async function readWg(
  path: string,
  quick: QuickConfig,
): Promise<{ config: WgConfig; endpoints: (SocketAddress | undefined)[] }> {
  let config: WgConfig;
  try {
    config = parseWgConfig(quick.wg, { file: path, lines: quick.wgLines, servicePort, warn: complain });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    complain(error.message);
    throw new Failure("Configuration parsing error", error.hint);
  }
  const endpoints: (SocketAddress | undefined)[] = [];
  for (const { endpoint, endpointLine = 0 } of config.peers) {
    try {
      endpoints.push(endpoint && await resolve(endpoint));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      complain(error.message);
      const { hint } = new ConfigError(error.message, path, endpointLine, "Endpoint", error.advice);
      throw new Failure("Configuration parsing error", hint);
    }
  }
  return { config, endpoints };
}

/** How the interface is made: by ourselves, or by the program that wg-quick's variable names. */
function creation(name: string): { shown: string[]; run: () => Promise<void> } {
  const other = Deno.env.get("WG_QUICK_USERSPACE_IMPLEMENTATION");
  const self = selfCommand();
  const command = other ? [other, name] : [self.command, ...self.args, "run", name];
  return {
    shown: other ? [other] : ["wgd", "run"],
    run: async () => {
      const [program, ...args] = command;
      const { code } = await new Deno.Command(program!, {
        args,
        stdin: "null",
        stdout: "null",
        stderr: "inherit",
      })
        .output();
      if (code !== 0) throw new StepError([...(other ? [other] : ["wgd", "run"]), name].join(" "), code);
    },
  };
}

/** Words for what the interface did not take, with the line of the file that asked for it. */
function refused(error: UapiError, path: string, quick: QuickConfig): Failure {
  const text = strerror(error.errno);
  const key = text === "Address already in use" ? "ListenPort" : undefined;
  const lines = quick.wg.split("\n");
  const at = key
    ? lines.findIndex((line) => line.toLowerCase().replace(/\s/g, "").startsWith("listenport="))
    : -1;
  const hint = at < 0
    ? undefined
    : `hint: ${path}:${
      quick.wgLines[at]
    }: ${key}: another program uses this UDP port; choose another one, or see ` +
      "which it is: ss -lunp";
  return new Failure(`Unable to modify interface: ${text}`, hint);
}

async function exists(name: string): Promise<boolean> {
  return await Deno.lstat(`/sys/class/net/${name}`).then(() => true, () => false);
}

/** Waits until the process behind an interface has cleaned up after itself. */
async function gone(name: string): Promise<void> {
  const socket = `/var/run/wireguard/${name}.sock`;
  for (let waited = 0; waited < GONE_TIMEOUT; waited += 10) {
    if (!await Deno.lstat(socket).then(() => true, () => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function report(error: unknown): number {
  if (error instanceof Failure) {
    if (error.message) complain(`${programName()}: ${error.message}`);
    if (error.hint) complain(error.hint.startsWith("hint: ") ? error.hint : `hint: ${error.hint}`);
    return error.code;
  }
  // The program that failed has said why; wg-quick ends with its exit code.
  if (error instanceof StepError) return error.code;
  throw error;
}
