/** `wgd web`. @module */

import { parseArgs } from "node:util";
import type { PageFiles } from "../../core/web/assets/files.ts";
import { authorityCertificate, DATA, keeperSocket, webFolder } from "../../core/web/folders.ts";
import { TrustedProxies } from "../../core/web/forwarded.ts";
import type { Certificate } from "../../core/web/keeper/certificates.ts";
import type { ListenAddress } from "../../core/web/listening.ts";
import type { WebOptions } from "../../core/web/start.ts";
import { foreignOption } from "../foreign_option.ts";
import { WEB_OPTIONS } from "../grammar.ts";
import { readBytes } from "../input.ts";
import { Interruption } from "../interruption.ts";
import { programName, shortName } from "../program.ts";
import { complain, print } from "../render/output.ts";
import { replaceProcess } from "../../ffi/linux/replace_process.ts";
import { installableProgram, narrowSelf } from "../self.ts";

/** Set in the environment of the web process. The value says whether the keeper or a service manager started it. */
const PART_VARIABLE = "WGD_WEB_PART";
const PARTS = { ofKeeper: "1", apart: "2" } as const;
const DEFAULT_LISTEN = "[::]:443";

type Values = ReturnType<typeof parseArgs<{ options: typeof WEB_OPTIONS }>>["values"];

/** Runs the server of `wgd web`. */
export async function web(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: WEB_OPTIONS });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { positionals: [action, ...words], values } = parsed;
  const foreign = foreignOption("web", action, values);
  if (foreign !== undefined) return usage(foreign);
  switch (action) {
    case undefined:
      return await serve(args, values);
    case "init":
      return words.length > 0 ? usage() : await init(values);
    case "ca":
      return words.length > 0 ? usage() : await showAuthority(values);
    case "token":
      return words[0] === "add" && words.length === 2 ? await addToken(words[1]!, values) : usage();
    case "user":
      return words.length === 1 ? await changeUser(words[0]!, values) : usage();
    case "backup":
      return words.length > 0 || values.to === undefined ? usage() : await backup(values.to, values);
    case "restore":
      return words.length === 1 ? await restore(words[0]!, values) : usage();
    case "audit": {
      const { printAudit } = await import("./web_audit.ts");
      return words.length > 0 ? usage() : await printAudit(values);
    }
    case "import": {
      const { importInto } = await import("./web_import.ts");
      return words.length === 1 ? await importInto(words[0]!, values) : usage();
    }
    default:
      return usage();
  }
}

async function serve(args: string[], values: Values): Promise<number> {
  const listen = readListen(values.listen ?? DEFAULT_LISTEN);
  if (!listen) return usage(`not an address to listen on: "${values.listen}"`);
  const { data = DATA, cert, key, metrics: metricsText, "behind-proxy": proxiesText } = values;
  const metrics = metricsText === undefined ? undefined : readListen(metricsText);
  if (metrics === null) return usage(`not an address to listen on: "${metricsText}"`);
  const proxies = proxiesText === undefined ? undefined : TrustedProxies.parse(proxiesText);
  if (proxies === null) {
    return usage(`not addresses of proxies: "${proxiesText}"; write them as 127.0.0.1,10.0.0.0/8`);
  }
  if ((cert === undefined) !== (key === undefined)) return usage("--cert and --key must be used together");
  if (cert !== undefined && proxies !== undefined) {
    return usage("--cert cannot be used with --behind-proxy");
  }
  if (Deno.env.has(PART_VARIABLE) || Deno.uid() !== 0) {
    if (!Deno.env.has(PART_VARIABLE)) narrow(args, await permissions(values));
    return await serveHere({ data, database: values.database, listen, metrics, proxies }, values);
  }
  const interruption = new Interruption();
  const { startKeeper } = await import("./keeper.ts");
  const keeper = await startKeeper(data);
  try {
    const { databasePlace, rememberPlace } = await import("../../core/web/database.ts");
    await rememberPlace(data, await databasePlace(data, values.database));
    // The web process loads its code meanwhile.
    const failure = new AbortController();
    const signal = AbortSignal.any([interruption.signal, failure.signal]);
    const web = superviseWeb(args, await permissions(values), signal);
    try {
      await keeper.started;
    } catch (error) {
      failure.abort();
      await web.catch(() => {});
      throw error;
    }
    return await web;
  } finally {
    keeper.close();
  }
}

/** Runs the web process. */
async function serveHere(
  where: Pick<WebOptions, "data" | "database" | "listen" | "metrics" | "proxies">,
  values: Values,
): Promise<number> {
  const controller = new AbortController();
  // Ctrl-C in a terminal reaches it too. SIGHUP ends only its parent, which then ends it.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => controller.abort());
  }
  Deno.addSignalListener("SIGHUP", () => {});
  const { runWeb } = await import("../../core/web/start.ts");
  const page = await readPage();
  const log = (text: string) => complain(`${shortName()}: ${text}`);
  await runWeb({
    ...where,
    certificate: certificateReader(values),
    page,
    log,
    signal: controller.signal,
  });
  return 0;
}

/**
 * Replaces this process with one that has few of Deno's permissions, if a service manager has started the web process
 * separately. If wgd runs from its sources, the page must be built first. A compiled wgd has fixed permissions.
 */
function narrow(args: readonly string[], permissions: readonly string[]): void {
  if (installableProgram() === undefined || Deno.build.standalone) return;
  const { command, args: words, env } = narrowSelf(permissions);
  const variables = { ...Deno.env.toObject(), ...env, [PART_VARIABLE]: PARTS.apart };
  replaceProcess(command, [...words, "web", ...args], variables);
  throw new Error(`"${command}" cannot be run`);
}

/** If a service manager has started keeper and web process separately, the web process does not receive the page. */
async function readPage(): Promise<PageFiles> {
  if (Deno.env.get(PART_VARIABLE) === PARTS.ofKeeper) return await new Response(Deno.stdin.readable).json();
  const { pageFiles } = await import("../../core/web/assets/built.ts");
  return await pageFiles();
}

function certificateReader({ cert, key }: Values): (() => Promise<Certificate>) | undefined {
  if (cert === undefined || key === undefined) return undefined;
  return async () => ({ chain: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) });
}

/** Milliseconds before a failed web process is started again. */
const PAUSE = 500;

/** Runs the web process, and restarts it if it ends by itself. */
async function superviseWeb(
  args: readonly string[],
  permissions: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const { command, args: words, env } = narrowSelf(permissions);
  for (let isFirst = true;; isFirst = false) {
    const child = new Deno.Command(command, {
      args: [...words, "web", ...args],
      env: { ...env, [PART_VARIABLE]: PARTS.ofKeeper },
      stdin: "piped",
    }).spawn();
    void givePage(child);
    const stop = () => child.kill("SIGTERM");
    signal.addEventListener("abort", stop);
    const { code, signal: killedBy } = await child.status;
    signal.removeEventListener("abort", stop);
    // A process that cannot start has reported the reason.
    if (signal.aborted || isFirst && killedBy === null) return signal.aborted ? 0 : code;
    complain(`${shortName()}: the web process has ended and is started again`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (signal.aborted) return 0;
  }
}

/**
 * Sends the web process the files of the page. If wgd runs from its sources, they must be built, and the web process
 * may not run programs.
 */
async function givePage(child: Deno.ChildProcess): Promise<void> {
  const { pageFiles } = await import("../../core/web/assets/built.ts");
  const files = new Blob([JSON.stringify(await pageFiles())]);
  // A process that has ended does not read it.
  await files.stream().pipeTo(child.stdin).catch(() => {});
}

/** The permissions of the web process. It gives up FFI after it has given up root. */
async function permissions({ data = DATA, database, cert, key }: Values): Promise<string[]> {
  const { databasePlace, filesOf } = await import("../../core/web/database.ts");
  const { read, write } = filesOf(data, await databasePlace(data, database));
  const both = [webFolder(data), keeperSocket(data), ...write];
  const certificate = [cert, key].filter((file) => file !== undefined);
  return [
    "--no-prompt",
    `--allow-read=${[...both, ...read, ...certificate].join()}`,
    `--allow-write=${both.join()}`,
    "--allow-net",
    "--allow-env",
    "--allow-sys=uid,hostname,networkInterfaces",
    "--allow-ffi",
  ];
}

async function init(values: Values): Promise<number> {
  const { data = DATA, network, address, endpoint, admin, dns, "password-file": passwordFile } = values;
  if (!network || !address || !endpoint || !admin || !passwordFile) {
    return usage("init needs --network, --address, --endpoint, --admin and --password-file");
  }
  const password = await readPassword(passwordFile);
  const { init, InitError } = await import("../../core/web/init.ts");
  const { flawOf, Passwords } = await import("../../core/web/sign_in/passwords.ts");
  const flaw = flawOf(password, [admin]);
  if (flaw !== undefined) throw new InitError(`the password in ${passwordFile} cannot be used: ${flaw}`);
  using passwords = new Passwords();
  await init(
    data,
    {
      network: {
        name: network,
        addresses: list(address),
        endpoint,
        ...(dns !== undefined && { dns: list(dns) }),
      },
      admin: { name: admin, passwordHash: await passwords.hash(password) },
    },
    Date.now(),
    values.database,
  );
  return 0;
}

async function addToken(name: string, values: Values): Promise<number> {
  const { SCOPES } = await import("../../core/web/store/records.ts");
  const scopes = list(values.scopes ?? "");
  const unknown = scopes.find((scope) => !SCOPES.includes(scope as typeof SCOPES[number]));
  if (scopes.length === 0 || unknown !== undefined) {
    return usage(`--scopes takes one or more of ${SCOPES.join(", ")}, separated by commas`);
  }
  const { openStore } = await import("../../core/web/init.ts");
  await using store = await openStore(values.data ?? DATA, values.database);
  const { addToken } = await import("../../core/web/tokens.ts");
  const secret = await addToken(store, name, scopes as typeof SCOPES[number][], Date.now());
  print(`${secret}\n`);
  return 0;
}

async function readPassword(file: string): Promise<string> {
  return new TextDecoder().decode(await readBytes(file)).replace(/\r?\n$/, "");
}

async function changeUser(name: string, values: Values): Promise<number> {
  const { "password-file": passwordFile, "no-second-factor": withoutSecondFactor = false } = values;
  if (passwordFile === undefined && !withoutSecondFactor) {
    return usage("user needs --password-file or --no-second-factor");
  }
  const password = passwordFile === undefined ? undefined : await readPassword(passwordFile);
  const { openStore } = await import("../../core/web/init.ts");
  const { changeAccount } = await import("../../core/web/accounts.ts");
  await using store = await openStore(values.data ?? DATA, values.database);
  await changeAccount(store, name, { password, withoutSecondFactor }, Date.now());
  return 0;
}

async function backup(to: string, { data = DATA, database, force = false }: Values): Promise<number> {
  const { writeBackup } = await import("../../core/web/backup.ts");
  await writeBackup(data, to, { force, database });
  return 0;
}

async function restore(file: string, values: Values): Promise<number> {
  const { data = DATA, database, force = false, "new-keys": newKeys = false } = values;
  const { restoreBackup } = await import("../../core/web/restore.ts");
  const restored = await restoreBackup(data, file, { force, newKeys, database }, Date.now());
  const { tellRestored } = await import("../render/restored.ts");
  for (const line of tellRestored(restored, file, data)) complain(line);
  return 0;
}

/** Prints the certificate of the authority, which everybody can read. */
async function showAuthority({ data = DATA }: Values): Promise<number> {
  try {
    print(await Deno.readTextFile(authorityCertificate(data)));
    return 0;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    complain(`${shortName()}: ${data} has no certificate authority yet`);
    complain("hint: the first start makes it: wgd web");
    return 1;
  }
}

function list(text: string): string[] {
  return text.split(",").map((word) => word.trim()).filter(Boolean);
}

/** @returns Null if it is not an address with a port. */
function readListen(text: string): ListenAddress | null {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65535) return null;
  return { hostname: bracketed ?? (plain || "::"), port: Number(port) };
}

function usage(problem?: string): number {
  if (problem !== undefined) complain(`${shortName()}: ${problem}`);
  const name = programName();
  complain(
    `Usage: ${name} web [--data <folder>] [--database <url>]\n` +
      "         [--listen <address>:<port>] [--metrics <address>:<port>]\n" +
      "         [--cert <file> --key <file> | --behind-proxy <addresses>]\n" +
      `       ${name} web init --network <interface> --address <ip>/<length>[,…] --endpoint <host>[:<port>]\n` +
      "         --admin <name> --password-file <file> [--dns <servers>] [--data <folder>]\n" +
      "         [--database <url>]\n" +
      `       ${name} web token add <name> --scopes <scope>[,…] [--data <folder>] [--database <url>]\n` +
      `       ${name} web user <name> [--password-file <file>] [--no-second-factor] [--data <folder>]\n` +
      "         [--database <url>]\n" +
      `       ${name} web backup --to <file> [--force] [--data <folder>] [--database <url>]\n` +
      `       ${name} web restore <file> [--force] [--new-keys] [--data <folder>]\n` +
      "         [--database <url>]\n" +
      `       ${name} web import { <interface> | <file> } [--from <program>] [--network <interface>]\n` +
      "         [--endpoint <host>[:<port>]] [--dns <servers>] [--config <file>] [--dry-run] [--data <folder>]\n" +
      "         [--database <url>]\n" +
      `       ${name} web audit [--verify] [--json] [--data <folder>] [--database <url>]\n` +
      `       ${name} web ca [--data <folder>]`,
  );
  return 1;
}
