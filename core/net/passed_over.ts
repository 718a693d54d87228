/**
 * What a configuration file says in vain for a tunnel inside a program.
 *
 * @module
 */

import type { Config } from "../config/format.ts";

/** Lines of a file that have no meaning inside a program. */
export function passedOver(config: Config): string[] {
  const keys: [string, boolean][] = [
    ["PreUp", !!config.preUp?.length],
    ["PostUp", !!config.postUp?.length],
    ["PreDown", !!config.preDown?.length],
    ["PostDown", !!config.postDown?.length],
    ["Table", config.table !== undefined],
    ["SaveConfig", !!config.saveConfig],
  ];
  return keys.filter(([, there]) => there).map(([key]) =>
    `${key} has no effect in a tunnel without an interface`
  );
}
