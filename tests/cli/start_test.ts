/**
 * Starts commands in unusual folders and under limits. Each works, or reports in one line why it cannot.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { type Finished, run } from "../netns/lab/exec.ts";
import { LEFT_OUT } from "../skip.ts";
import { calledAs, wgd } from "./oracle.ts";

const KEY = /^[A-Za-z0-9+/]{43}=\n$/;
/** The shell's message for a deleted folder before it reads the first line of a script. */
const SHELL = /^(sh|shell-init|\/bin\/sh|job-working-directory)[^\n]*getcwd[^\n]*\n/gm;
/** Only the launcher's file is read before Deno starts. */
const launched = Deno.env.get("WGD_TEST_PROGRAM") !== undefined &&
  new TextDecoder().decode(Deno.readFileSync(Deno.env.get("WGD_TEST_PROGRAM")!).subarray(0, 9)) ===
    "#!/bin/sh";

/** Runs a script in which `"$@"` is wgd. */
async function sh(script: string): Promise<Finished> {
  const [program, before] = wgd();
  const finished = await run(["sh", "-c", script, "sh", program, ...before], { env: calledAs("wgd") });
  return { ...finished, stderr: finished.stderr.replace(SHELL, "") };
}

Deno.test("a failed write to standard output is one line of error and exit code 1", async () => {
  for (const command of ["genkey", "--version", "help", "help --roff", "completions bash", "show"]) {
    const { code, stderr } = await sh(`umask 077; "$@" ${command} > /dev/full`);
    if (command === "help --roff" || command === "show" && code === 0) continue;
    deepEqual([code, stderr], [1, 'wgd: cannot write "/dev/stdout": No space left on device\n'], command);
  }
});

Deno.test({
  name: "in a deleted folder wgd works, and a relative path leads nowhere",
  ignore: !launched,
  async fn() {
    const gone = 'd=$(mktemp -d); mkdir "$d/a"; cd "$d/a"; rm -r "$d"; umask 077;';
    const made = await sh(`${gone} "$@" genkey`);
    match(made.stdout, KEY);
    deepEqual([made.code, made.stderr], [0, ""]);
    for (const path of ["x.conf", "./x.conf", "../x.conf"]) {
      const { code, stderr } = await sh(`${gone} "$@" qr ${path}`);
      equal(code, 1);
      match(stderr, /No such file or directory/);
    }
    const relative = await sh(
      'd=$(mktemp -d); ln -s "$1" "$d/wgd"; mkdir "$d/a"; cd "$d/a"; rmdir "$d/a"; ../wgd genkey',
    );
    deepEqual([relative.code, relative.stdout], [1, ""]);
    match(relative.stderr, /^wgd: the folder that this was called in has been deleted\nhint: [^\n]*\n$/);
  },
});

/** Limits, and the message for each. */
const LIMITS: Record<string, [script: string, message: RegExp]> = {
  "addresses": [
    "ulimit -v 4000000",
    /^wgd: V8 needs 50 GiB of addresses, .* and ulimit -v is 4000000 KiB\nhint: .*LimitAS=infinity\n$/,
  ],
  "data": [
    "ulimit -d 1000000",
    /^wgd: V8 needs 1\.5 GiB of data, .* and ulimit -d is 1000000 KiB\nhint: .*LimitDATA=infinity\n$/,
  ],
  "stack": [
    "ulimit -s 256",
    /^wgd: V8 needs 1 MiB of stack, and ulimit -s is 256 KiB\nhint: .*LimitSTACK=8M\n$/,
  ],
};

for (const [what, [limit, message]] of Object.entries(LIMITS)) {
  Deno.test({
    name: `a limit on ${what} that is too low for V8 is reported, with what V8 needs`,
    ignore: !launched,
    async fn() {
      const { code, stdout, stderr } = await sh(`${limit}; "$@" genkey`);
      deepEqual([code, stdout], [1, ""]);
      match(stderr, message);
    },
  });
}

Deno.test({
  name:
    "with exactly the limits that the launcher requires, wgd starts every time; a soft limit on the stack is raised",
  ignore: !launched,
  async fn() {
    const { code, stdout, stderr } = await sh(`
      umask 077
      ulimit -v 52428800; ulimit -d 1572864; ulimit -S -s 256
      for i in 1 2 3 4 5 6 7 8 9 10; do "$@" genkey || exit; done`);
    deepEqual([code, stderr], [0, ""]);
    equal(stdout.trim().split("\n").length, 10);
  },
});

Deno.test({
  name: "wgd reports that memory cannot be both writable and executable",
  ignore: !launched,
  async fn(t) {
    const [program, before] = wgd();
    const deny = [
      Deno.execPath(),
      "run",
      "--allow-all",
      new URL("deny_write_execute.ts", import.meta.url).pathname,
    ];
    const command = [...deny, program, ...before, "genkey"];
    const { code, stdout, stderr } = await run(command, { env: calledAs("wgd") });
    await t.step({
      name: code === 77 ? `prctl(PR_SET_MDWE)${LEFT_OUT}Linux before 6.3)` : "prctl(PR_SET_MDWE)",
      ignore: code === 77,
      fn: () => {
        deepEqual([code, stdout], [1, ""]);
        match(
          stderr,
          /^wgd: V8 compiles [^\n]* refused here\nhint: in a systemd unit: MemoryDenyWriteExecute=no[^\n]*\n$/,
        );
      },
    });
  },
});
