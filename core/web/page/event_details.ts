/**
 * What an event changed, as people read it.
 *
 * @module
 */

type Values = Readonly<Record<string, unknown>> | null;
type FormatTime = (time: string) => string;

/** Each value before and after. For something that was added or removed, its values. */
export function eventDetails(
  { before, after }: { readonly before: Values; readonly after: Values },
  formatTime: FormatTime,
): string {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  return names.flatMap((name) => {
    const [old, now] = [before?.[name], after?.[name]].map((value) => inText(value, formatTime));
    const shown = [old, now].filter((text) => text !== undefined && text !== "");
    return old === now || shown.length === 0 ? [] : [`${name}: ${shown.join(" → ")}`];
  }).join(", ");
}

/** Lists, such as addresses, and times as people write them. */
function inText(value: unknown, formatTime: FormatTime): string | undefined {
  if (Array.isArray(value)) return value.map((part) => inText(part, formatTime)).join(", ");
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([name, part]) => {
      const text = inText(part, formatTime);
      return text === undefined || text === "" ? [] : [`${name} ${text}`];
    }).join(", ");
  }
  return typeof value === "string" && isTime(value) ? formatTime(value) : value?.toString();
}

/** Whether it is a time as the server writes it. A stranger's name may look like one and be none. */
function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text));
}
