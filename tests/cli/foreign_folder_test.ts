/**
 * Root works in a folder of another user, who makes links there and exchanges files. Nothing outside of that folder may
 * change.
 *
 * @module
 */

import { deepEqual, equal, rejects } from "node:assert/strict";
import { writeDurably } from "../../core/durable_file.ts";
import { FileError } from "../../core/file_error.ts";
import { install, uninstall } from "../../core/install/apply.ts";
import { compareForInstall, compareForUninstall } from "../../core/install/compare.ts";
import { InstallError, type InstallFile } from "../../core/install/plan.ts";
import { must } from "../netns/lab/exec.ts";

/** The owner of the folder: nobody. */
const USER = 65_534;
const never = new AbortController().signal;

/**
 * Runs a test with `home`, which belongs to the user, and `system`, which belongs to root and contains a file `victim`.
 */
function test(name: string, body: (home: string, system: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: Deno.uid() !== 0,
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        const [home, system] = [`${folder}/home`, `${folder}/system`];
        await Deno.chmod(folder, 0o755);
        await Deno.mkdir(home);
        await Deno.chown(home, USER, USER);
        await Deno.mkdir(system);
        await Deno.writeTextFile(`${system}/victim`, "root's", { mode: 0o600 });
        await body(home, system);
        equal(await Deno.readTextFile(`${system}/victim`), "root's");
        const { mode, uid } = await Deno.stat(`${system}/victim`);
        deepEqual([mode! & 0o7777, uid], [0o600, 0]);
        deepEqual(names(system), ["victim"]);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** Makes a link, as the user or, for comparison, as root. */
async function lay(link: string, to: string, owner = USER): Promise<void> {
  await Deno.symlink(to, link);
  await must(["chown", "-h", `${owner}:${owner}`, link]);
}

const bytes = new TextEncoder().encode("new");

test("a file is not written through another user's link to it", async (home, system) => {
  await lay(`${home}/wg0.conf`, `${system}/victim`);
  await rejects(
    writeDurably(`${home}/wg0.conf`, bytes),
    (error) => error instanceof FileError && /a link of another user/.test(error.message),
  );
  deepEqual(names(home), ["wg0.conf"]);
});

test("a file is not written if its path contains another user's link", async (home, system) => {
  await lay(`${home}/folder`, system);
  for (const createNew of [false, true]) {
    await rejects(writeDurably(`${home}/folder/new.conf`, bytes, { createNew }), FileError);
  }
  await rejects(writeDurably(`${home}/folder/../folder/victim`, bytes), FileError);
});

test("a file is not written through a link in a folder that everybody can write to", async (home, system) => {
  await Deno.chown(home, 0, 0);
  await Deno.chmod(home, 0o1777);
  await lay(`${home}/wg0.conf`, `${system}/victim`);
  await rejects(writeDurably(`${home}/wg0.conf`, bytes), FileError);
});

test(
  "root's links in root's folders, and a user's own files, are written as usual",
  async (home, system) => {
    await Deno.writeTextFile(`${home}/wg0.conf`, "old", { mode: 0o640 });
    await Deno.chown(`${home}/wg0.conf`, USER, USER);
    await lay(`${system}/link`, "../home", 0);
    await lay(`${system}/file`, "link/wg0.conf", 0);
    await writeDurably(`${system}/file`, bytes);
    equal(await Deno.readTextFile(`${home}/wg0.conf`), "new");
    const { mode, uid } = await Deno.stat(`${home}/wg0.conf`);
    deepEqual([mode! & 0o777, uid], [0o640, USER]);
    equal((await Deno.lstat(`${system}/file`)).isSymlink, true);
    for (const name of ["link", "file"]) await Deno.remove(`${system}/${name}`);
  },
);

/** Replaces temporary files by a link, as fast as it can. */
const EXCHANGE = `
  const [home, victim] = Deno.args;
  Deno.symlinkSync(victim, home + "/laid");
  for (;;) {
    for (const { name } of Deno.readDirSync(home)) {
      if (!name.endsWith(".new")) continue;
      try {
        Deno.renameSync(home + "/laid", home + "/" + name);
        Deno.symlinkSync(victim, home + "/laid");
      } catch {
        // It was already gone.
      }
    }
  }
`;

test("a file that another user replaces meanwhile gets no mode and no owner", async (home, system) => {
  await Deno.writeTextFile(`${home}/wg0.conf`, "old", { mode: 0o666 });
  await Deno.chown(`${home}/wg0.conf`, USER, USER);
  const script = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(script, EXCHANGE);
  await Deno.chmod(script, 0o644);
  const drop = ["setpriv", "--reuid", `${USER}`, "--regid", `${USER}`, "--clear-groups"];
  // Deno itself may be in a folder that only root can access.
  const deno = `${home}/deno`;
  await Deno.copyFile(Deno.execPath(), deno);
  await Deno.chmod(deno, 0o755);
  const [program, ...args] = [
    ...drop,
    deno,
    "run",
    "--allow-all",
    "--no-config",
    script,
    home,
    `${system}/victim`,
  ];
  const attacker = new Deno.Command(program!, { args, env: { DENO_DIR: `${home}/.deno`, HOME: home } })
    .spawn();
  try {
    const end = performance.now() + 3_000;
    while (performance.now() < end) {
      await writeDurably(`${home}/wg0.conf`, bytes).catch(() => {});
      // The user may put anything there.
      const info = await Deno.lstat(`${home}/wg0.conf`).catch(() => null);
      if (info?.isFile) continue;
      await Deno.remove(`${home}/wg0.conf`).catch(() => {});
      await Deno.writeTextFile(`${home}/wg0.conf`, "old", { mode: 0o666, createNew: true }).catch(() => {});
      await must(["chown", "-h", `${USER}:${USER}`, `${home}/wg0.conf`]).catch(() => {});
    }
  } finally {
    attacker.kill("SIGKILL");
    await attacker.status;
    await Deno.remove(script);
  }
});

/** An installation of a program and a text below a prefix. */
function files(): InstallFile[] {
  return [
    { path: "/prefix/bin/wgd", content: { kind: "program" } },
    { path: "/prefix/share/page", content: { kind: "text", text: "page" } },
  ];
}

test("install does not write through a link in place of a temporary file", async (home, system) => {
  await Deno.mkdir(`${home}/prefix/bin`, { recursive: true });
  await Deno.mkdir(`${home}/prefix/share`);
  for (const folder of ["prefix", "prefix/bin", "prefix/share"]) {
    await Deno.chown(`${home}/${folder}`, USER, USER);
  }
  // The names that it used before.
  await lay(`${home}/prefix/bin/wgd.${Deno.pid}.new`, `${system}/victim`);
  await lay(`${home}/prefix/share/page.${Deno.pid}.new`, `${system}/victim`);
  // The files that it replaces.
  await lay(`${home}/prefix/bin/wgd`, `${system}/victim`);
  await lay(`${home}/prefix/share/page`, `${system}/victim`);
  const options = { program: Deno.execPath(), root: home };
  const changes = await compareForInstall(files(), options);
  deepEqual(changes.map(({ action }) => action), ["replace", "replace"]);
  await install(changes, options, never);
  equal((await Deno.lstat(`${home}/prefix/bin/wgd`)).isFile, true);
  equal(await Deno.readTextFile(`${home}/prefix/share/page`), "page");
});

test("install and uninstall do not follow another user's link to a folder", async (home, system) => {
  await Deno.mkdir(`${home}/prefix`);
  await Deno.chown(`${home}/prefix`, USER, USER);
  await lay(`${home}/prefix/share`, system);
  const options = { program: "/bin/true", root: home };
  const refused = (error: unknown) =>
    error instanceof InstallError && /a link of another user/.test(error.message);
  const changes = files().map((file) => ({ file, path: home + file.path, action: "install" as const }));
  await rejects(compareForInstall(files(), options), refused);
  await rejects(install(changes, options, never), refused);
  // The file that was written before has been removed.
  deepEqual(names(`${home}/prefix`), ["share"]);
  const victim: InstallFile = { path: "/prefix/share/victim", content: { kind: "text", text: "root's" } };
  await rejects(compareForUninstall([victim], options), refused);
  const removal = { file: victim, path: home + victim.path, action: "remove" as const };
  await rejects(uninstall([removal], "/prefix", options), refused);
});

test("a pipe in the place of a file does not block install", async (home) => {
  await Deno.mkdir(`${home}/prefix/share`, { recursive: true });
  await must(["mkfifo", `${home}/prefix/share/page`]);
  const options = { program: Deno.execPath(), root: home };
  const changes = await compareForInstall(files(), options);
  deepEqual(changes.map(({ action }) => action), ["install", "replace"]);
  await install(changes, options, never);
  equal(await Deno.readTextFile(`${home}/prefix/share/page`), "page");
});
