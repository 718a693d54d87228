/**
 * The keeper for a command that root runs, whether `wgd web` runs or not.
 *
 * @module
 */

import { keeperFolder, keeperSocket } from "../folders.ts";
import { type KeeperClient, KeeperConnection } from "./client.ts";
import { Keeper } from "./keeper.ts";
import { KeeperError } from "./verbs.ts";

/**
 * Connects to the keeper of a server. If none runs, this process handles its requests. Interfaces stay up without a
 * keeper.
 */
export async function reachKeeper(data: string): Promise<KeeperClient & Disposable> {
  const connection = new KeeperConnection(keeperSocket(data));
  try {
    await connection.ask("networks", {});
    return connection;
  } catch (error) {
    connection[Symbol.dispose]();
    if (!(error instanceof KeeperError)) throw error;
  }
  const keeper = new Keeper({
    folder: keeperFolder(data),
    quick: {},
    certificate: {
      get: () => Promise.reject(new KeeperError("only a running keeper makes certificates")),
    },
    clock: () => Date.now(),
  });
  return {
    ask: async (verb, takes) => await keeper.do(verb, takes) as never,
    [Symbol.dispose]() {},
  };
}
