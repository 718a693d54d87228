/**
 * The web process from its start to its end.
 *
 * @module
 */

import { becomeUser } from "../../ffi/linux/privileges.ts";
import type { PageFiles } from "./assets/files.ts";
import type { Context } from "./context.ts";
import { keeperSocket, webFolder } from "./folders.ts";
import { makeFolders, openStore } from "./init.ts";
import { KeeperConnection } from "./keeper/client.ts";
import { Sampler } from "./live/sampler.ts";
import { Peers } from "./peers.ts";
import { Passwords } from "./sign_in/passwords.ts";
import { Seal } from "./sign_in/seal.ts";
import { SignIn } from "./sign_in/sign_in.ts";
import { type ListenAddress, serveWeb } from "./server.ts";

/** How to start. */
export interface WebOptions {
  /** The folder of the server. */
  readonly data: string;
  readonly listen: ListenAddress;
  /** The files of the page. */
  readonly page: PageFiles;
  readonly log: (text: string) => void;
  /** Aborting it ends the server. */
  readonly signal: AbortSignal;
}

/** Runs the web process. If it began as root, it gives that up before it reads the first request. */
export async function runWeb({ data, listen, page, log, signal }: WebOptions): Promise<void> {
  const { user, group } = await makeFolders(data);
  // Another user may not be able to read the program's files, so all of it is loaded before.
  const passwords = await Passwords.start();
  if (Deno.uid() === 0) becomeUser(user, group);
  await Deno.permissions.revoke({ name: "ffi" });
  await Deno.permissions.revoke({ name: "run" });
  await using store = await openStore(data);
  using keeper = new KeeperConnection(keeperSocket(data));
  const clock = () => Date.now();
  using peers = new Peers(store, keeper, clock, log);
  using sampler = new Sampler({ store, keeper, clock, log });
  const seal = await Seal.open(webFolder(data));
  await using signIn = new SignIn({ store, peers, clock, log, seal }, passwords);
  const context: Context = { store, keeper, peers, sampler, signIn, page, clock, log };
  await peers.sync();
  sampler.start();
  signIn.sync.start();
  const server = serveWeb(context, listen);
  const { hostname, port } = server.address;
  log(`listening at http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.close();
}
