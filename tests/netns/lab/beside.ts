/**
 * Runs in a guest, where each start of Deno takes seconds: many commands, each by `wg` and by wgd, in one process.
 *
 *     deno run --allow-all beside.js COMMANDS.json
 *
 * @module
 */

import { run } from "../../../cli/main.ts";
import { renderField } from "../../../cli/render/fields.ts";
import { publicKey } from "../../../core/public_key.ts";
import { Client } from "../../../core/client/client.ts";
import { UapiError } from "../../../core/uapi/lines.ts";
import { interfaceName } from "../../../core/client/system.ts";
import { PretendInterface } from "../../cli/oracle.ts";

/** One command. */
export interface Command {
  /** Words after the program's name. IF stands for an interface: wg gets "theirs", wgd gets "ours". */
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A script for the shell that comes first. */
  readonly before?: string;
  /** What processes at both control sockets answer to `get`, from this command on; by default there are none. */
  readonly reply?: string;
}

/** What one of the programs did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** Without lines that begin with `hint: `, which wgd adds. */
  readonly stderr: string;
  /** What `wg show IF dump` says then. */
  readonly state: string;
}

/** What both did. */
export interface Beside {
  readonly theirs: Outcome;
  readonly ours: Outcome;
  /** What the library says of wgd's interface then, in the form of `wg show IF dump`. */
  readonly read: string;
}

async function program(name: string, args: readonly string[], env = {}): Promise<Omit<Outcome, "state">> {
  const { code, stdout, stderr } = await new Deno.Command(name, { args: [...args], env, stdin: "null" })
    .output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs wgd in this process. */
async function wgd(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Omit<Outcome, "state">> {
  const [stdout, stderr] = [caught(Deno.stdout), caught(Deno.stderr)];
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  try {
    const code = await run([...args]);
    return { code, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    for (const name of Object.keys(env)) Deno.env.delete(name);
    stdout.release();
    stderr.release();
  }
}

/** Keeps what is written to a stream. */
function caught(stream: { writeSync(bytes: Uint8Array): number }): { text(): string; release(): void } {
  const decoder = new TextDecoder();
  const write = stream.writeSync;
  let text = "";
  stream.writeSync = (bytes) => {
    text += decoder.decode(bytes, { stream: true });
    return bytes.length;
  };
  return { text: () => text, release: () => stream.writeSync = write };
}

async function outcome(name: string, { words, env }: Command, run: typeof wgd): Promise<Outcome> {
  const { code, stdout, stderr } = await run(words.map((word) => word.replaceAll("IF", name)), env);
  const { stdout: state } = await program("wg", ["show", name, "dump"]);
  // What tells of all interfaces tells the same to both.
  const named = words.some((word) => word.includes("IF")) ? name : "\0";
  return {
    code,
    stdout: stdout.replaceAll(named, "IF"),
    stderr: stderr.replace(/^hint: .*\n/gm, "").replaceAll(named, "IF"),
    state,
  };
}

/** What the library reads of an interface; nothing if there is none. */
async function dump(name: string): Promise<string> {
  try {
    for await (const state of (await Client.connect(name)).watch()) {
      const own = state.privateKey && publicKey(state.privateKey);
      return [...renderField("dump", state, { prefix: "", publicKey: own, interfaceName })].join("");
    }
  } catch (error) {
    if (!(error instanceof UapiError)) throw error;
  }
  return "";
}

if (import.meta.main) {
  const commands: Command[] = JSON.parse(await Deno.readTextFile(Deno.args[0]!));
  // What wgd would be called as by a link of that name.
  Deno.env.set("WGD_ARGV0", "/usr/bin/wg");
  const outcomes: Beside[] = [];
  // They stay: Deno deletes the socket of a listener some time after it is closed, and by then another may have the path.
  const sockets = new Map<string, PretendInterface>();
  for (const command of commands) {
    if (command.before) await program("sh", ["-ec", command.before]);
    const { reply } = command;
    if (reply !== undefined) {
      for (const name of ["theirs", "ours"]) {
        const answer = (request: string) => request.startsWith("get") ? reply : "errno=0\n\n";
        const socket = sockets.get(name);
        if (socket) socket.reply = answer;
        else sockets.set(name, new PretendInterface(name, answer));
      }
    }
    outcomes.push({
      theirs: await outcome("theirs", command, (args, env) => program("wg", args, env)),
      ours: await outcome("ours", command, wgd),
      read: await dump("ours"),
    });
  }
  console.log(JSON.stringify(outcomes));
  Deno.exit(0);
}
