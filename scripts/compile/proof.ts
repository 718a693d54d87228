/**
 * Tests an executable.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };

/** What was tested, and what could not be tested here. */
export interface Proof {
  readonly proved: readonly string[];
  readonly notProved: readonly string[];
}

/** An executable does not work as expected. */
export class ProofError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "ProofError";
}

/** The maximum time of one command in milliseconds. The first one unpacks 98 MB. */
const COMMAND_TIMEOUT = 60_000;

/** RFC 7748, section 6.1: Alice's keys. */
const PRIVATE_KEY = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
const PUBLIC_KEY = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

/**
 * Starts and stops an interface in new namespaces, so that its name and its control socket do not conflict with others.
 * `$@` is the executable. Exit code 77 means that this machine lacks something.
 */
const INTERFACE = `
  [ -c /dev/net/tun ] && ( exec 3<>/dev/net/tun ) 2>/dev/null || { echo "/dev/net/tun cannot be opened"; exit 77; }
  mount -t tmpfs none /var/run 2>/dev/null || { echo "no folder for its control socket"; exit 77; }
  socket=/var/run/wireguard/proof0.sock
  trap 'rm -f $socket' EXIT
  "$@" run proof0 || exit 1
  "$@" show proof0 || exit 1
  rm $socket
  tries=0
  while grep -q proof0: /proc/self/net/dev; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "it goes on without its control socket"; exit 1; }
    sleep 0.1
  done
`;

/**
 * Tries an executable: its version, keys, an interface's start and end.
 *
 * @param command The executable, with arguments before those of the test.
 * @throws {ProofError} If it does not work as expected.
 */
export async function prove(command: readonly string[]): Promise<Proof> {
  // Uses a temporary cache, so that nothing is left in the caches of this machine.
  const cache = await Deno.makeTempDir({ prefix: "wgd-proof-" });
  const environment = { XDG_CACHE_HOME: cache, LC_ALL: "C" };
  const run = (words: readonly string[], input?: string) =>
    finish([...command, ...words], environment, input);
  try {
    expect(await run(["--version"]), "--version", new RegExp(`^wgd ${RegExp.escape(config.version)}\n$`));
    expect(
      await run(["pubkey"], `${PRIVATE_KEY}\n`),
      "pubkey",
      new RegExp(`^${RegExp.escape(PUBLIC_KEY)}\n$`),
    );
    const key = /^[A-Za-z0-9+/]{43}=\n$/;
    const keys = [await run(["genkey"]), await run(["genkey"])];
    for (const made of keys) expect(made, "genkey", key);
    if (keys[0]!.stdout === keys[1]!.stdout) throw new ProofError("genkey makes the same key twice");
    const proved = ["--version", "pubkey", "genkey"];
    const obstacle = await proveInterface(command, environment);
    if (obstacle === undefined) {
      return { proved: [...proved, "an interface started and stopped"], notProved: [] };
    }
    await proveWorker(run);
    return {
      proved: [...proved, "the engine's thread loads and answers"],
      notProved: [`an interface started and stopped (${obstacle})`],
    };
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}

/** @returns Undefined if it worked; else what is missing on this machine. */
async function proveInterface(
  command: readonly string[],
  environment: Record<string, string>,
): Promise<string | undefined> {
  const user = Deno.uid() === 0 ? [] : ["--user", "--map-root-user"];
  const unshare = ["unshare", ...user, "--net", "--mount"];
  const possible = await finish([...unshare, "true"], environment).catch(() => undefined);
  if (possible?.code !== 0) return "no network namespace can be made";
  const finished = await finish([...unshare, "sh", "-c", INTERFACE, "sh", ...command], environment);
  if (finished.code === 77) return finished.stdout.trim();
  expect(finished, "an interface", /^interface: proof0\n/);
  return undefined;
}

/** An interface named lo cannot be made, and the engine's thread is the one that reports this. */
async function proveWorker(run: (words: readonly string[]) => Promise<Finished>): Promise<void> {
  const { code, stderr } = await run(["run", "--foreground", "lo"]);
  if (code !== 1 || !/^wgd: .*(\/dev\/net\/tun|interface lo)/m.test(stderr)) {
    throw new ProofError(`the engine's thread does not answer: ${describe({ code, stdout: "", stderr })}`);
  }
}

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function finish(
  [program, ...args]: readonly string[],
  environment: Record<string, string>,
  input = "",
): Promise<Finished> {
  const { PATH, HOME, TMPDIR } = Deno.env.toObject();
  const inherited = Object.entries({ PATH, HOME, TMPDIR }).filter((entry): entry is [string, string] =>
    !!entry[1]
  );
  const signal = AbortSignal.timeout(COMMAND_TIMEOUT);
  const child = new Deno.Command(program!, {
    args,
    env: { ...Object.fromEntries(inherited), ...environment },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal,
  }).spawn();
  const writer = child.stdin.getWriter();
  // A program that does not read its input may have ended.
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  const late = signal.aborted ? `no end after ${COMMAND_TIMEOUT / 1e3} s\n` : "";
  return { code, stdout: decoder.decode(stdout), stderr: late + decoder.decode(stderr) };
}

function expect(finished: Finished, what: string, pattern: RegExp): void {
  const { code, stdout, stderr } = finished;
  if (code !== 0 || !pattern.test(stdout) || stderr !== "") {
    throw new ProofError(`${what}: ${describe(finished)}`);
  }
}

function describe({ code, stdout, stderr }: Finished): string {
  const said = (stderr + stdout).trim().split("\n").slice(0, 3).join(" | ");
  return `exit code ${code}, ${said === "" ? "without a word" : said.slice(0, 300)}`;
}
