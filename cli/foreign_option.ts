/**
 * Options that another action of a command has.
 *
 * @module
 */

import { grammars } from "./grammar.ts";

/**
 * Finds an option that was given to an action that does not have it. `parseArgs` reads the options of all actions, since
 * the action may come after them.
 *
 * @param action The action, if one was given. For an unknown action, nothing is reported.
 * @param given The options that were given, by name.
 * @returns What is wrong; undefined if nothing is.
 */
export function foreignOption(
  command: string,
  action: string | undefined,
  given: Readonly<Record<string, unknown>>,
): string | undefined {
  const whole = grammars[command]!;
  const chosen = action === undefined ? whole : whole.actions?.[action];
  if (!chosen) return undefined;
  const foreign = Object.keys(given).find((name) => !Object.hasOwn(chosen.options ?? {}, name));
  if (foreign === undefined) return undefined;
  const called = action === undefined ? command : `${command} ${action}`;
  const owners = Object.entries(whole.actions ?? {}).filter(([, { options = {} }]) =>
    Object.hasOwn(options, foreign)
  );
  const others = [
    ...(Object.hasOwn(whole.options ?? {}, foreign) ? [command] : []),
    ...owners.map(([name]) => `${command} ${name}`),
  ];
  return `${called} has no option --${foreign}; it is an option of ${others.join(", ")}`;
}
