/**
 * The web process from its start to its end.
 *
 * @module
 */

import { once } from "node:events";
import { prepareConnections } from "../../ffi/linux/accepted_connections.ts";
import { prepareNoDelay } from "../../ffi/linux/no_delay.ts";
import { becomeUser } from "../../ffi/linux/privileges.ts";
import { readyNotice } from "../../ffi/linux/service_manager.ts";
import { type App, createApp } from "./app.ts";
import { readBackup } from "./backup.ts";
import type { PageFiles } from "./assets/files.ts";
import { ConnectionLimits } from "./connection_limits.ts";
import type { Context } from "./context.ts";
import type { TrustedProxies } from "./forwarded.ts";
import { keeperSocket, webFolder } from "./folders.ts";
import { interfacesOf, settleLeft, Settling } from "./interfaces.ts";
import { ServedCertificate } from "./certificate.ts";
import { databaseOpener, databasePlace } from "./database.ts";
import { type Certificate, isDue } from "./keeper/certificates.ts";
import { KeeperConnection } from "./keeper/client.ts";
import { makeFolders } from "./make_folders.ts";
import { Sampler } from "./live/sampler.ts";
import { RequestCount, serveMetrics } from "./metrics.ts";
import { Peers } from "./peers.ts";
import type { ListenAddress } from "./listening.ts";
import type { WebServer } from "./running_server.ts";
import { serveApp, type Transport } from "./server.ts";
import { type Machine, serverNames } from "./server_names.ts";
import { needsSetup, newSetupToken } from "./setup.ts";
import { Passwords } from "./sign_in/passwords.ts";
import { Seal } from "./sign_in/seal.ts";
import { countUnreadable } from "./sign_in/sealed.ts";
import { SignIn } from "./sign_in/sign_in.ts";
import { Store } from "./store/store.ts";

/** Milliseconds that the keeper has to answer the last requests at the end. */
const KEEPER_PATIENCE = 5_000;

/** How to start. */
export interface WebOptions {
  /** The folder of the server. */
  readonly data: string;
  /** The URL of its database from the command line. */
  readonly database?: string | undefined;
  readonly listen: ListenAddress;
  /** The address for monitoring. */
  readonly metrics?: ListenAddress | undefined;
  /** Trusts these proxies, and does not use TLS. */
  readonly proxies?: TrustedProxies | undefined;
  /** Reads a certificate of the administrator's own. */
  readonly certificate?: (() => Promise<Certificate>) | undefined;
  /** The files of the page. */
  readonly page: PageFiles;
  readonly log: (text: string) => void;
  /** Aborting it stops the server. */
  readonly signal: AbortSignal;
}

/**
 * Runs the web process. If it was started as root, it gives up root before it reads the first request.
 *
 * @throws {ListenError} If it cannot listen.
 */
export async function runWeb(options: WebOptions): Promise<void> {
  const { data, listen, page, log, signal } = options;
  const { user, group } = await makeFolders(data);
  // As root, because only root may be able to read the key.
  const own = await options.certificate?.();
  // All code is loaded before, because another user may not be able to read the program's files.
  const [passwords, openDatabase] = await Promise.all([
    Passwords.start(),
    databasePlace(data, options.database).then((place) => databaseOpener(data, place)),
  ]);
  const notify = readyNotice(Deno.env.get("NOTIFY_SOCKET"));
  const sendWithoutDelay = prepareNoDelay();
  const connections = prepareConnections();
  if (Deno.uid() === 0) becomeUser(user, group);
  await Deno.permissions.revoke({ name: "ffi" });
  await Deno.permissions.revoke({ name: "run" });
  await using store = await Store.open(await openDatabase());
  using keeper = new KeeperConnection(keeperSocket(data));
  const clock = () => Date.now();
  await using peers = new Peers(store, keeper, clock, log);
  const seal = await Seal.open(webFolder(data));
  const unreadable = await countUnreadable(store, () => Promise.resolve(seal));
  if (unreadable > 0) {
    log(
      `${unreadable} second factors or passwords of providers cannot be read: ${
        webFolder(data)
      }/secrets.key is not the ` +
        "file they were encrypted with. Restore your copy, or turn these second factors off and enter these passwords again",
    );
  }
  await using signIn = new SignIn({ store, peers, clock, log, seal }, passwords);
  const interfaces = interfacesOf(keeper);
  await settleLeft(store, interfaces);
  await using settling = new Settling(store, interfaces, log);
  signIn.sync.start();
  using sampler = new Sampler({ store, keeper, clock, log });
  using certificate = await chooseCertificate(options, own, keeper, store);
  const context: Context = {
    store,
    keeper,
    peers,
    settling,
    signIn,
    sampler,
    page,
    certificate,
    backup: () => readBackup(store.database, data),
    clock,
    log,
  };
  const requests = new RequestCount();
  let server: WebServer | undefined;
  const now = () => performance.now();
  using metricsLimits = new ConnectionLimits(connections, now);
  await using _metrics = options.metrics &&
    serveMetrics(context, requests, options.metrics, () => server?.problem, metricsLimits);
  const app = createApp(context);
  const counting: App = {
    async fetch(request, info) {
      const response = await app.fetch(request, info);
      requests.add(response.status);
      return response;
    },
  };
  const { proxies } = options;
  using limits = new ConnectionLimits(connections, now, (address) => proxies?.has(address) ?? false);
  const transport: Transport = certificate
    ? { certificate: certificate.current, sendWithoutDelay, limits }
    : { proxies: proxies!, limits };
  const running = server = serveApp(counting, listen, transport, log);
  certificate?.watch((next) => running.renew(next));
  const { hostname, port } = running.address;
  const scheme = certificate ? "https" : "http";
  log(`listening at ${scheme}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`);
  if (certificate) log(`its certificate has the fingerprint (SHA-256) ${certificate.fingerprint}`);
  notify();
  // With many devices this takes long. A failure is logged, and the comparison is repeated. The counters are read
  // afterwards, because a list of all peers would delay the comparison.
  void peers.sync().catch(() => {}).then(() => sampler.start());
  keeper.listen({
    cameUp: (name) => void peers.cameUp(name),
    routesChanged: () => peers.routes.changed(),
    isBack: () => void peers.cameUp(),
  });
  if (await needsSetup(store)) await showSetupLink(store, running, scheme, log);
  if (!signal.aborted) await once(signal, "abort");
  keeper.closeIn(KEEPER_PATIENCE);
  await running.close();
}

/** Prints the link that sets the server up. */
async function showSetupLink(
  store: Store,
  { address: { hostname, port } }: WebServer,
  scheme: string,
  log: (text: string) => void,
): Promise<void> {
  const host = /^(0\.0\.0\.0|::)$/.test(hostname) ? Deno.hostname() : hostname;
  const shown = host.includes(":") ? `[${host}]` : host;
  const isDefault = port === (scheme === "https" ? 443 : 80);
  const token = await newSetupToken(store);
  log(`open this link to set the server up; it works once:`);
  log(`${scheme}://${shown}${isDefault ? "" : `:${port}`}/setup#${token}`);
}

/** @returns Undefined behind a proxy. */
async function chooseCertificate(
  { proxies, listen, log, certificate: read }: WebOptions,
  own: Certificate | undefined,
  keeper: KeeperConnection,
  store: Store,
): Promise<ServedCertificate | undefined> {
  if (proxies) return undefined;
  if (read && own) {
    await read().catch(() => {
      log("only root can read the files of the certificate: restart wgd web after a renewal");
      read = undefined;
    });
    return await ServedCertificate.from(async () => await read?.() ?? own, log);
  }
  return await ServedCertificate.from(async (present) => {
    if (present && !isDue(present.chain, Date.now())) return present;
    return await keeper.ask("certificate", {
      names: serverNames(listen, await store.networks.list(), machine()),
    });
  }, log);
}

function machine(): Machine {
  return {
    hostname: Deno.hostname(),
    addresses: Deno.networkInterfaces().map(({ address }) => address),
  };
}
