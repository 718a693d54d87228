/**
 * `wgd install` and `uninstall`, into folders.
 *
 * @module
 */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { install, uninstall } from "../../core/install/apply.ts";
import { compareForInstall, compareForUninstall } from "../../core/install/compare.ts";
import { InstallError, type InstallFile, installLinks } from "../../core/install/plan.ts";
import { type Finished, must, run } from "../netns/lab/exec.ts";
import { calledAs, wgd } from "./oracle.ts";

/** Only an executable can be installed, not the sources. */
const built = Deno.env.get("WGD_TEST_PROGRAM");
const PREFIX = "/usr/local";
const UNIT = "lib/systemd/system/wgd-quick@.service";

function wgdRun(...args: string[]): Promise<Finished> {
  const [program, before] = wgd();
  return run([program, ...before, ...args], { env: calledAs("wgd") });
}

/** A test in an empty folder. */
function test(name: string, body: (root: string) => Promise<void>, needsBuilt = true): void {
  Deno.test({
    name,
    ignore: needsBuilt && built === undefined,
    fn: async () => {
      const root = await Deno.makeTempDir();
      try {
        await body(root);
      } finally {
        await Deno.remove(root, { recursive: true });
      }
    },
  });
}

/** Every file below a folder with its mode, and for text with a digest: the output of `find` and `cksum`. */
async function state(root: string): Promise<string> {
  const script = "find . -printf '%p %M %l\\n' | sort; find . -type f -exec cksum {} + | sort";
  return await must(["sh", "-c", `cd "$1"; ${script}`, "sh", root]);
}

test("wgd install installs all files with any umask", async (root) => {
  const { code, stdout, stderr } = await run(
    ["sh", "-c", 'umask 077; exec "$@"', "sh", built!, "install", "--root", root],
    { env: calledAs("wgd") },
  );
  deepEqual([code, stderr], [0, ""]);
  const installed = stdout.trimEnd().split("\n").map((line) => line.replace(`installed ${root}`, ""));
  ok(installed.includes("/usr/local/bin/wgd") && installed.includes(`/usr/local/${UNIT}`));
  for (
    const file of [
      "share/bash-completion/completions/wgd",
      "share/zsh/site-functions/_wgd",
      "share/fish/vendor_completions.d/wgd.fish",
      "share/man/man8/wgd-quick.8",
      "share/man/man7/wgd-config.7",
    ]
  ) ok(installed.includes(`${PREFIX}/${file}`), file);
  const modes = await must(["sh", "-c", 'cd "$1"; find . -printf "%M %p\\n"', "sh", `${root}/usr`]);
  for (const line of modes.trimEnd().split("\n")) {
    match(line, /^(drwxr-xr-x |-rw-r--r-- |-rwxr-xr-x \.\/local\/bin\/wgd$)/);
  }
  const program = `${root}/usr/local/bin/wgd`;
  match((await run([program, "--version"], { env: calledAs("wgd") })).stdout, /^wgd \d/);
  await must(["cmp", program, built!]);
  match(await must(["man", "-l", `${root}/usr/local/share/man/man8/wgd.8`]), /WireGuard in one executable/);
});

test("--root without a folder is an error", async () => {
  const { code, stdout, stderr } = await wgdRun("install", "--root", "");
  deepEqual([code, stdout], [1, ""]);
  match(stderr, /--root needs a folder\nhint: /);
});

test("a second install changes nothing, and an upgrade replaces the file instead of writing into it", async (root) => {
  await wgdRun("install", "--root", root);
  const before = await state(root);
  const again = await wgdRun("install", "--root", root);
  equal(again.code, 0);
  ok(again.stdout.trimEnd().split("\n").every((line) => line.startsWith("unchanged ")));
  equal(await state(root), before);

  const page = `${root}/usr/local/share/man/man8/wgd.8`;
  await Deno.writeTextFile(page, "older");
  using old = await Deno.open(page);
  match((await wgdRun("install", "--root", root)).stdout, /^replaced .*\/wgd\.8$/m);
  equal(await state(root), before);
  equal(
    await new Response(old.readable).text(),
    "older",
    "a program that has the file open still reads the old content",
  );
});

test("--dry-run lists the files and changes nothing", async (root) => {
  const { code, stdout } = await wgdRun("install", "--root", root, "--links", "--dry-run");
  equal(code, 0);
  match(stdout, /^would install .*\/bin\/wgd\n/);
  match(stdout, /^would install .*\/bin\/wg-quick$/m);
  deepEqual(await Array.fromAsync(Deno.readDir(root)), []);
  await wgdRun("install", "--root", root);
  const before = await state(root);
  match((await wgdRun("uninstall", "--root", root, "--dry-run")).stdout, /^would remove .*\/bin\/wgd$/m);
  equal(await state(root), before);
});

test("uninstall removes exactly the files of install, and keeps changed ones", async (root) => {
  const own = `${root}/usr/local/share/fish/own.fish`;
  await Deno.mkdir(`${root}/usr/local/share/fish`, { recursive: true });
  await Deno.writeTextFile(own, "mine");
  const before = await state(root);
  await wgdRun("install", "--root", root, "--links");
  const unit = `${root}${PREFIX}/${UNIT}`;
  const text = await Deno.readTextFile(unit);
  await Deno.writeTextFile(unit, `${text}# mine\n`);
  const partly = await wgdRun("uninstall", "--root", root);
  equal(partly.code, 1);
  equal(
    partly.stderr,
    `wgd: ${unit} is left as it is: it differs from what this wgd would write\n`,
  );
  match(await Deno.readTextFile(unit), /# mine/);

  await Deno.writeTextFile(unit, text);
  const { code, stderr } = await wgdRun("uninstall", "--root", root);
  deepEqual([code, stderr], [0, ""]);
  equal(await must(["find", root, "-type", "f", "-o", "-type", "l"]), `${own}\n`);
  // The folders that every /usr/local has stay.
  for (const folder of ["bin", "lib", "share/man/man7", "share/man/man8"]) {
    await Deno.remove(`${root}${PREFIX}/${folder}`);
  }
  await Deno.remove(`${root}${PREFIX}/share/man`);
  equal(await state(root), before);
});

test("with another prefix, all files are below it, and the unit runs that program", async (root) => {
  await wgdRun("install", "--root", root, "--prefix", "/opt/wgd/");
  const unit = await Deno.readTextFile(`${root}/opt/wgd/${UNIT}`);
  match(unit, /^ExecStart=\/opt\/wgd\/bin\/wgd quick up %i$/m);
  ok(!unit.includes("/usr/local"));
  equal((await wgdRun("uninstall", "--root", root, "--prefix", "/opt/wgd")).code, 0);
  equal(await must(["find", root]), `${root}\n${root}/opt\n`);
});

test("links are made only if there are no such commands, and removed only if they are ours", async (root) => {
  await Deno.mkdir(`${root}/usr/bin`, { recursive: true });
  await Deno.writeTextFile(`${root}/usr/bin/wg-quick`, "#!/bin/sh\n");
  const { code, stderr } = await wgdRun("install", "--root", root, "--links");
  equal(code, 0);
  equal(
    stderr,
    `wgd: ${root}/usr/local/bin/wg-quick is left as it is: there is already a command /usr/bin/wg-quick\n`,
  );
  equal(await Deno.readLink(`${root}/usr/local/bin/wg`), "wgd");
  match((await run([`${root}/usr/local/bin/wg`, "--version"])).stdout, /^wireguard-tools /);
  equal((await wgdRun("uninstall", "--root", root)).code, 0);
  deepEqual(await Array.fromAsync(Deno.readDir(`${root}/usr/local/bin`)), []);
  ok(await Deno.stat(`${root}/usr/bin/wg-quick`));
});

test("with --links, wgd's unit wg-quick@ is installed, unless there is another one", async (root) => {
  const path = "lib/systemd/system/wg-quick@.service";
  await wgdRun("install", "--root", root, "--links");
  const text = await Deno.readTextFile(`${root}${PREFIX}/${path}`);
  equal(text, await Deno.readTextFile(`${root}${PREFIX}/${UNIT}`));
  equal((await wgdRun("uninstall", "--root", root)).code, 0);

  await Deno.mkdir(`${root}/usr/lib/systemd/system`, { recursive: true });
  await Deno.writeTextFile(`${root}/usr/${path}`, "[Unit]\n");
  const { code, stderr } = await wgdRun("install", "--root", root, "--links");
  equal(code, 0);
  equal(
    stderr,
    `wgd: ${root}${PREFIX}/${path} is left as it is: there is already a unit /usr/${path}\n`,
  );
});

test("a unit wg-quick@ of another wgd is replaced, and listed if it is kept", async (root) => {
  const unit = installLinks(PREFIX).at(-1)!;
  const path = root + unit.path;
  const place = { program: "", root };
  await Deno.mkdir(`${root}${PREFIX}/lib/systemd/system`, { recursive: true });
  const actions = async () => [
    ...(await compareForInstall([unit], place)).map(({ action }) => action),
    ...(await compareForUninstall([unit], place)).map(({ action }) => action),
  ];
  await Deno.writeTextFile(path, `[Service]\nExecStart=${PREFIX}/bin/wgd quick up %i\n`);
  deepEqual(await actions(), ["replace", "leave"]);
  await Deno.writeTextFile(path, "[Service]\nExecStart=/usr/bin/wg-quick up %i\n");
  deepEqual(await actions(), ["leave"]);
}, false);

test("obstacles are named, and nothing is changed", async (root) => {
  await Deno.mkdir(`${root}/usr/local`, { recursive: true });
  await Deno.writeTextFile(`${root}/usr/local/share`, "a file");
  const before = await state(root);
  const file = await wgdRun("install", "--root", root);
  equal(file.code, 1);
  match(file.stderr, /^wgd: \/.*\/share\/[^\n]*: Not a directory\nhint: /);
  equal(await state(root), before);

  await Deno.remove(`${root}/usr/local/share`);
  await Deno.mkdir(`${root}/usr/local/share/man/man8/wgd-show.8`, { recursive: true });
  const folder = await wgdRun("install", "--root", root);
  equal(folder.code, 1);
  match(folder.stderr, /^wgd: \/.*\/wgd-show\.8 is a folder\nhint: /);
  equal(await must(["find", root, "-type", "f"]), "");
});

Deno.test({
  name: "without the right to write, wgd install reports it, with a hint; it reports a read-only disk too",
  ignore: built === undefined || Deno.uid() !== 0,
  async fn() {
    // A folder in which another user can read the executable and unpack it.
    const lab =
      'mount -t tmpfs -o mode=755 none /mnt; cp "$1" /mnt/wgd; mkdir /mnt/cache; chown 65534 /mnt/cache';
    const drop = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all";
    const script = `${lab}; export XDG_CACHE_HOME=/mnt/cache; exec ${drop} /mnt/wgd install`;
    const user = await run(["unshare", "--mount", "sh", "-ec", script, "sh", built!], {
      env: calledAs("wgd"),
    });
    equal(user.code, 1);
    match(
      user.stderr,
      /^wgd: \/usr\/local\/[^\n]*: Permission denied\nhint: become root, [^\n]*--prefix ~\/\.local\n$/,
    );
    const readOnly = 'mount -t tmpfs -o ro none /usr/local; exec "$1" install';
    const disk = await run(["unshare", "--mount", "sh", "-ec", readOnly, "sh", built!], {
      env: calledAs("wgd"),
    });
    equal(disk.code, 1);
    match(disk.stderr, /^wgd: \/usr\/local\/[^\n]*: Read-only file system\nhint: /);
  },
});

test("a full disk leaves nothing behind", async (root) => {
  if (Deno.uid() !== 0) return;
  const script = 'mount -t tmpfs -o size=8m none "$2"; "$1" install --root "$2" || find "$2" -mindepth 1';
  const { stdout, stderr } = await run(["unshare", "--mount", "sh", "-ec", script, "sh", built!, root], {
    env: calledAs("wgd"),
  });
  match(stderr, /bin\/wgd: No space left on device/);
  equal(stdout, "");
});

/** Two files, of which the second cannot be renamed. */
async function clash(
  root: string,
): Promise<{ files: InstallFile[]; place: { program: string; root: string } }> {
  const files = ["/a/one", "/a/two"].map((path): InstallFile => ({
    path,
    content: { kind: "text", text: "new" },
  }));
  await Deno.mkdir(`${root}/a`);
  await Deno.writeTextFile(`${root}/a/one`, "old");
  return { files, place: { program: "/nowhere", root } };
}

test("if a file cannot be renamed, the earlier renames are undone", async (root) => {
  const { files, place } = await clash(root);
  const changes = await compareForInstall(files, place);
  deepEqual(changes.map(({ action }) => action), ["replace", "install"]);
  // It appears between the check and the change.
  await Deno.mkdir(`${root}/a/two`);
  const before = await state(root);
  await rejects(install(changes, place, new AbortController().signal), InstallError);
  equal(await state(root), before);
}, false);

test("uninstall keeps a link to a folder", async (root) => {
  await Deno.mkdir(`${root}/elsewhere`);
  await Deno.writeTextFile(`${root}/elsewhere/mine`, "");
  await Deno.mkdir(`${root}/opt/wgd`, { recursive: true });
  await Deno.symlink("../../elsewhere", `${root}/opt/wgd/bin`);
  const file: InstallFile = { path: "/opt/wgd/bin/wgd", content: { kind: "text", text: "x" } };
  const place = { program: "", root };
  const path = root + file.path;
  await install([{ file, path, action: "install" }], place, new AbortController().signal);
  await uninstall([{ file, path, action: "remove" }], "/opt/wgd", place);
  equal(await Deno.readLink(`${root}/opt/wgd/bin`), "../../elsewhere");
  deepEqual((await Array.fromAsync(Deno.readDir(`${root}/elsewhere`))).map(({ name }) => name), ["mine"]);
}, false);

test("an interrupted install changes nothing", async (root) => {
  const { files, place } = await clash(root);
  const changes = await compareForInstall(files, place);
  const before = await state(root);
  await rejects(install(changes, place, AbortSignal.abort(new Error("enough"))), /enough/);
  equal(await state(root), before);
}, false);

Deno.test("wgd cannot be installed from its source, and prints what to do", async () => {
  const main = new URL("../../cli/main.ts", import.meta.url).pathname;
  const command = [Deno.execPath(), "run", "-A", "--no-check", main, "install", "--dry-run"];
  const { code, stderr } = await run(command, { env: { WGD_SELF: "" } });
  equal(code, 1);
  match(stderr, /^wgd: this wgd runs from its sources[^\n]*\nhint: build it first: deno task compile/);
});
