/** `wgd web import`. @module */

import { DATA, keeperFolder } from "../../core/web/folders.ts";
import { importServer } from "../../core/web/import/import.ts";
import { readServer, type Source, SOURCES } from "../../core/web/import/read.ts";
import { shortName } from "../program.ts";
import { complain, print } from "../render/output.ts";

/** The options of the command line. */
export interface ImportValues {
  readonly data?: string | undefined;
  readonly database?: string | undefined;
  readonly from?: string | undefined;
  readonly network?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly dns?: string | undefined;
  readonly config?: string | undefined;
  readonly "dry-run"?: boolean | undefined;
}

/** Imports a server, and prints the result. */
export async function importInto(word: string, values: ImportValues): Promise<number> {
  const { data = DATA, database, from, network, endpoint, config, "dry-run": dryRun = false } = values;
  if (from !== undefined && !SOURCES.includes(from as Source)) {
    complain(`${shortName()}: --from takes one of ${SOURCES.join(", ")}`);
    return 1;
  }
  const dns = values.dns?.split(",").map((text) => text.trim()).filter(Boolean);
  const found = await readServer(word, { from: from as Source | undefined, network, config });
  const choices = { network, endpoint, dns };
  const { plan, keeper } = await importServer(data, found, choices, { dryRun, database }, Date.now());
  const { network: { name, addresses, listenPort }, devices, conflicts } = plan;
  if (conflicts.length > 0) {
    complain(`${shortName()}: ${found.source} cannot be imported; nothing was changed`);
    for (const conflict of conflicts) complain(`  ${conflict}`);
    return 1;
  }
  print(
    `${dryRun ? "would import" : "imported"} ${name} (${addresses.join(", ")}, UDP port ${listenPort})\n`,
  );
  for (const device of devices) {
    const state = device.enabled ? "" : " (disabled)";
    const networks = [...device.addresses, ...device.routedNetworks];
    print(`  ${device.name}  ${networks.join(", ")}${state}\n`);
  }
  const hadKeys = found.peers.filter(({ hadPrivateKey }) => hadPrivateKey).length;
  if (hadKeys > 0) {
    complain(
      `${shortName()}: ${hadKeys} private keys of devices were not imported: these devices keep working, ` +
        "but the page cannot show their files again",
    );
  }
  for (const note of found.notes) {
    complain(`hint: ${note.replace("the keeper's file", `${keeperFolder(data)}/${name}.conf`)}`);
  }
  if (keeper === "serves") {
    complain(`${shortName()}: the running server now serves ${name}`);
  } else if (keeper !== "none") {
    complain(`${shortName()}: the running server cannot serve ${name} yet: ${keeper.message}`);
    complain(`hint: stop the program that has served ${name}, then restart the server`);
  } else if (!dryRun && !found.isRunning) {
    complain(`hint: stop the program that has served ${name}, then start the server: ${shortName()} web`);
  }
  return 0;
}
