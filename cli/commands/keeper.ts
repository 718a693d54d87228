/** `wgd keeper`. @module */

import { once } from "node:events";
import { parseArgs } from "node:util";
import {
  authorityCertificate,
  authorityKey,
  DATA,
  keeperFolder,
  keeperSocket,
  pageCertificate,
} from "../../core/web/folders.ts";
import { makeFolders } from "../../core/web/make_folders.ts";
import { Authority } from "../../core/web/keeper/certificates.ts";
import { requireNone } from "../../core/web/keeper/running.ts";
import { readyNotice } from "../../ffi/linux/service_manager.ts";
import { KeptCertificate } from "../../core/web/keeper/kept_certificate.ts";
import { Keeper } from "../../core/web/keeper/keeper.ts";
import { reportLinks, reportRoutes } from "../../core/web/keeper/links.ts";
import { type KeeperServer, serveKeeper } from "../../core/web/keeper/server.ts";
import { readBackend } from "../../core/config/backend.ts";
import { KEEPER_OPTIONS } from "../grammar.ts";
import { Interruption } from "../interruption.ts";
import { programName, shortName } from "../program.ts";
import { complain } from "../render/output.ts";
import { selfCommand, startWaiting, watchCommand } from "../self.ts";

/** Manages the interfaces of a server until it is stopped. The interfaces stay. */
export async function keeper(args: string[]): Promise<number> {
  let data;
  try {
    ({ values: { data = DATA } } = parseArgs({ args, options: KEEPER_OPTIONS }));
  } catch (error) {
    complain(`${shortName()}: ${(error as Error).message}`);
    complain(`Usage: ${programName()} keeper [--data <folder>]`);
    return 1;
  }
  const interruption = new Interruption();
  const notify = readyNotice(Deno.env.get("NOTIFY_SOCKET"));
  // The processes of the interfaces must not inherit it.
  Deno.env.delete("NOTIFY_SOCKET");
  const server = await startKeeper(data);
  try {
    await server.started;
  } catch (error) {
    server.close();
    throw error;
  }
  notify();
  if (!interruption.signal.aborted) await once(interruption.signal, "abort");
  server.close();
  return 0;
}

/** A keeper that brings its interfaces up and serves the web process. */
export interface StartedKeeper extends KeeperServer {
  /** Settled when the interfaces are up. Requests wait until then. */
  readonly started: Promise<void>;
}

/**
 * Begins to bring the interfaces up, and serves the web process.
 *
 * @throws {InitError} If this is not root.
 * @throws {KeeperError} If another keeper is already running.
 */
export async function startKeeper(data: string): Promise<StartedKeeper> {
  const { user, group } = await makeFolders(data);
  await requireNone(data);
  const self = selfCommand();
  const log = (text: string) => complain(`${shortName()}: ${text}`);
  const backend = Deno.env.get("WGD_BACKEND");
  const clock = () => Date.now();
  const authority = await Authority.open(authorityKey(data), authorityCertificate(data), clock());
  const keeper = new Keeper({
    folder: keeperFolder(data),
    quick: {
      warn: log,
      self: [self.command, ...self.args],
      watcher: watchCommand(),
      ...(backend && { backend: readBackend(backend) }),
      create: (name, { WGD_DISABLE = "", WGD_LANES = "" }) =>
        startWaiting(name).begin({ disable: WGD_DISABLE, lanes: WGD_LANES }),
    },
    certificate: new KeptCertificate(pageCertificate(data), authority),
    clock,
  });
  const server = serveKeeper(keeper, keeperSocket(data), user, group, log);
  // No connection was accepted before, so this comes before all requests.
  const started = keeper.start();
  started.catch(() => {});
  const links = reportLinks(keeper, server, log);
  const routes = reportRoutes(server, log);
  return {
    ...server,
    started,
    close() {
      links?.close();
      routes?.close();
      server.close();
    },
  };
}
