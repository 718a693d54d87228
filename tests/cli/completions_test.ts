/**
 * Completions in the shells themselves.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { eventually, kill, must, run } from "../netns/lab/exec.ts";
import { whyNoPrograms } from "../netns/peers/mod.ts";
import { testUnless } from "../skip.ts";
import { PretendInterface, wgd } from "./oracle.ts";

async function shellTest(name: string, programs: string[], body: (lab: Lab) => Promise<void>): Promise<void> {
  testUnless(name, await whyNoPrograms(...programs), async () => {
    const folder = await Deno.makeTempDir();
    try {
      await body(await lab(folder));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

interface Lab {
  /** A folder with a.conf, b.txt and a folder c. */
  readonly folder: string;
  /** An environment in which wgd is a command, and no settings of the user are read. */
  readonly env: Record<string, string>;
}

async function lab(folder: string): Promise<Lab> {
  const [program, before] = wgd();
  await Deno.mkdir(`${folder}/bin`);
  const words = [program, ...before].map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(`${folder}/bin/wgd`, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  await Deno.mkdir(`${folder}/here/c`, { recursive: true });
  await Deno.writeTextFile(`${folder}/here/a.conf`, "");
  await Deno.writeTextFile(`${folder}/here/b.txt`, "");
  // A self-extracting wgd unpacks to the user's cache once, and not for every test.
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache`;
  return {
    folder: `${folder}/here`,
    env: { PATH: `${folder}/bin:${Deno.env.get("PATH")}`, HOME: folder, XDG_CACHE_HOME: cache, TERM: "dumb" },
  };
}

/** Types into a shell on its own terminal, and waits for its output. */
async function typing(
  command: string,
  { folder, env }: Lab,
  keys: readonly [keys: string, then: RegExp][],
): Promise<void> {
  const child = new Deno.Command("script", {
    args: ["-qec", command, "/dev/null"],
    cwd: folder,
    env: { ...env, LC_ALL: "C", HISTFILE: "" },
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let printed = "";
  const reading = (async () => {
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) printed += text;
  })();
  const writer = child.stdin.getWriter();
  try {
    for (const [typed, then] of keys) {
      const from = printed.length;
      const answer = () => stripVTControlCharacters(printed.slice(from)).replaceAll("\r", "");
      await writer.write(new TextEncoder().encode(typed));
      await eventually(`${then} after ${JSON.stringify(typed)}`, () => then.test(answer()), {
        within: 30_000,
      })
        .catch((error) => {
          throw new Error(`${error.message}; found ${JSON.stringify(answer())}`);
        });
    }
  } finally {
    await writer.close().catch(() => {});
    kill(child);
    await child.status;
    await reading;
  }
}

await shellTest(
  "bash completes commands, options, interfaces and files",
  ["bash"],
  async ({ folder, env }) => {
    const script = `source <(wgd completions bash)
    COMP_WORDS=(wgd "$@"); COMP_CWORD=$#
    _wgd 2>/dev/null
    printf '%s\\n' "\${COMPREPLY[@]}"`;
    const reply = async (...words: string[]) => {
      const text = await must(["bash", "-c", `cd ${folder}; ${script}`, "bash", ...words], { env });
      return text.split("\n").filter((line) => line !== "");
    };
    deepEqual(await reply("qui"), ["quick"]);
    deepEqual(await reply("quick", "re"), ["reload"]);
    deepEqual(await reply("quick", "up", "--"), ["--dry-run", "--interface", "--backend", "--lanes"]);
    deepEqual(await reply("show", "all", "la"), ["latest-handshakes"]);
    deepEqual(await reply("quick", "up", "a"), ["a.conf"]);
    deepEqual((await reply("quick", "check", "")).slice(-2), ["a.conf", "c"]);
    deepEqual(await reply("no", "such", ""), []);
  },
);

Deno.test({
  name: "bash completes interfaces that run",
  ignore: Deno.uid() !== 0,
  async fn() {
    const [program, before] = wgd();
    const name = `wgcb${Deno.pid % 100_000}`;
    using _device = new PretendInterface(name, () => "errno=0\n\n");
    const { stdout } = await run([program, ...before, "completions", "--words", "showconf", ""]);
    ok(stdout.startsWith(":none\n"));
    ok(stdout.includes(`\n${name}\t\n`), stdout);
  },
});

await shellTest(
  "bash on a terminal completes what is typed before a Tab",
  ["bash", "script"],
  async (lab) => {
    await typing("bash --norc --noprofile -i", lab, [
      ["PS1='ready> '; bind 'set enable-bracketed-paste off'\n", /\nready> $/],
      ["source <(wgd completions bash)\n", /\nready> $/],
      // The completed command is run and answers.
      ["wgd showc\t\n", /\nUsage: \S+ showconf <interface>/],
      ["wgd quick check a.\t\n", /a\.conf: no PrivateKey/],
    ]);
  },
);

await shellTest(
  "zsh accepts the script, and completes what is typed before a Tab",
  ["zsh", "script"],
  async (lab) => {
    const script = await must(["wgd", "completions", "zsh"], { env: lab.env });
    equal((await run(["zsh", "-n", "/dev/stdin"], { stdin: script })).stderr, "");
    await typing("zsh -f -i", lab, [
      ["PS1='ready> '; unset zle_bracketed_paste; unsetopt prompt_sp\n", /ready> $/],
      ["autoload -Uz compinit; compinit -u -D; source <(wgd completions zsh)\n", /\nready> $/],
      ["wgd showc\t\n", /\nUsage: \S+ showconf <interface>/],
      ["wgd quick check a.\t\n", /a\.conf: no PrivateKey/],
    ]);
  },
);

await shellTest(
  "fish accepts the script, and proposes words with their meanings",
  ["fish"],
  async ({ folder, env }) => {
    const script = await must(["wgd", "completions", "fish"], { env });
    equal((await run(["fish", "--no-execute", "/dev/stdin"], { stdin: script })).stderr, "");
    const proposals = async (line: string) =>
      await must(
        [
          "fish",
          "--no-config",
          "-c",
          `cd ${folder}; wgd completions fish | source; complete -C "$argv"`,
          line,
        ],
        { env },
      );
    equal(await proposals("wgd qui"), "quick\tbrings interfaces up and down\n");
    match(await proposals("wgd show --"), /^--json\tprints JSON$/m);
    match(await proposals("wgd quick check "), /^a\.conf$/m);
    match(await proposals("wgd install --root "), /^c\/\t?/m);
  },
);

Deno.test("wgd completions lists the supported shells", async () => {
  const [program, before] = wgd();
  for (const words of [[], ["ksh"], ["bash", "zsh"]]) {
    const { code, stderr } = await run([program, ...before, "completions", ...words]);
    equal(code, 1);
    match(stderr, /^Usage: .* completions \{ bash \| zsh \| fish \}\n$/);
  }
});
