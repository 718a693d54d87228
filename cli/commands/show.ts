/** `wgd show`. @module */

import type { Key } from "../../core/config/key.ts";
import { type InterfaceJson, interfaceJson, type ShowJson } from "../../core/show/json.ts";
import { readPeerNames } from "../../core/show/names.ts";
import { Client } from "../../core/client/client.ts";
import { diagnoseDevice, getDevice } from "../../core/client/devices.ts";
import { listTunnels } from "../../core/client/listing.ts";
import type { DeviceState } from "../../core/uapi/get.ts";
import { UapiError } from "../../core/uapi/lines.ts";
import { interfaceName } from "../../core/client/system.ts";
import { reportUapiError } from "../failure.ts";
import { SHOW_OPTIONS } from "../grammar.ts";
import { programName, shortName, tool } from "../program.ts";
import { chooseColors } from "../render/colors.ts";
import { prettyDiagnostics } from "../render/diagnostics.ts";
import { isField, renderField } from "../render/fields.ts";
import { complain, print, printAll } from "../render/output.ts";
import { pretty } from "../render/pretty.ts";
import { strerror } from "../render/strerror.ts";
import type { Reading } from "../render/watch.ts";

/** Prints interfaces for users, or one field for scripts. */
export async function show(args: readonly string[]): Promise<number> {
  // Options of wgd; a link named wg does not have them.
  if (tool() === "wgd" && args.some((word) => /^--(?!help$)/.test(word))) return await showWith([...args]);
  const [which = "all", field] = args;
  if (args.length > 2) return usage(1);
  if (which === "all") return await showAll(field);
  if (which === "interfaces") return field === undefined ? await showInterfaces() : usage(1);
  if (field === undefined && (which === "-h" || which === "--help" || which === "help")) return usage(0);
  let state: DeviceState;
  try {
    state = await getDevice(which);
  } catch (error) {
    return reportUapiError("Unable to access interface", error, which);
  }
  if (field === undefined) {
    await showPretty(which, state);
    return 0;
  }
  return await showField(field, state, "") ? 0 : 1;
}

/** Shows all interfaces. The exit code is 0 if at least one can be read. */
async function showAll(field: string | undefined): Promise<number> {
  let names: string[];
  try {
    names = await listTunnels();
  } catch (error) {
    return reportUapiError("Unable to list interfaces", error, "all");
  }
  let code = names.length === 0 ? 0 : 1;
  for (const [index, name] of names.entries()) {
    let state: DeviceState;
    try {
      state = await getDevice(name);
    } catch (error) {
      if (!(error instanceof UapiError)) throw error;
      complain(`Unable to access interface ${name}: ${strerror(error.errno)}`);
      continue;
    }
    if (field === undefined) {
      await showPretty(name, state);
      if (index + 1 < names.length) print("\n");
    } else if (!await showField(field, state, `${name}\t`)) {
      return 1;
    }
    code = 0;
  }
  return code;
}

/** Prints all names on one line, or nothing. */
async function showInterfaces(): Promise<number> {
  try {
    const names = await listTunnels();
    if (names.length > 0) print(`${names.join(" ")}\n`);
    return 0;
  } catch (error) {
    return reportUapiError("Unable to list interfaces", error, "interfaces");
  }
}

async function showPretty(name: string, state: DeviceState, names = false): Promise<void> {
  printAll(pretty(name, state, {
    colors: chooseColors(),
    showKeys: Deno.env.get("WG_HIDE_KEYS") === "never",
    now: Math.floor(Date.now() / 1000),
    publicKey: await publicKeyOf(state),
    interfaceName,
    ...((names || tool() === "wgd" && Deno.stdout.isTerminal()) && { names: await readPeerNames(name) }),
  }));
}

/** `wgd show` with options: as JSON, live, with names of peers, or with diagnostics. */
async function showWith(args: string[]): Promise<number> {
  // Loaded only for options, because it takes longer to load than all of wg's own commands.
  const { parseArgs } = await import("node:util");
  let parsed;
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: SHOW_OPTIONS });
  } catch (error) {
    complain(`${shortName()}: ${(error as Error).message}`);
    return usage(1);
  }
  const { positionals: [which = "all", ...more], values } = parsed;
  const { json, secrets, watch, names, verbose } = values;
  const modes = [json, watch, names || verbose && !json].filter(Boolean).length;
  if (more.length > 0 || which === "interfaces" || watch && verbose || modes !== 1 || secrets && !json) {
    return usage(1);
  }
  try {
    const interfaces = which === "all" ? await listTunnels() : [which];
    if (watch) return await watchInterfaces(interfaces);
    const shown: InterfaceJson[] = [];
    for (const [index, name] of interfaces.entries()) {
      const { state, backend, diagnostics } = await diagnoseDevice(name);
      if (!json) {
        if (index > 0) print("\n");
        await showPretty(name, state, names);
        if (verbose) printAll(prettyDiagnostics(backend, diagnostics, chooseColors()));
      } else {
        shown.push(interfaceJson(name, state, {
          backend,
          publicKey: await publicKeyOf(state),
          names: await readPeerNames(name),
          secrets: secrets ?? false,
          interfaceName,
          ...(verbose && { diagnostics: diagnostics ?? null }),
        }));
      }
    }
    if (json) print(`${JSON.stringify({ interfaces: shown } satisfies ShowJson, undefined, 2)}\n`);
    return 0;
  } catch (error) {
    return reportUapiError("Unable to access interface", error, which);
  }
}

/** Draws interfaces once a second until Ctrl-C. */
async function watchInterfaces(interfaces: readonly string[]): Promise<number> {
  if (!Deno.stdout.isTerminal()) {
    complain(`${shortName()}: --watch needs a terminal`);
    complain(`hint: for programs there is "${shortName()} show --json"`);
    return 1;
  }
  if (interfaces.length === 0) {
    complain(`${shortName()}: no interface is running`);
    complain("hint: bring one up first: wgd quick up wg0");
    return 1;
  }
  const { Screen } = await import("../screen.ts");
  const { watchLines } = await import("../render/watch.ts");
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  const colors = chooseColors();
  const watches = await Promise.all(interfaces.map(async (name) => ({
    name,
    states: (await Client.connect(name)).watch({ signal: stop.signal }),
    names: await readPeerNames(name),
    before: undefined as Reading | undefined,
  })));
  using screen = new Screen();
  while (!stop.signal.aborted) {
    const lines: string[] = [];
    for (const watch of watches) {
      const { value: state } = await watch.states.next();
      if (!state) return 0;
      const reading = { name: watch.name, state, at: Date.now(), names: watch.names };
      if (lines.length > 0) lines.push("");
      lines.push(...watchLines(reading, watch.before, colors, interfaceName));
      watch.before = reading;
    }
    screen.draw(lines);
  }
  return 0;
}

/** @returns Whether the field exists. */
async function showField(field: string, state: DeviceState, prefix: string): Promise<boolean> {
  if (!isField(field)) {
    complain(`Invalid parameter: \`${field}'`);
    usage(1);
    return false;
  }
  const publicKey = field === "public-key" || field === "dump" ? await publicKeyOf(state) : undefined;
  printAll(renderField(field, state, { prefix, publicKey, interfaceName }));
  return true;
}

/** Loads WebAssembly only if the public key is needed. */
async function publicKeyOf({ privateKey }: DeviceState): Promise<Key | undefined> {
  if (!privateKey) return undefined;
  const { publicKey } = await import("../../core/public_key.ts");
  return publicKey(privateKey);
}

function usage(code: number): number {
  complain(
    `Usage: ${programName()} show { <interface> | all | interfaces } [public-key | private-key | listen-port | ` +
      "fwmark | peers | preshared-keys | endpoints | allowed-ips | latest-handshakes | transfer | " +
      "persistent-keepalive | dump]",
  );
  if (tool() === "wgd") {
    complain(
      `       ${programName()} show [<interface> | all] { --json [--secrets] [--verbose] | --watch | --names | --verbose }`,
    );
  }
  return code;
}
