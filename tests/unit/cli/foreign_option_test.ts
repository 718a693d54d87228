import { deepEqual, equal, match, ok } from "node:assert/strict";
import { peer } from "../../../cli/commands/peer.ts";
import { web } from "../../../cli/commands/web.ts";
import { grammars } from "../../../cli/grammar.ts";
import type { Grammar } from "../../../cli/grammar_types.ts";

/** Runs a command that must fail before it does anything. @returns Its exit code and its standard error. */
async function refused(
  command: (args: string[]) => Promise<number>,
  args: string[],
): Promise<{ code: number; text: string }> {
  let text = "";
  const { writeSync } = Deno.stderr;
  Deno.stderr.writeSync = (bytes) => {
    text += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  try {
    return { code: await command(args), text };
  } finally {
    Deno.stderr.writeSync = writeSync;
  }
}

/**
 * Words with which each action does nothing, regardless of the words after them, because something is missing or wrong.
 */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  web: ["--listen", "nowhere"],
  init: ["init"],
  ca: ["ca", "more"],
  token: ["token", "add"],
  user: ["user"],
  audit: ["audit", "more"],
  backup: ["backup", "more"],
  restore: ["restore"],
  import: ["import"],
  add: ["add", "no/interface", "name"],
  list: ["list", "no/interface"],
  show: ["show", "no/interface", "name"],
  remove: ["remove", "no/interface", "name"],
};

for (const [name, command] of [["web", web], ["peer", peer]] as const) {
  Deno.test(`${name}: each action refuses the options of the others, and names their actions`, async () => {
    const { actions = {}, options = {} }: Grammar = grammars[name]!;
    const forms: [string | undefined, NonNullable<Grammar["options"]>][] = [
      ...(grammars[name]!.options ? [[undefined, options] as [undefined, typeof options]] : []),
      ...Object.entries(actions).map(([action, { options = {} }]) =>
        [action, options] as [string, typeof options]
      ),
    ];
    const all = Object.assign({}, ...forms.map(([, options]) => options)) as NonNullable<Grammar["options"]>;
    let count = 0;
    for (const [action, own] of forms) {
      const words = HARMLESS[action ?? name]!;
      for (const [option, { type }] of Object.entries(all)) {
        if (Object.hasOwn(own, option)) continue;
        const given = type === "boolean" ? [`--${option}`] : [`--${option}`, "value"];
        const { code, text } = await refused(command, [...words, ...given]);
        equal(code, 1, `${words.join(" ")} --${option}`);
        match(
          text,
          new RegExp(`^\\S+: ${name}( \\w+)? has no option --${option}; it is an option of ${name}`),
        );
        count++;
      }
    }
    ok(count > 10, `only ${count} were tried`);
  });
}

Deno.test("web: an error for an option of several actions names all of them", async () => {
  const { text } = await refused(web, [...HARMLESS.web!, "--force"]);
  match(text, /web has no option --force; it is an option of web backup, web restore\n/);
  const options = (action: string) => Object.keys(grammars.web!.actions![action]!.options!);
  for (const action of ["init", "token", "user", "backup", "restore", "import"]) {
    deepEqual(options(action).filter((name) => name === "data" || name === "database"), ["data", "database"]);
  }
});
