import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { parseDocument } from "../../../cli/manual/document.ts";
import { manualPages, pageNames, terminalPage } from "../../../cli/manual/manual.ts";
import { commandPages, topicPages } from "../../../cli/manual/pages.ts";
import { renderRoff } from "../../../cli/manual/roff.ts";
import { renderForTerminal } from "../../../cli/manual/terminal.ts";
import { commands } from "../../../cli/table.ts";
import { interfaceJson } from "../../../core/show/json.ts";

const PAGE = `# wgd thing: does it

\`\`\`text
wgd thing <what> [--well]
\`\`\`

Some words, a *stress*, a **weight** and \`--code here\`, see [wgd help config](config.md). And a second
sentence.

## Options

- \`--well\`: takes care.
- \`-v\`, \`--a-very-long-option\`: says more.
- just a word.

\`\`\`sh
wgd thing 'it'
.hidden
\`\`\`
`;

const ROFF = {
  name: "wgd-thing",
  section: 8,
  date: "2026-01-31",
  source: "wgd 1.2.3",
  reference: () => ({ name: "wgd-config", section: 7 }),
};

Deno.test("every command has a page, and every page a command or a topic", () => {
  deepEqual([...commandPages.keys()].sort(), [...commands.keys()].sort());
  for (const name of topicPages.keys()) ok(!commands.has(name));
  for (const [name, text] of commandPages) {
    const { title, synopsis } = parseDocument(text);
    equal(title, `wgd ${name}`);
    ok(synopsis[0]?.startsWith(`wgd ${name}`), `the page of ${name} has no synopsis`);
  }
  for (const [name, text] of topicPages) equal(parseDocument(text).title, name);
});

Deno.test("pages fit an old terminal, but for examples: a command is one line, however long", () => {
  const all = [...commandPages.values(), ...topicPages.values()].map(parseDocument);
  const examples = new Set(
    all.flatMap(({ blocks }) => blocks.flatMap((block) => block.kind === "example" ? block.lines : [])),
  );
  for (const name of pageNames()) {
    for (const line of terminalPage(name, { width: 80, styled: false })!.split("\n")) {
      ok(line.length <= 80 || examples.has(line.trimStart()), `${name}: ${line}`);
      match(line, /^$|\S$/, `${name} has a space at the end of a line`);
    }
  }
});

Deno.test("renderForTerminal() wraps words, keeps code in one piece, and indents definitions", () => {
  equal(
    renderForTerminal(parseDocument(PAGE), { width: 40, styled: false }),
    `Usage: wgd thing <what> [--well]

Some words, a stress, a weight and
--code here, see wgd help config. And a
second sentence.

OPTIONS
  --well              takes care.
  -v, --a-very-long-option
                      says more.
  - just a word.

    wgd thing 'it'
    .hidden
`,
  );
});

Deno.test("styles do not change the text", () => {
  for (const name of pageNames()) {
    const styled = terminalPage(name, { width: 80, styled: true })!;
    ok(styled.includes("\x1b[1m"));
    equal(stripVTControlCharacters(styled), terminalPage(name, { width: 80, styled: false }));
  }
});

Deno.test("renderRoff() escapes roff's characters, and starts each sentence on a new line", () => {
  equal(
    renderRoff(parseDocument(PAGE), ROFF),
    String.raw`.TH WGD-THING 8 "2026-01-31" "wgd 1.2.3"
.SH NAME
wgd-thing \- does it
.SH SYNOPSIS
.nf
\fBwgd\fR \fBthing\fR \fI<what>\fR [\fB\-\-well\fR]
.fi
.SH DESCRIPTION
Some words, a \fIstress\fR, a \fBweight\fR and \fB\-\-code here\fR, see
\fBwgd-config\fR(7).
And a second sentence.
.SH OPTIONS
.TP
\fB\-\-well\fR
takes care.
.TP
\fB\-v\fR, \fB\-\-a\-very\-long\-option\fR
says more.
.IP \(bu 2
just a word.
.PP
.RS 4
.nf
wgd thing \(aqit\(aq
\&.hidden
.fi
.RE
`,
  );
});

Deno.test("roff is always ASCII", () => {
  const page = parseDocument("# x: a → b\n\nBackslash \\\\, ~home, x^2 and 漢.\n");
  match(
    renderRoff(page, ROFF),
    /a \\\[u2192\] b\n[^]*Backslash \\e, \\\(tihome, x\\\(ha2 and \\\[u6F22\]\.\n$/,
  );
  for (const { roff } of manualPages("1.2.3")) match(roff, /^[\x20-\x7e\n]*$/);
});

Deno.test("every page is in the manual, its links lead to pages, and the overview lists all of them", () => {
  const pages = new Map([...manualPages("1.2.3")].map(({ file, roff }) => [file, roff]));
  equal(pages.size, commandPages.size + topicPages.size + 1);
  ok(pages.has("wgd.8") && pages.has("wgd-quick.8") && pages.has("wgd-config.7"));
  for (const roff of pages.values()) {
    for (const [, name, section] of roff.matchAll(/\\fB(wgd[\w-]*)\\fR\(([78])\)/g)) {
      ok(pages.has(`${name}.${section}`), `${name}(${section})`);
    }
  }
  for (const name of commandPages.keys()) ok(pages.get("wgd.8")!.includes(`\\fBwgd-${name}\\fR(8)`), name);
});

Deno.test("Markdown that a terminal or roff cannot show is refused", () => {
  for (
    const strange of [
      "> quoted",
      "| a |\n| - |\n| b |",
      "a <b> c",
      "- a\n  - b",
      "a &amp; b",
      "![x](y.png)",
      "---",
    ]
  ) {
    throws(() => parseDocument(`# x: y\n\n${strange}\n`), SyntaxError, strange);
  }
  throws(() => parseDocument("no title\n"), SyntaxError);
});

Deno.test("the page on JSON lists every field of wgd show --json", () => {
  const key = new Uint8Array(32).fill(7);
  const peer = {
    publicKey: key,
    lastHandshake: { seconds: 0, nanoseconds: 0 },
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
  };
  const shown = interfaceJson("wg0", { listenPort: 0, fwmark: 0, peers: [peer] }, {
    backend: "kernel",
    publicKey: key,
    names: new Map(),
    secrets: true,
    interfaceName: String,
    diagnostics: null,
  });
  const text = topicPages.get("json")!;
  const section = text.slice(text.indexOf("## wgd show"), text.indexOf("## wgd quick"));
  const told = [...section.matchAll(/^- ((?:`\w+`(?:, )?)+): /gm)].flatMap(([, names]) =>
    names!.match(/\w+/g)!
  );
  deepEqual(told.sort(), [...Object.keys(shown), ...Object.keys(shown.peers[0]!)].sort());
});
