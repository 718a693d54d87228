/**
 * /etc/resolv.conf on machines where no program keeps it.
 *
 * @module
 */

import { writeDurably } from "../durable_file.ts";
import { FileError } from "../file_error.ts";
import { resolvConfHeader } from "./plan/dns.ts";
import type { ResolvConf, Step } from "./plan/step.ts";

/** The file. */
export const RESOLV_CONF = "/etc/resolv.conf";

/** What the file is now. */
export async function readResolvConf(): Promise<ResolvConf> {
  try {
    const { isSymlink } = await Deno.lstat(RESOLV_CONF);
    return isSymlink
      ? { link: await Deno.readLink(RESOLV_CONF) }
      : { text: await Deno.readTextFile(RESOLV_CONF) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Whether an interface's lines are what the file is. */
export function isOwned(content: ResolvConf, owner: string): boolean {
  return content !== null && "text" in content && content.text.startsWith(resolvConfHeader(owner));
}

/** Does the step, unless the file is another's by now. */
export async function writeResolvConf({ content, owner }: Step & { kind: "resolv-conf" }): Promise<void> {
  if (owner !== undefined && !isOwned(await readResolvConf(), owner)) return;
  const bytes = new TextEncoder().encode(content !== null && "text" in content ? content.text : "");
  try {
    // A link is replaced, not followed: what it points at belongs to another program.
    const before = await readResolvConf();
    if (before !== null && "link" in before || content === null || "link" in content) {
      await Deno.remove(RESOLV_CONF).catch(ignoreNotFound);
    }
    if (content === null) return;
    if ("link" in content) return await Deno.symlink(content.link, RESOLV_CONF);
    await writeDurably(RESOLV_CONF, bytes);
    await Deno.chmod(RESOLV_CONF, 0o644);
  } catch (error) {
    // In containers it is a mount, which can be written but neither replaced nor removed.
    const cause = error instanceof FileError ? error.cause : error;
    if (!/\(os error 16\)/.test((cause as Error).message)) throw error;
    await Deno.writeFile(RESOLV_CONF, bytes);
  }
}

function ignoreNotFound(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
