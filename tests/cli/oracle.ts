/**
 * Runs Debian's `wg` and wgd side by side. Each gets a simulated interface, which answers `get` with the test's reply
 * and stores the `set` requests. The same bytes on the control socket mean the same effect.
 *
 * @module
 */

import { TextLineStream } from "./text_lines.ts";
import { formatPrefix, parsePrefix } from "../../core/config/prefix.ts";

const SOCKETS = "/var/run/wireguard";
const main = new URL("../../cli/main.ts", import.meta.url).pathname;
const encoder = new TextEncoder();

/** The result of a program. */
export interface Outcome {
  code: number;
  stdout: string;
  /** Without the lines that begin with `hint: `, which wgd adds. */
  stderr: string;
  /** The requests to the interface. */
  requests: string[];
}

/** How to run a program. */
export interface RunOptions {
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
  /** A bash script in place of a call: `"$@"` is the program, `IF` the interface. */
  script?: string;
}

/** Debian's program, which uses this path as its name. */
const wg = findProgram("wg");

/** Whether both programs can be compared here: Debian's `wg` is installed and we may make sockets. */
export const canCompare: boolean = wg !== undefined && Deno.uid() === 0;

/** Finds a program as a shell would. */
export function findProgram(name: string): string | undefined {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** A simulated interface: only a control socket. */
export class PretendInterface {
  readonly requests: string[] = [];
  readonly #listener: Deno.UnixListener;

  /** @param reply The reply to each request. */
  constructor(readonly name: string, public reply: (request: string) => string) {
    Deno.mkdirSync(SOCKETS, { recursive: true });
    this.#listener = Deno.listen({ transport: "unix", path: `${SOCKETS}/${name}.sock` });
    this.#serve();
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) this.#answer(connection).catch(() => {});
  }

  async #answer(connection: Deno.UnixConn): Promise<void> {
    using _connection = connection;
    const buffer = new Uint8Array(1 << 16);
    const decoder = new TextDecoder();
    let request = "";
    while (!request.endsWith("\n\n")) {
      const length = await connection.read(buffer);
      // wg connects once only to check whether a process listens.
      if (length === null) return;
      request += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
    this.requests.push(request);
    const reply = encoder.encode(this.reply(request));
    for (let sent = 0; sent < reply.length;) sent += await connection.write(reply.subarray(sent));
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    try {
      Deno.removeSync(`${SOCKETS}/${this.name}.sock`);
    } catch {
      // Already gone.
    }
  }
}

/** One simulated interface for each program, with names of the same length. */
export class Pair {
  readonly theirs: PretendInterface;
  readonly ours: PretendInterface;

  #resident: Resident | undefined;

  /** @param reply What both interfaces answer. */
  constructor(reply: (request: string) => string) {
    const number = Deno.pid % 100000;
    this.theirs = new PretendInterface(`wgct${number}`, reply);
    this.ours = new PretendInterface(`wgco${number}`, reply);
  }

  /** Sets the reply of both. */
  set reply(reply: (request: string) => string) {
    this.theirs.reply = reply;
    this.ours.reply = reply;
  }

  /**
   * Runs both with the same words, in which `IF` is replaced by the interface. Returns the results of Debian's and
   * ours.
   */
  async run(args: readonly string[], options: RunOptions = {}): Promise<[Outcome, Outcome]> {
    return await Promise.all([
      runOn(this.theirs, wg!, [], args, options),
      runOn(this.ours, ...wgd(), args, options),
    ]);
  }

  /** Like `run`, but ours runs in a persistent process, for thousands of calls. */
  async runMany(args: readonly string[], env: Record<string, string> = {}): Promise<[Outcome, Outcome]> {
    this.#resident ??= new Resident();
    return await Promise.all([
      runOn(this.theirs, wg!, [], args, { env }),
      this.#resident.run(this.ours, args, env),
    ]);
  }

  [Symbol.dispose](): void {
    this.#resident?.[Symbol.dispose]();
    this.theirs[Symbol.dispose]();
    this.ours[Symbol.dispose]();
  }
}

/** wgd in a process that runs one command after the other. */
class Resident {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  constructor() {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--quiet", "-A", new URL("resident.ts", import.meta.url).pathname],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#answers = this.#child.stdout.pipeThrough(new TextLineStream()).getReader();
  }

  async run(
    device: PretendInterface,
    args: readonly string[],
    env: Record<string, string>,
  ): Promise<Outcome> {
    device.requests.length = 0;
    const command = {
      args: args.map((word) => word.replaceAll("IF", device.name)),
      env: { ...ENVIRONMENT, ...calledAs(wg!), ...env },
    };
    await this.#input.write(encoder.encode(`${JSON.stringify(command)}\n`));
    const { value, done } = await this.#answers.read();
    if (done) throw new Error(`wgd has ended in the middle of ${JSON.stringify(args)}`);
    return outcome(device, JSON.parse(value));
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}

/** wgd's executable and the words before its arguments: the one in WGD_TEST_PROGRAM, else the sources. */
export function wgd(): [string, string[]] {
  const program = Deno.env.get("WGD_TEST_PROGRAM");
  return program ? [program, []] : [Deno.execPath(), ["run", "--no-check", "-A", main]];
}

/** The environment in which the sources, and the built executable, see a name as that of the program. */
export function calledAs(name: string): Record<string, string> {
  return { WGD_ARGV0: name, WGD_AS: name };
}

async function runOn(
  device: PretendInterface,
  program: string,
  before: string[],
  args: readonly string[],
  { env = {}, stdin, script }: RunOptions,
): Promise<Outcome> {
  device.requests.length = 0;
  const named = (word: string) => word.replaceAll("IF", device.name);
  const call = [program, ...before, ...args.map(named)];
  const [first, ...rest] = script === undefined ? call : ["bash", "-c", named(script), "bash", ...call];
  const child = new Deno.Command(first!, {
    args: rest,
    env: { ...ENVIRONMENT, ...calledAs(wg!), ...env },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    // A program that needs no more input closes its end.
    await writer.write(typeof stdin === "string" ? encoder.encode(stdin) : stdin).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  return outcome(device, { code, stdout: decodeLatin1(stdout), stderr: decodeLatin1(stderr) });
}

/** Name servers answer at once or not at all. */
const ENVIRONMENT = { WG_ENDPOINT_RESOLUTION_RETRIES: "0" };

/** The comparable part: each program has its own interface, and wgd's additional lines are left out. */
function outcome(
  device: PretendInterface,
  { code, stdout, stderr }: { code: number; stdout: string; stderr: string },
): Outcome {
  const lines = stderr.split("\n").filter((line) => !line.startsWith("hint: "));
  return {
    code,
    stdout: stdout.replaceAll(device.name, "IF"),
    stderr: lines.join("\n").replaceAll(device.name, "IF"),
    requests: device.requests.map(clearHostBits),
  };
}

/** wg leaves the clearing of 10.0.0.1/8 to the interface; wgd clears it. */
function clearHostBits(request: string): string {
  return request.replace(/^(allowed_ip=-?)(.*)$/gm, (line, key, prefix) => {
    const cleared = parsePrefix(prefix);
    return cleared ? key + formatPrefix(cleared) : line;
  });
}

/** One character for each byte, so that outputs which are not UTF-8 compare exactly. */
function decodeLatin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
