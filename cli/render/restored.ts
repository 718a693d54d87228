/**
 * Renders what `wgd web restore` has done, and what the user still has to do.
 *
 * @module
 */

import { DATA, keeperFolder, webFolder } from "../../core/web/folders.ts";
import type { Restored } from "../../core/web/restore.ts";
import { shortName } from "../program.ts";

/** Renders it line by line. */
export function tellRestored(
  { devices, users, networks, strangers, sealed, replaced }: Restored,
  file: string,
  data: string,
): string[] {
  const keeper = keeperFolder(data);
  const option = data === DATA ? "" : ` --data ${data}`;
  const counts = [
    counted(networks.length, "network"),
    counted(devices, "device"),
    counted(users, "user"),
  ];
  const lines = [`restored ${counts[0]}, ${counts[1]} and ${counts[2]} from ${file}`];
  if (replaced !== undefined) lines.push(`the old database is now ${replaced}`);
  lines.push(
    "sessions and open invitations have ended; devices, users and tokens that were removed after the backup exist again",
  );
  for (const { interface: name, key } of networks) {
    if (key === "new") {
      lines.push(`${name}: its interface has a new key, so its devices need a new configuration`);
    }
    if (key !== "missing" && key !== "other") continue;
    const what = key === "missing" ? "the key of the interface is not" : "another key of the interface is";
    lines.push(
      `${name}: ${what} in ${keeper}; restore your copy of that folder`,
      `hint: if there is no copy: ${shortName()} web restore ${file}${option} --force --new-keys; ` +
        `then its devices need a new configuration`,
    );
  }
  for (const name of strangers) {
    lines.push(
      `${name}: the backup does not have this network; its interface and its peers stay as they are`,
      `hint: to end it: ${shortName()} quick down ${keeper}/${name}.conf; rm ${keeper}/${name}.*`,
    );
  }
  if (sealed > 0) {
    lines.push(
      `${
        counted(
          sealed,
          "second factor or password of a provider",
          "second factors and passwords of providers",
        )
      } ` +
        `cannot be read: ${
          webFolder(data)
        }/secrets.key is not the file they were encrypted with; restore your copy`,
      `hint: without a copy, restore an administrator's access: ${shortName()} web user NAME${option} --no-second-factor; ` +
        "then turn off the other second factors and enter the passwords of providers again on the page",
    );
  }
  return [
    ...lines.map((line) => line.startsWith("hint: ") ? line : `${shortName()}: ${line}`),
    `hint: no tunnel has changed; start the server: ${shortName()} web${option}`,
  ];
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
