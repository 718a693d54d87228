/**
 * Lines of configuration files, split and trimmed as `wg` and `wg-quick` do it.
 *
 * @module
 */

/**
 * Splits a text into lines without their newlines. A byte order mark is removed, because `wg` would refuse the first
 * line.
 */
export function splitLines(text: string): string[] {
  const lines = (text.startsWith("\ufeff") ? text.slice(1) : text).split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** A line as `wg` reads it: without comments and without any white space. */
export function stripLine(line: string): string {
  return line.replace(/[#\0].*$/s, "").replace(/[ \t-\r]+/g, "");
}

/** Splits a list at spaces and commas. */
export function splitList(value: string): string[] {
  return value.split(/[ \t\n,]+/).filter((word) => word !== "");
}

/** Removes white space at both ends. (A pattern anchored at the end would take quadratic time on hostile lines.) */
export function trim(text: string, isSpace: (code: number) => boolean = isWhiteSpace): string {
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

/** Whether a character is white space in C. */
function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code >= 9 && code <= 13;
}

/** Whether a character is a space or a tab. */
export function isBlank(code: number): boolean {
  return code === 0x20 || code === 9;
}

/** Lower case as in the C locale. Other letters do not change, because no key has any. */
export function asciiLower(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text.toLowerCase() : text;
}
