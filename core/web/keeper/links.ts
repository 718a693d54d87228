/**
 * Tells the keeper's clients when one of its interfaces comes up.
 *
 * @module
 */

import { type LinksUp, LinkWatch } from "../../../ffi/linux/link_watch.ts";
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
  tellOf(watch, keeper, server, log).catch((error) =>
    log(`it is no longer noticed when an interface comes up: ${error.message}`)
  );
  return watch;
}

/** Tells the clients of each interface that comes up. A folder that cannot be read once does not end this. */
export async function tellOf(
  watch: AsyncIterable<LinksUp>,
  keeper: Pick<Keeper, "interfaces">,
  server: Pick<KeeperServer, "tell">,
  log: (text: string) => void,
): Promise<void> {
  for await (const up of watch) {
    try {
      for (const name of await keeper.interfaces()) {
        if (up === "unknown" || up.has(name)) server.tell({ up: name });
      }
    } catch (error) {
      log(`it is not known which interface came up: ${(error as Error).message}`);
    }
  }
}
