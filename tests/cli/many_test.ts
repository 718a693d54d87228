/**
 * Runs thousands of command lines and files with Debian's `wg` and wgd. All must have the same result, except for the
 * intended differences in the table below. The counts are printed at the end.
 *
 * @module
 */

import { deepEqual, ok } from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { formatKey } from "../../core/config/key.ts";
import { formatGet } from "../../core/uapi/get.ts";
import {
  configText,
  contested,
  deviceState,
  endpointText,
  goodEndpointText,
  handwritten,
  setWords,
  typed,
} from "./arbitraries.ts";
import { canCompare, type Outcome, Pair } from "./oracle.ts";

const FULL = Deno.env.get("WGD_TEST_FULL") === "1" ? 20 : 1;

/** An intended difference. */
interface Known {
  readonly reason: string;
  /** Not in every run. */
  readonly rare?: boolean;
  /** Whether it explains the different results. `input` is the whole input of both programs. */
  explains(input: string, theirs: Outcome, ours: Outcome): boolean;
}

const KNOWN: readonly Known[] = [
  {
    reason: "a byte order mark is passed over",
    explains: (input, theirs) =>
      input.startsWith("\ufeff") && /^Line unrecognized: `\xef\xbb\xbf/.test(theirs.stderr),
  },
  {
    reason: "+ and - before allowed IPs are of 2025; Debian's wg knows neither",
    explains: (input, theirs) =>
      /[=,\s][+-]/.test(input) && /Unable to parse IP address: `[+-]/.test(theirs.stderr) ||
      /^Usage: \S+ set /.test(theirs.stderr),
  },
  {
    reason: "names are looked up when all is read, so of two mistakes the other one may be told",
    rare: true,
    explains: (_, theirs, ours) =>
      /^(Name or service not known|No address associated with hostname): `/m.test(theirs.stderr) &&
      theirs.code === 1 && ours.code === 1 && ours.requests.length === 0,
  },
  {
    reason: "a port above 65535 is refused, not wrapped",
    explains: (_, __, ours) => {
      const [, port] = /^Servname not supported for ai_socktype: `(?:.*:)?\+?(\d+)'$/m.exec(ours.stderr) ??
        [];
      return Number(port) > 65535;
    },
  },
];

const counts = new Map<string, number>();

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

/** Compares and counts. A difference that the table does not explain is a failure. */
function judge(input: string, [theirs, ours]: [Outcome, Outcome]): void {
  count("all");
  if (theirs.code === 0) count("accepted by wg");
  if (isDeepStrictEqual(ours, theirs)) return;
  const known = KNOWN.find(({ explains }) => explains(input, theirs, ours));
  if (!known) deepEqual(ours, theirs, JSON.stringify(input));
  count(known!.reason);
}

function many(name: string, body: (pair: Pair, folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: !canCompare,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      using pair = new Pair(() => "errno=0\n\n");
      try {
        await body(pair, folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

many("thousands of files: setconf, addconf and syncconf", async (pair, folder) => {
  const file = `${folder}/wg.conf`;
  const whole = fc.oneof(
    { weight: 20, arbitrary: handwritten(configText(goodEndpointText)) },
    // wg looks names up while it reads, and wgd after it has read everything. With one mistake, both report the same
    // one.
    {
      weight: 4,
      arbitrary: endpointText.map((text) =>
        `[Peer]\nPublicKey=${formatKey(new Uint8Array(32))}\nEndpoint = ${text}\n`
      ),
    },
    {
      weight: 1,
      arbitrary: contested.map(([word, value]) =>
        `[Peer]\nPublicKey=${formatKey(new Uint8Array(32))}\n${
          word === "endpoint" ? "Endpoint" : "AllowedIPs"
        } = ${value}\n`
      ),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom("setconf", "addconf", "syncconf"), whole, async (command, text) => {
      await Deno.writeTextFile(file, text);
      judge(text, await pair.runMany([command, "IF", file]));
    }),
    { numRuns: 2_500 * FULL },
  );
});

many("thousands of command lines: set", async (pair, folder) => {
  const good = formatKey(new Uint8Array(32).fill(9));
  const keyFiles = await Promise.all(
    [good, `${good}\n`, `${good}x`, "", good.slice(3)].map(async (text, index) => {
      await Deno.writeTextFile(`${folder}/key${index}`, text);
      return `${folder}/key${index}`;
    }),
  );
  const words = fc.oneof(
    { weight: 20, arbitrary: typed(setWords([...keyFiles, "/dev/null", folder])) },
    { weight: 1, arbitrary: contested.map((rest) => ["peer", good, ...rest]) },
  );
  await fc.assert(
    fc.asyncProperty(words, async (words) => {
      judge(words.join(" "), await pair.runMany(["set", "IF", ...words]));
    }),
    { numRuns: 2_500 * FULL },
  );
});

many("hundreds of states: show and showconf, in all colours", async (pair) => {
  const fields = "public-key private-key listen-port fwmark peers preshared-keys endpoints allowed-ips " +
    "latest-handshakes transfer persistent-keepalive dump bogus";
  const forms = [[], [], ["--help"], ...fields.split(" ").map((field) => [field])];
  const env = fc.record({
    WG_COLOR_MODE: fc.constantFrom("always", "never", "Always", "", "auto", "1"),
    WG_HIDE_KEYS: fc.constantFrom("always", "never", "Never", "", "0"),
  }, { requiredKeys: [] });
  const form = fc.oneof(
    fc.constant(["showconf", "IF"]),
    fc.constantFrom(...forms).map((rest) => ["show", "IF", ...rest]),
  );
  await fc.assert(
    fc.asyncProperty(deviceState, form, env, async (state, args, env) => {
      const text = [...formatGet(state)].join("");
      pair.reply = () => text;
      // The age of a handshake changes between the two if a second begins there.
      for (let attempt = 0;; attempt++) {
        const outcomes = await pair.runMany(args, env as Record<string, string>);
        if (attempt < 3 && outcomes[0].stdout !== outcomes[1].stdout) continue;
        return judge("", outcomes);
      }
    }),
    { numRuns: 1_000 * FULL },
  );
});

Deno.test({
  name: "all that was compared, and what differed",
  ignore: !canCompare,
  fn: () => {
    const all = counts.get("all") ?? 0;
    for (const [what, number] of counts) console.log(`${String(number).padStart(7)}  ${what}`);
    const differences = KNOWN.reduce((sum, { reason }) => sum + (counts.get(reason) ?? 0), 0);
    console.log(
      `${
        String(all - differences).padStart(7)
      }  alike in exit code, output and what was asked of the interface`,
    );
    ok(all >= 5_000 * FULL, `${all}`);
    // The generators make valid and invalid input.
    ok((counts.get("accepted by wg") ?? 0) > all / 5);
    for (const { reason, rare } of KNOWN) {
      ok(rare || counts.has(reason), `no case shows any more that ${reason}`);
    }
  },
});
