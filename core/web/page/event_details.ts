/**
 * What an event changed, as people read it.
 *
 * @module
 */

type Values = Readonly<Record<string, unknown>> | null;

/** How the parts of an event are written. */
export interface Writing {
  /** A time. */
  time(time: string): string;
  /** The name of a value, such as `maxDevices`. */
  name(name: string): string;
  /** A value that is one of a few words, or identifies something; undefined for others. */
  word(name: string, value: string | boolean): string | undefined;
}

/** Each value before and after. For something that was added or removed, its values. */
export function eventDetails(
  { before, after }: { readonly before: Values; readonly after: Values },
  writing: Writing,
): string {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.flatMap((name) => {
    const [old, now] = [before?.[name], after?.[name]].map((value) => inText(name, value, writing));
    const shown = [old, now].filter((text) => text !== undefined && text !== "");
    return old === now || shown.length === 0 ? [] : [`${writing.name(name)}: ${shown.join(" → ")}`];
  }).join(", ");
}

/** Lists, such as addresses, and times as people write them. */
function inText(name: string, value: unknown, writing: Writing): string | undefined {
  if (Array.isArray(value)) return value.map((part) => inText(name, part, writing)).join(", ");
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([name, part]) => {
      const text = inText(name, part, writing);
      return text === undefined || text === "" ? [] : [`${writing.name(name)} ${text}`];
    }).join(", ");
  }
  if (typeof value === "string" && isTime(value)) return writing.time(value);
  const word = typeof value === "string" || typeof value === "boolean"
    ? writing.word(name, value)
    : undefined;
  return word ?? value?.toString();
}

/** Whether it is a time as the server writes it. A stranger's name may look like one and be none. */
function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text));
}
