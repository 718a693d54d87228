/**
 * Debian's `wg` and wgd side by side: each gets an interface that only pretends, which answers `get` with what the test
 * says and keeps what `set` asks for. The same bytes on the control socket mean the same effect.
 *
 * @module
 */

import { formatPrefix, parsePrefix } from "../../core/config/prefix.ts";

const SOCKETS = "/var/run/wireguard";
const main = new URL("../../cli/main.ts", import.meta.url).pathname;
const encoder = new TextEncoder();

/** What a program did. */
export interface Outcome {
  code: number;
  stdout: string;
  /** Without the lines that begin with `hint: `, which wgd adds. */
  stderr: string;
  /** What was asked of the interface. */
  requests: string[];
}

/** How to run a program. */
export interface RunOptions {
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
}

/** Debian's program; it calls itself by this path. */
const wg = findProgram("wg");

/** Whether both programs can be compared here: Debian's `wg` is installed and we may make sockets. */
export const canCompare: boolean = wg !== undefined && Deno.uid() === 0;

/** Finds a program as a shell would. */
export function findProgram(name: string): string | undefined {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    try {
      if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
    } catch {
      // Not here.
    }
  }
  return undefined;
}

/** An interface that is nothing but a control socket. */
export class PretendInterface {
  readonly requests: string[] = [];
  readonly #listener: Deno.UnixListener;

  /** @param reply What to answer to a request. */
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
      // wg connects once just to see whether somebody listens.
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

/** One pretended interface for each program, with names of the same length. */
export class Pair {
  readonly theirs: PretendInterface;
  readonly ours: PretendInterface;

  constructor(reply: (request: string) => string) {
    const number = Deno.pid % 100000;
    this.theirs = new PretendInterface(`wgct${number}`, reply);
    this.ours = new PretendInterface(`wgco${number}`, reply);
  }

  /** Sets what both answer. */
  set reply(reply: (request: string) => string) {
    this.theirs.reply = reply;
    this.ours.reply = reply;
  }

  /** Runs both with the same words, in which `IF` stands for the interface; returns Debian's outcome and ours. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<[Outcome, Outcome]> {
    return await Promise.all([
      runOn(this.theirs, wg!, [], args, options),
      runOn(this.ours, ...wgd(), args, options),
    ]);
  }

  [Symbol.dispose](): void {
    this.theirs[Symbol.dispose]();
    this.ours[Symbol.dispose]();
  }
}

/** wgd's executable and what goes before its arguments: a built one by WGD_TEST_PROGRAM, else the sources. */
export function wgd(): [string, string[]] {
  const program = Deno.env.get("WGD_TEST_PROGRAM");
  return program ? [program, []] : [Deno.execPath(), ["run", "--no-check", "-A", main]];
}

/** The environment of a program called by a name: as the sources learn it, and as the built executable does. */
export function calledAs(name: string): Record<string, string> {
  return { WGD_ARGV0: name, WGD_AS: name };
}

async function runOn(
  device: PretendInterface,
  program: string,
  before: string[],
  args: readonly string[],
  { env = {}, stdin }: RunOptions,
): Promise<Outcome> {
  device.requests.length = 0;
  const child = new Deno.Command(program, {
    args: [...before, ...args.map((word) => word.replaceAll("IF", device.name))],
    env: { WG_ENDPOINT_RESOLUTION_RETRIES: "0", ...calledAs(wg!), ...env },
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    // A program that has seen enough closes its end.
    await writer.write(typeof stdin === "string" ? encoder.encode(stdin) : stdin).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => decodeLatin1(bytes).replaceAll(device.name, "IF");
  return {
    code,
    stdout: text(stdout),
    stderr: text(stderr).split("\n").filter((line) => !line.startsWith("hint: ")).join("\n"),
    requests: device.requests.map(clearHostBits),
  };
}

/** wg leaves 10.0.0.1/8 for the interface to clear, we clear it ourselves. */
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
