/**
 * `wgd quick`: wg-quick.
 *
 * @module
 */

import { isPossibleName, nameOf } from "../../core/config/interface_name.ts";
import { isModuleLoaded } from "../../core/quick/kernel_module.ts";
import { shortName, tool } from "../program.ts";
import { complain } from "../render/output.ts";
import { parseLanes } from "../../core/config/lanes.ts";
import { startWaiting } from "../self.ts";
import type { QuickArguments } from "./quick_actions.ts";

/** The actions of wg-quick, and those of wgd. */
const ACTIONS = /^(up|down|save|strip)$/;
const OUR_ACTIONS = /^(up|down|save|strip|reload|check|status|watch)$/;

/** Brings interfaces up and down by their files. */
export async function quick(args: string[]): Promise<number> {
  if (args.length === 1 && /^(-h|--help|help)$/.test(args[0]!)) {
    complain(usage());
    return 0;
  }
  const original = tool() === "wg-quick";
  const words = original ? { ...NO_OPTIONS, plain: args } : readOptions(args);
  const { plain: [action = "", target, ...rest], dryRun, json, force, interfaceName, backendName, lanes } =
    words;
  const misused = !(original ? ACTIONS : OUR_ACTIONS).test(action) || rest.length > 0 ||
    target === undefined && action !== "status" ||
    dryRun && !/^(up|down|reload)$/.test(action) || json && action !== "status" ||
    force && action !== "down" ||
    interfaceName !== undefined && !/^(up|down|reload|save|check)$/.test(action) ||
    backendName !== undefined && action !== "up" ||
    lanes !== undefined && (action !== "up" || parseLanes(lanes) === undefined);
  if (misused) {
    complain(usage());
    return 1;
  }
  // Like the variable, it takes precedence over the file.
  if (lanes !== undefined) Deno.env.set("WGD_LANES", lanes);
  const name = interfaceName ?? (target === undefined ? undefined : nameOf(target));
  // wg-quick's variable for another program that makes interfaces.
  const creator = Deno.env.get("WG_QUICK_USERSPACE_IMPLEMENTATION") || undefined;
  const backend = backendName !== undefined
    ? { text: backendName, from: "--backend" }
    : environmentBackend(creator);
  const ours = action === "up" && !dryRun && Deno.uid() === 0 && creator === undefined;
  const likely = backend?.text === "wgd" || backend?.text !== "kernel" && !isModuleLoaded();
  // It loads while this process reads the file and the system's state.
  const waiting = ours && likely && name !== undefined && isPossibleName(name)
    ? startWaiting(name)
    : undefined;
  try {
    const { perform } = await import("./quick_actions.ts");
    return await perform(
      { action, target, dryRun, json, force, interfaceName, creator, ours, backend },
      args,
      waiting,
    );
  } finally {
    await waiting?.dismiss();
  }
}

interface Options {
  /** The other words: an action and its argument. */
  readonly plain: readonly string[];
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly force: boolean;
  readonly interfaceName: string | undefined;
  readonly backendName: string | undefined;
  readonly lanes: string | undefined;
}

const NO_OPTIONS = {
  dryRun: false,
  json: false,
  force: false,
  interfaceName: undefined,
  backendName: undefined,
  lanes: undefined,
};

/** Parses the options without `parseArgs`, because loading it would make each start a tenth longer. */
function readOptions(args: readonly string[]): Options {
  const plain: string[] = [];
  let [dryRun, json, force] = [false, false, false];
  let interfaceName: string | undefined;
  let backendName: string | undefined;
  let lanes: string | undefined;
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!;
    if (word === "--dry-run") dryRun = true;
    else if (word === "--json") json = true;
    else if (word === "--force") force = true;
    else if (word.startsWith("--interface=")) interfaceName = word.slice("--interface=".length);
    else if (word === "--interface" && at + 1 < args.length) interfaceName = args[++at];
    else if (word.startsWith("--backend=")) backendName = word.slice("--backend=".length);
    else if (word === "--backend" && at + 1 < args.length) backendName = args[++at];
    else if (word.startsWith("--lanes=")) lanes = word.slice("--lanes=".length);
    else if (word === "--lanes" && at + 1 < args.length) lanes = args[++at];
    else plain.push(word);
  }
  return { plain, dryRun, json, force, interfaceName, backendName, lanes };
}

/** The backend from the environment. If another program for interfaces is set, it is `wgd`. */
function environmentBackend(creator: string | undefined): QuickArguments["backend"] {
  const text = Deno.env.get("WGD_BACKEND");
  if (text) return { text, from: "WGD_BACKEND" };
  return creator === undefined ? undefined : { text: "wgd", from: "WG_QUICK_USERSPACE_IMPLEMENTATION" };
}

function usage(): string {
  if (tool() === "wg-quick") {
    return `Usage: ${shortName()} [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]\n\n${TARGETS}`;
  }
  return `Usage: ${shortName()} quick up [ CONFIG_FILE | INTERFACE ] [ --backend auto | kernel | wgd ] [ --lanes auto | NUMBER ] [ --dry-run ] [ --interface NAME ]
       ${shortName()} quick down [ CONFIG_FILE | INTERFACE ] [ --force ] [ --dry-run ] [ --interface NAME ]
       ${shortName()} quick reload [ CONFIG_FILE | INTERFACE ] [ --dry-run ] [ --interface NAME ]
       ${shortName()} quick [ save | check ] [ CONFIG_FILE | INTERFACE ] [ --interface NAME ]
       ${shortName()} quick [ strip | watch ] [ CONFIG_FILE | INTERFACE ]
       ${shortName()} quick status [ CONFIG_FILE | INTERFACE ] [ --json ]\n\n${TARGETS}`;
}

const TARGETS = `  CONFIG_FILE is a configuration file, whose filename is the interface name
  followed by \`.conf'. Otherwise, INTERFACE is an interface name, with
  configuration found at /etc/wireguard/INTERFACE.conf.`;
