/** `wgd show`. @module */

import type { Key } from "../../core/config/key.ts";
import { getDevice, listInterfaces } from "../../core/uapi/client.ts";
import { type DeviceState, UapiError } from "../../core/uapi/format.ts";
import { interfaceName } from "../../core/uapi/system.ts";
import { reportUapiError } from "../failure.ts";
import { programName } from "../program.ts";
import { chooseColors } from "../render/colors.ts";
import { isField, renderField } from "../render/fields.ts";
import { complain, print, printAll } from "../render/output.ts";
import { pretty } from "../render/pretty.ts";
import { strerror } from "../render/strerror.ts";

/** Prints what interfaces have: for people, or one field for scripts. */
export async function show(args: readonly string[]): Promise<number> {
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

/** One interface after the other. One that can be read makes up for those that cannot. */
async function showAll(field: string | undefined): Promise<number> {
  let names: string[];
  try {
    names = await listInterfaces();
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

/** All names on one line, or nothing. */
async function showInterfaces(): Promise<number> {
  try {
    const names = await listInterfaces();
    if (names.length > 0) print(`${names.join(" ")}\n`);
    return 0;
  } catch (error) {
    return reportUapiError("Unable to list interfaces", error, "interfaces");
  }
}

async function showPretty(name: string, state: DeviceState): Promise<void> {
  printAll(pretty(name, state, {
    colors: chooseColors(),
    showKeys: Deno.env.get("WG_HIDE_KEYS") === "never",
    now: Math.floor(Date.now() / 1000),
    publicKey: await publicKeyOf(state),
    interfaceName,
  }));
}

/** @returns Whether there is such a field. */
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

/** WebAssembly is loaded only where the public key is asked for. */
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
  return code;
}
