/**
 * Pages of the manual as scripts. All commands of a page are run on hosts of the lab, from the first block to the last,
 * and their output must be the output on the page.
 *
 * - A `sh` block is run by bash. Its first line names the host: `# on the server and the client`.
 * - The `text` block after it is its whole output, with errors. `…` stands for a part of a line, or alone for one or more
 *   lines. A block without a `text` block prints nothing.
 * - An `ini` block is a file: `# /etc/wireguard/wg0.conf on the server`. On a page of one host, neither names it.
 * - In both, `<publickey of the server>` is what the file of that name holds there, `<privatekey>` what it holds here.
 * - `not-run` behind the language marks a block that cannot be run here.
 *
 * Anything else in a fence is an error, so that no block is skipped silently.
 *
 * @module
 */

import type { Host } from "./host.ts";

/** A fenced block. */
export interface Block {
  /** Line of the page on which its fence opens. */
  readonly line: number;
  readonly kind: "sh" | "ini" | "not-run";
  /** Names of the hosts that it is for. */
  readonly hosts: readonly string[];
  /** The file that an `ini` block is. */
  readonly file?: string;
  readonly text: string;
  /** What a `sh` block prints. */
  readonly prints: string;
}

/** What is wrong with a page, with its line. */
export class PageError extends Error {
  override readonly name = "PageError";

  constructor(readonly page: string, readonly line: number, problem: string, options?: ErrorOptions) {
    super(`${page}:${line}: ${problem}`, options);
  }
}

/** How to read a page whose blocks do not all say where they belong. */
export interface PageOptions {
  /** The host of blocks that name none; by default, each has to. */
  readonly host?: string;
}

/**
 * Reads the blocks of a page.
 *
 * @param name Of the page, for errors.
 * @param markdown Its text.
 * @throws {PageError} At the first block that is none of those above.
 */
export function readPage(name: string, markdown: string, options: PageOptions = {}): Block[] {
  const blocks: Block[] = [];
  const fences = [...markdown.matchAll(FENCE)];
  if ([...markdown.matchAll(/^ *(```|~~~)/gm)].length !== 2 * fences.length) {
    throw new PageError(name, 1, "there is a fence that is not closed or not of ```");
  }
  let end = 0;
  for (const fence of fences) {
    const [whole, , info, text] = fence as unknown as [string, string, string, string];
    const line = markdown.slice(0, fence.index).split("\n").length;
    const fail = (problem: string): never => {
      throw new PageError(name, line, problem);
    };
    const between = markdown.slice(end, fence.index);
    end = fence.index + whole.length;
    if (info === "text") {
      const before = blocks.at(-1);
      if (before?.kind !== "sh" || before.prints !== "" || between.trim() !== "") {
        fail("no sh block stands right before this text, which it could print");
      }
      blocks[blocks.length - 1] = { ...before!, prints: text };
    } else if (info.endsWith(" not-run")) {
      blocks.push({ line, kind: "not-run", hosts: [], text, prints: "" });
    } else if (info === "sh" || info === "ini") {
      blocks.push({ line, kind: info, text, prints: "", ...readPlace(info, text, options, fail) });
    } else {
      fail(`a block of "${info}" is neither run nor marked "not-run"`);
    }
  }
  return blocks;
}

/** A whole block: how far it is indented, what its fence says, what is in it. */
const FENCE = /^( *)```(.*)\n([^]*?)^\1```$/gm;

/** Reads the first line of a block. */
function readPlace(
  kind: "sh" | "ini",
  text: string,
  { host }: PageOptions,
  fail: (problem: string) => never,
): Pick<Block, "hosts" | "file"> {
  const place = kind === "sh"
    ? /^# on (?<where>.+)\n/.exec(text)
    : /^# (?<file>\S+)(?: on (?<where>.+))?\n/.exec(text);
  const { where, file } = place?.groups ?? {};
  if (where === undefined && host === undefined || kind === "ini" && file === undefined) {
    fail(`its first line must say where it belongs, as "# ${kind === "ini" ? "FILE " : ""}on HOST"`);
  }
  const hosts = where?.split(/,| and /).map((word) => word.trim().replace(/^the /, "")) ?? [host!];
  return { hosts, ...(file !== undefined && { file }) };
}

/** Where the blocks of a page are run. */
export interface Stage {
  readonly hosts: Readonly<Record<string, Host>>;
  /** The folder that a reader is in, the same on every host. */
  readonly folder: string;
  /** Where programs are looked for. */
  readonly path: string;
}

/**
 * Does what a page says.
 *
 * @param name Of the page, for errors.
 * @returns How many blocks were run or written.
 * @throws {PageError} At the first block that fails, or prints something else than the page says.
 */
export async function runPage(name: string, blocks: readonly Block[], stage: Stage): Promise<number> {
  let done = 0;
  for (const block of blocks) {
    if (block.kind === "not-run") continue;
    for (const host of block.hosts) {
      try {
        await (block.kind === "sh" ? type(block, host, stage) : write(block, host, stage));
      } catch (error) {
        throw new PageError(name, block.line, `on ${host}: ${(error as Error).message}`, { cause: error });
      }
    }
    done++;
  }
  return done;
}

async function type(block: Block, name: string, stage: Stage): Promise<void> {
  const script = await fillIn(block.text, name, stage);
  const command = ["bash", "-euo", "pipefail", "-c", `exec 2>&1; cd ${stage.folder}\n${script}`];
  const { code, stdout } = await hostOf(name, stage).run(command, { env: { PATH: stage.path } });
  if (code !== 0) throw new Error(`ended with ${code}:\n${stdout}`);
  if (!printed(await fillIn(block.prints, name, stage)).test(stdout.replace(/ +$/gm, "").trimEnd())) {
    throw new Error(`printed:\n${stdout}\nbut the page says:\n${block.prints}`);
  }
}

async function write(block: Block, name: string, stage: Stage): Promise<void> {
  const text = await fillIn(block.text, name, stage);
  await hostOf(name, stage).sh(`cd ${stage.folder}; umask 077; cat > ${block.file}`, { stdin: text });
}

/** Replaces placeholders by keys. */
async function fillIn(text: string, here: string, stage: Stage): Promise<string> {
  let filled = "";
  let end = 0;
  for (const match of text.matchAll(/<([\w.\/-]+)(?: of (?:the )?([\w-]+))?>/g)) {
    const [whole, file, where = here] = match;
    const content = await hostOf(where, stage).sh(`cd ${stage.folder}; cat ${file}`);
    filled += text.slice(end, match.index) + content.trim();
    end = match.index + whole.length;
  }
  return filled + text.slice(end);
}

function hostOf(name: string, { hosts }: Stage): Host {
  const host = hosts[name];
  if (!host) throw new Error(`there is no host "${name}"; there are ${Object.keys(hosts).join(", ")}`);
  return host;
}

/** The page's output as a regular expression. */
function printed(text: string): RegExp {
  const lines = text.trimEnd().split("\n").map((line) =>
    line === "…" ? "(?:.*\n)*?.*\\S.*" : line.split("…").map(RegExp.escape).join(".+")
  );
  return new RegExp(`^${lines.join("\n")}$`);
}
