/**
 * The self-extracting `dist/wgd`: where it unpacks, which files it trusts, and its errors if there is no folder for it.
 * Each test is a shell script in its own mount namespace, so that `/var/cache` can be full or read-only without
 * affecting the machine.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { fileURLToPath } from "node:url";

const program = Deno.env.get("WGD_TEST_PROGRAM") ?? fileURLToPath(new URL("../../dist/wgd", import.meta.url));
const decoder = new TextDecoder();

/** The launcher's script, without the archive; null if there is none, or it was made by `deno compile`. */
function launcher(): string | null {
  try {
    using file = Deno.openSync(program);
    const start = new Uint8Array(64 << 10);
    const text = decoder.decode(start.subarray(0, file.readSync(start) ?? 0));
    return text.startsWith("#!/bin/sh") ? text : null;
  } catch {
    return null;
  }
}

const script = launcher();
const content = /^content=(.*)$/m.exec(script ?? "")?.[1] ?? "";
/** Root of this machine, or of a user namespace if one can be made. */
const namespace = Deno.uid() === 0 ? ["unshare", "--mount"] : ["unshare", "--mount", "--map-root-user"];
const possible = script !== null && mayMount();

function mayMount(): boolean {
  const [unshare, ...flags] = namespace;
  try {
    const args = [...flags, "mount", "-t", "tmpfs", "none", "/var/cache"];
    return new Deno.Command(unshare!, { args, stderr: "null" }).outputSync().success;
  } catch {
    return false;
  }
}

interface Outcome {
  code: number;
  lines: string[];
  /** The program's standard error. */
  errors: string;
}

/**
 * Runs a shell script in a new environment: `$wgd` has never run, `/var/cache` is empty, there is no HOME, and the
 * working directory, also `$d`, is an empty folder on a separate disk.
 */
async function fresh(body: string): Promise<Outcome> {
  const [unshare, ...flags] = namespace;
  const prelude = `set -eu
    mount -t tmpfs -o mode=755 none /var/cache
    mount -t tmpfs -o mode=755 none /mnt
    d=/mnt; cd $d; wgd=$1
    disk() { mkdir -p "$1"; mount -t tmpfs -o "$2" none "$1"; }
    `;
  const { code, stdout, stderr } = await new Deno.Command(unshare!, {
    args: [...flags, "sh", "-c", prelude + body, "sh", program],
    env: { PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin", LC_ALL: "C" },
    clearEnv: true,
    stdin: "null",
  }).output();
  return {
    code,
    lines: decoder.decode(stdout).split("\n").filter((line) => line !== ""),
    errors: decoder.decode(stderr),
  };
}

function test(name: string, body: () => Promise<void>): void {
  Deno.test({ name: `dist/wgd ${name}`, ignore: !possible, fn: body });
}

const VERSION = /^wgd \d/;

test("uses its name in hints if it is in PATH, else its path", async () => {
  const { lines, errors } = await fresh(`
    mkdir bin; ln -s "$wgd" bin/wg; ln -s "$wgd" bin/wgd
    bin/wg --help | head -1
    export PATH=/mnt/bin:$PATH
    wg --help | head -1
    wgd help | head -1`);
  equal(errors, "");
  deepEqual(lines.map((line) => line.replace(/ <cmd>.*/, "")), ["Usage: bin/wg", "Usage: wg", "Usage: wgd"]);
});

test("deletes old versions when it unpacks, but none that is in use", async () => {
  const { code, lines, errors } = await fresh(`
    disk /mnt/cache size=200m
    ln -s cache link; export XDG_CACHE_HOME=/mnt/link
    old() { mkdir -p cache/wgd/$1 cache/wgd/$1.state; cp "$(command -v sleep)" cache/wgd/$1/wgd; touch -a -d "$2" cache/wgd/$1/wgd; }
    umask 077
    old 0a 'now - 10 days'; old 0b 'now - 1 day'; old 0c 'now - 10 days'; old other 'now - 10 days'
    cache/wgd/0c/wgd 60 & used=$!
    touch -a -d 'now - 10 days' cache/wgd/0c/wgd
    "$wgd" --version
    kill $used
    ls cache/wgd | grep -v ${content}`);
  equal(code, 0, errors);
  match(lines.shift()!, VERSION);
  deepEqual(lines, ["0b", "0b.state", "0c", "0c.state", "other", "other.state"]);
});

test("started for the first time by several processes at once unpacks to one whole folder", async () => {
  const { lines, errors } = await fresh(`
    export XDG_CACHE_HOME=$d
    for process in 1 2 3; do "$wgd" --version & done
    wait
    ls -A $d/wgd`);
  equal(errors, "");
  deepEqual(lines.slice(3), [content, `${content}.state`]);
  for (const line of lines.slice(0, 3)) match(line, VERSION);
});

test("unpacks to a folder that only the user can read and write, with any umask", async () => {
  const { lines } = await fresh(`
    umask 0
    export XDG_CACHE_HOME=$d
    "$wgd" --version >/dev/null
    stat -c %a $d/wgd $d/wgd/${content}
    find $d/wgd/${content} -type f -perm /0277 ! -name wgd`);
  deepEqual(lines, ["700", "700"]);
});

test("without HOME uses /var/cache", async () => {
  const { lines, errors } = await fresh(`"$wgd" --version; ls -A /var/cache/wgd`);
  equal(errors, "");
  match(lines[0]!, VERSION);
  equal(lines[1], content);
});

test("skips a cache folder that is read-only, full, or mounted noexec", async () => {
  const { lines, errors } = await fresh(`
    disk $d/read-only ro
    disk $d/full size=8m
    disk $d/noexec noexec
    for kind in read-only full noexec; do
      XDG_CACHE_HOME=$d/$kind "$wgd" --version
      find $d/$kind -type f
    done
    ls -A /var/cache/wgd`);
  equal(errors, "");
  equal(lines.length, 5, `files are left behind: ${lines.join(", ")}`);
  for (const line of lines.slice(0, 3)) match(line, VERSION);
  equal(lines[3], content);
});

test("starts from a read-only cache folder that already contains it", async () => {
  const { lines, errors } = await fresh(`
    disk $d/cache mode=755
    export XDG_CACHE_HOME=$d/cache
    "$wgd" --version
    mount -o remount,ro $d/cache
    "$wgd" --version
    ls -A /var/cache`);
  equal(errors, "");
  equal(lines.length, 2, `wgd was unpacked to another folder: ${lines.slice(2).join(", ")}`);
});

test("unpacks to another folder if its folder is now mounted noexec", async () => {
  const { lines, errors } = await fresh(`
    disk $d/cache mode=755
    export XDG_CACHE_HOME=$d/cache
    "$wgd" --version
    mount -o remount,noexec $d/cache
    "$wgd" --version
    ls -A -I '*.state' /var/cache/wgd`);
  equal(errors, "");
  equal(lines[1], lines[0]);
  deepEqual(lines.slice(2), [content]);
});

test("reports if there is no folder to unpack to, and leaves nothing behind", async () => {
  const { code, lines, errors } = await fresh(`
    disk $d/full size=8m
    mount -o remount,ro /var/cache
    disk $d/tmp ro
    status=0
    XDG_CACHE_HOME=$d/full TMPDIR=$d/tmp "$wgd" genkey || status=$?
    find $d/full -type f
    exit $status`);
  equal(code, 1);
  deepEqual(lines, []);
  match(errors, /^wgd: no folder to unpack to: [^\n]*\nhint: set XDG_CACHE_HOME [^\n]*\n$/);
});

/** Another program in place of wgd, with the same size, mode and time. */
const EVIL = `
  size=$(stat -c %s cli/main.js)
  chmod u+w cli/main.js
  printf 'console.log("evil") //' >cli/main.js
  truncate -s $size cli/main.js
  touch -d @1 cli/main.js
  chmod 400 cli/main.js`;

/** Detectable changes, as commands in the unpacked folder. */
const TRACES: Record<string, string> = {
  "another size": "chmod u+w cli/main.js; echo >>cli/main.js; touch -d @1 cli/main.js; chmod 400 cli/main.js",
  "another mode": "chmod 644 cli/main.js",
  "another time": "touch cli/main.js",
  "a link in place of a file": "mv wgd other; ln -s other wgd",
  "a missing file": "rm core/tunnel/worker.js",
  "a folder that all may write to": "chmod 777 .",
  "a folder above that all may write to": "chmod 777 ..",
  "another user's file": "chown 65534 cli/main.js",
  "another user's folder": "chown 65534 .",
  "another user's folder above": "chown 65534 ..",
};

for (const [trace, commands] of Object.entries(TRACES)) {
  const foreign = commands.includes("chown");
  Deno.test({
    name: `dist/wgd does not trust ${trace}, and unpacks again`,
    // A user namespace with one user has no others.
    ignore: !possible || foreign && Deno.uid() !== 0,
    async fn() {
      const { lines, errors } = await fresh(`
        export XDG_CACHE_HOME=$d
        "$wgd" --version
        (cd $d/wgd/${content}; ${EVIL}; ${commands})
        "$wgd" --version
        "$wgd" --version`);
      equal(errors, "");
      match(lines[0]!, VERSION);
      deepEqual(lines, [lines[0], lines[0], lines[0]]);
    },
  });
}

test("cannot detect hidden changes by its own user", async () => {
  const { lines } = await fresh(`
    export XDG_CACHE_HOME=$d
    "$wgd" --version
    cd $d/wgd/${content}; ${EVIL}
    "$wgd" --version`);
  equal(lines[1], "evil");
});

test("deletes files of an interrupted unpacking, but not of one in progress", async () => {
  const { lines } = await fresh(`
    export XDG_CACHE_HOME=$d
    mkdir -p $d/wgd/.new.stale $d/wgd/.new.fresh
    chmod 700 $d/wgd
    touch -d '2 hours ago' $d/wgd/.new.stale
    "$wgd" --version
    ls -A $d/wgd`);
  deepEqual(lines.slice(1), [".new.fresh", content, `${content}.state`]);
});

Deno.test({
  name: "dist/wgd does not use what another user has laid ready in the folder for temporary files",
  ignore: !possible || Deno.uid() !== 0,
  async fn() {
    const { code, errors, lines } = await fresh(`
      disk $d/tmp mode=1777
      XDG_CACHE_HOME=$d "$wgd" --version
      mkdir $d/tmp/wgd-0
      (cd $d/wgd/${content}; ${EVIL})
      mv $d/wgd/${content} $d/tmp/wgd-0/
      chown 65534 $d/tmp/wgd-0
      mount -o remount,ro /var/cache
      TMPDIR=$d/tmp "$wgd" --version`);
    equal(code, 1);
    equal(lines.length, 1);
    match(errors, /no folder to unpack to/);
  },
});

test("acts as the tool by whose name it is called", async () => {
  const { lines, errors } = await fresh(`
    export XDG_CACHE_HOME=$d
    mkdir 'a folder'
    ln -s "$wgd" 'a folder/wg'
    "$d/a folder/wg" --version
    'a folder/wg' --version
    PATH="$d/a folder:$PATH" wg --version
    cd 'a folder'
    ./wg --version`);
  equal(errors, "");
  equal(lines.length, 4);
  for (const line of lines) match(line, /^wireguard-tools v/);
});

test("passes arguments and the exit code on unchanged", async () => {
  const { code, errors } = await fresh(`XDG_CACHE_HOME=$d "$wgd" set 'a  b*' '' "it's"`);
  equal(code, 1);
  match(errors, /Invalid argument: $/m);
});
