/**
 * Tells the keeper's clients when one of its interfaces comes up.
 *
 * @module
 */

import { LinkWatch } from "../../../ffi/linux/link_watch.ts";
import type { Keeper } from "./keeper.ts";
import type { KeeperServer } from "./server.ts";

/**
 * Reports interfaces that come up until it is closed.
 *
 * @returns Undefined if the system does not report them. Then clients find out when they retry.
 */
export function reportLinks(
  keeper: Pick<Keeper, "interfaces">,
  server: Pick<KeeperServer, "tell">,
  log: (text: string) => void,
): { close(): void } | undefined {
  let watch: LinkWatch;
  try {
    watch = new LinkWatch();
  } catch (error) {
    log(`it cannot be noticed when an interface comes up: ${(error as Error).message}`);
    return undefined;
  }
  (async () => {
    for await (const up of watch) {
      for (const name of await keeper.interfaces()) {
        if (up === "unknown" || up.has(name)) server.tell({ up: name });
      }
    }
  })().catch((error) => log(`it is no longer noticed when an interface comes up: ${error.message}`));
  return watch;
}
