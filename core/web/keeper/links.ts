/**
 * Tells the keeper's clients when one of its interfaces comes up, and when the machine's routes change.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { type LinksUp, LinkWatch } from "../../../ffi/linux/link_watch.ts";
import { watchRoutes } from "../../../ffi/linux/route_watch.ts";
import type { Keeper } from "./keeper.ts";
import type { KeeperServer } from "./server.ts";

/** Milliseconds for which further changes of routes are not reported. Programs change many at once. */
const ROUTES_PAUSE = 1_000;

/**
 * Reports changes of the machine's routes until it is closed.
 *
 * @returns Undefined if the system does not report them. Then clients find out when they retry.
 */
export function reportRoutes(
  server: Pick<KeeperServer, "tell">,
  log: (text: string) => void,
): { close(): void } | undefined {
  try {
    const watch = watchRoutes();
    (async () => {
      for await (const _messages of watch) {
        server.tell({ routes: "changed" });
        await delay(ROUTES_PAUSE, undefined, { ref: false });
      }
    })().catch((error) => log(`it is no longer noticed when routes change: ${error.message}`));
    return watch;
  } catch (error) {
    log(`it cannot be noticed when routes change: ${(error as Error).message}`);
    return undefined;
  }
}

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
