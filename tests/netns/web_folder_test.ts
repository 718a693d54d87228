/**
 * Root's commands work in the folder of the web process, which an attacker may control. They follow no link in it.
 *
 * @module
 */

import { equal, match, notEqual } from "node:assert/strict";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { ADMIN, DATA, WebLab } from "./lab/web.ts";

const TOKEN = [...wgdCommand(), "web", "token", "add", "test", "--data", DATA, "--scopes", "devices"];
/** A file in a folder of root's, which root must neither make, write nor give away. */
const VICTIM = "/run/lab/victim";

await rootTest("root does not follow links that the web process makes in its folder", {}, async () => {
  await using lab = await WebLab.create();
  const { server } = lab;
  equal((await lab.init(ADMIN.name, ADMIN.password)).code, 0);
  // To where there is nothing yet, and to another database of root's.
  for (const name of ["wgd.db-wal", "wgd.db-shm", "wgd.db", "wgd.db of root's"]) {
    const link = `${DATA}/web/${name.split(" ")[0]}`;
    const prepare = name === "wgd.db of root's" ? `cp -p ${link} ${VICTIM}; chown 0 ${VICTIM}` : "true";
    await server.sh(`umask 077; ${prepare}; mv ${link} ${link}.mine || true; ln -s ${VICTIM} ${link}`);
    await server.sh(`chown -h 65534:65534 ${link}`);
    const before = await server.sh(`stat -c '%u %Y' ${VICTIM} 2>&1 || true`);
    const { code, stderr } = await server.run(TOKEN);
    equal(await server.sh(`stat -c '%u %Y' ${VICTIM} 2>&1 || true`), before, name);
    notEqual(code, 0, name);
    match(stderr, /unable to open|denied/, name);
    await server.sh(`rm ${link}; mv ${link}.mine ${link} || true`);
  }
  equal((await server.run(TOKEN)).code, 0);
});
