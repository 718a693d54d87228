/**
 * What the README tells a reader to type, to be tried word for word.
 *
 * @module
 */

const README = await Deno.readTextFile(new URL("../../../README.md", import.meta.url));

/** Code of one language below a heading of the README. */
export function section(heading: string, language = "sh"): string[] {
  const text = README.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (text === undefined) throw new Error(`README.md has no section "${heading}"`);
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, "gm"))].map(([, code]) => code!);
}
