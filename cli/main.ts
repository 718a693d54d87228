/**
 * The command line: selects the tool and the command.
 *
 * @module
 */

import { isInterfaceName } from "../core/config/interface_name.ts";
import { complainHint } from "./hint.ts";
import { shortName, tool } from "./program.ts";
import { complain, print } from "./render/output.ts";
import { commands } from "./table.ts";

/** The release of wireguard-tools whose behaviour a link named `wg` has. */
const WIREGUARD_TOOLS = "1.0.20260223";

/**
 * Runs one command, and reports errors that it did not report itself.
 *
 * @param args The arguments of the command line.
 * @returns The exit code.
 */
export async function run(args: string[]): Promise<number> {
  try {
    return await main(args);
  } catch (error) {
    report(error);
    return 1;
  }
}

async function main(args: string[]): Promise<number> {
  switch (tool()) {
    case "wg":
      return await wg(args);
    case "wg-quick":
      return await call("quick", args);
    default:
      return await wgd(args);
  }
}

async function wg(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) return await call("show", []);
  if (args.length === 1 && isVersion(name)) {
    print(`wireguard-tools v${WIREGUARD_TOOLS} - https://git.zx2c4.com/wireguard-tools/\n`);
    return 0;
  }
  const { overview } = await import("./commands/help.ts");
  if (args.length === 1 && isHelp(name)) {
    print(overview());
    return 0;
  }
  if (commands.get(name)?.wg) return await call(name, rest);
  complain(`Invalid subcommand: \`${name}'`);
  complain(overview().trimEnd());
  return 1;
}

async function wgd(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) return await call(await isFirstMeeting() ? "help" : "show", []);
  if (isVersion(name)) return await version();
  if (isHelp(name)) return await call("help", rest);
  if (commands.has(name)) {
    // wg's own commands handle --help as wg does. In a command line that is being completed, --help is not a request
    // for help.
    const asked = !commands.get(name)!.wg && asksForHelp(rest);
    return asked ? await call("help", [name]) : await call(name, rest);
  }
  if (name === "-f" || name === "--foreground" || args.length === 1 && isInterface(name)) {
    return await call("run", args);
  }
  complain(`Invalid subcommand: \`${name}'`);
  const { nearest } = await import("../core/config/nearest.ts");
  const near = nearest(name, [...commands.keys()]);
  complain(`hint: ${near ? `did you mean "wgd ${near}"? ` : ""}"wgd help" lists all commands`);
  return 1;
}

/** Whether to show help because there is no interface yet. Scripts expect no output, as with wg. */
async function isFirstMeeting(): Promise<boolean> {
  if (!Deno.stdout.isTerminal()) return false;
  const { listTunnels } = await import("../core/client/listing.ts");
  return (await listTunnels().catch(() => [])).length === 0;
}

/** Whether a single word is an interface to run: because wg-quick calls wgd, or because it looks like an interface. */
function isInterface(word: string): boolean {
  if (!isInterfaceName(word) || word.startsWith("-")) return false;
  return Deno.env.has("WG_QUICK_USERSPACE_IMPLEMENTATION") || /^[a-z][\w.-]*\d$/i.test(word);
}

function isVersion(word: string): boolean {
  return word === "-v" || word === "--version" || word === "version";
}

function isHelp(word: string): boolean {
  return word === "-h" || word === "--help" || word === "help";
}

function asksForHelp(words: readonly string[]): boolean {
  return words[0] !== "--words" && words.some((word) => word === "-h" || word === "--help");
}

async function version(): Promise<number> {
  const { default: { version } } = await import("../deno.json", { with: { type: "json" } });
  print(`wgd ${version}\n`);
  return 0;
}

async function call(name: string, args: string[]): Promise<number> {
  const command = await commands.get(name)!.load();
  return await command(args);
}

/** Reports an error: one line if its cause is outside of wgd, a stack trace if it is a bug of wgd. */
function report(error: unknown): void {
  const known = error instanceof Error &&
      /^(System|Uapi|Value|Feature|Config|Quick|Step|Qr|Peers|Install|File|ForeignLink|Init|Backup|Import|Keeper|Listen|Schema|Taken|Endpoint|Subnet|Database|PostgresAddress)Error$/
        .test(
          error.name,
        ) ||
    Object.values(Deno.errors).some((kind) => error instanceof kind);
  if (known) complain(`${shortName()}: ${(error as Error).message}`);
  else complain(error instanceof Error ? error.stack ?? error.message : String(error));
  if (known) complainHint(error);
}

// Deno.exit does not wait for resources that a command left open.
if (import.meta.main) Deno.exit(await run([...Deno.args]));
