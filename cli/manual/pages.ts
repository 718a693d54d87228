/**
 * The pages of the manual, the source of `wgd help` and of the manual pages. To add a page, add its file, its import, and
 * its name in one of the tables.
 *
 * @module
 */

import addconf from "./addconf.md" with { type: "text" };
import completions from "./completions.md" with { type: "text" };
import config from "./config.md" with { type: "text" };
import doctor from "./doctor.md" with { type: "text" };
import environment from "./environment.md" with { type: "text" };
import exec from "./exec.md" with { type: "text" };
import exitCodes from "./exit-codes.md" with { type: "text" };
import fromWgQuick from "./from-wg-quick.md" with { type: "text" };
import fromWireproxy from "./from-wireproxy.md" with { type: "text" };
import genkey from "./genkey.md" with { type: "text" };
import genpsk from "./genpsk.md" with { type: "text" };
import help from "./help.md" with { type: "text" };
import install from "./install.md" with { type: "text" };
import json from "./json.md" with { type: "text" };
import keeper from "./keeper.md" with { type: "text" };
import peer from "./peer.md" with { type: "text" };
import proxy from "./proxy.md" with { type: "text" };
import pubkey from "./pubkey.md" with { type: "text" };
import qr from "./qr.md" with { type: "text" };
import quick from "./quick.md" with { type: "text" };
import run from "./run.md" with { type: "text" };
import set from "./set.md" with { type: "text" };
import setconf from "./setconf.md" with { type: "text" };
import show from "./show.md" with { type: "text" };
import showconf from "./showconf.md" with { type: "text" };
import syncconf from "./syncconf.md" with { type: "text" };
import talk from "./talk.md" with { type: "text" };
import uninstall from "./uninstall.md" with { type: "text" };
import web from "./web.md" with { type: "text" };
import wgd from "./wgd.md" with { type: "text" };

/** When the pages were last reviewed, for the manual pages. */
export const REVISED = "2026-11-25";

/** One page for each command, by its name. */
export const commandPages: ReadonlyMap<string, string> = new Map(Object.entries({
  run,
  quick,
  proxy,
  exec,
  show,
  showconf,
  set,
  setconf,
  addconf,
  syncconf,
  genkey,
  genpsk,
  pubkey,
  doctor,
  peer,
  web,
  keeper,
  qr,
  install,
  uninstall,
  completions,
  help,
}));

/** Pages of topics, in the order in which help lists them. */
export const topicPages: ReadonlyMap<string, string> = new Map(Object.entries({
  config,
  json,
  environment,
  "exit-codes": exitCodes,
  talk,
  "from-wg-quick": fromWgQuick,
  "from-wireproxy": fromWireproxy,
}));

/** The page of wgd as a whole. */
export const overviewPage: string = wgd;

/** Reads the title and summary of a page from its first line, `# TITLE: SUMMARY`. */
export function pageTitle(markdown: string): { title: string; summary: string } {
  const match = /^# ([^:\n]+): (.+)\n/.exec(markdown);
  if (!match) throw new SyntaxError(`expected "# TITLE: SUMMARY", found "${markdown.slice(0, 40)}"`);
  return { title: match[1]!, summary: match[2]! };
}
