/**
 * What somebody changed in a dialog.
 *
 * @module
 */

import { useState } from "preact/hooks";

/**
 * The values that differ from those that the dialog showed at first. Only these are sent, because somebody else may have
 * changed the others meanwhile.
 *
 * @param values As the server takes them.
 */
export function useChanges<T extends Record<string, unknown>>(values: T): Partial<T> {
  const [first] = useState(values);
  const isNew = ([name, value]: [string, unknown]) => JSON.stringify(value) !== JSON.stringify(first[name]);
  return Object.fromEntries(Object.entries(values).filter(isNew)) as Partial<T>;
}
