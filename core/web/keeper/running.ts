/**
 * Checks whether a keeper is already running.
 *
 * @module
 */

import { listeningProcess } from "../../../ffi/linux/peer_credentials.ts";
import { isKeeperService, runsWebService } from "../../install/web_services.ts";
import { keeperSocket } from "../folders.ts";
import { KeeperError } from "./verbs.ts";

/** Whether a keeper listens. */
export function isRunning(data: string): boolean {
  return listeningProcess(keeperSocket(data)) !== undefined;
}

/** @throws {KeeperError} If a keeper is running. Its hint says what to do. */
export async function requireNone(data: string): Promise<void> {
  const process = listeningProcess(keeperSocket(data));
  if (process === undefined) return;
  if (!await isKeeperService(process)) {
    throw new KeeperError(`a keeper (process ${process}) already serves ${data}`, `end it: kill ${process}`);
  }
  if (!await runsWebService()) {
    throw new KeeperError(
      "wgd-keeper.service is already running",
      "start the web process: systemctl start wgd-web",
    );
  }
  throw new KeeperError(
    "the services wgd-keeper and wgd-web are already running",
    "their log, with the link that sets the server up: journalctl -u wgd-web; " +
      "end them: systemctl stop wgd-web wgd-keeper",
  );
}
