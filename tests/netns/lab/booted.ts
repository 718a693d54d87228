/**
 * This machine, booted by its systemd in namespaces. It has the same programs, but every change stays in memory, and
 * only what a test enables is enabled. However a test ends, the kernel removes it.
 *
 * @module
 */

import { eventually, type Finished, must, run } from "./exec.ts";

/**
 * Keeps the machine until its input ends. Its systemd manages a separate cgroup, which is used to end the machine.
 */
const HOLDER = `
set -eu
unified=
while read -r _ folder type _; do
  if [ "$type" = cgroup2 ]; then unified=$folder; break; fi
done < /proc/mounts
[ -n "$unified" ]
cgroup=$unified/wgd-boot-$$
mkdir "$cgroup"
root=$(mktemp -d)
finish() {
  echo 1 > "$cgroup/cgroup.kill" || true
  kill -9 "$child" || true
  for _ in {1..100}; do
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.05
  done
  rmdir "$root"
}
(
  echo 0 > "$cgroup/cgroup.procs"
  exec unshare --mount --pid --fork --kill-child --net --ipc --uts --cgroup sh -ec "$1" sh "$root" "$2" 0</dev/null >&2
) &
child=$!
trap finish EXIT
# unshare's child, the first process of the new namespace; none comes if unshare was refused.
for _ in {1..100}; do
  first=$(pgrep -P "$child") && break
  sleep 0.05
done
echo "$first"
while read -r _; do :; done
`;

/** The folder in which the script that prepares the machine finds the files of this machine. */
export const MACHINE = "/run/machine";

/** Makes the root file system, prepares it with the test's script ($2), and becomes systemd. */
const FIRST_PROCESS = `
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work none root
cd root
mount -t proc none proc
mount -t sysfs none sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 none dev
mkdir dev/net dev/pts dev/shm
for device in null zero full random urandom tty net/tun; do
  touch dev/$device
  mount --bind /dev/$device dev/$device
done
mount -t devpts -o newinstance,ptmxmode=0666 none dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for folder in run tmp var/cache usr/local etc/systemd/system etc/wireguard; do
  mkdir -p $folder
  mount -t tmpfs -o mode=755 none $folder
done
echo > etc/machine-id
mkdir .${MACHINE}
pivot_root . .${MACHINE}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset HOME XDG_CACHE_HOME
sh -ec "$2"
umount -l ${MACHINE}
rmdir ${MACHINE}
systemd=/usr/lib/systemd/systemd
[ -x $systemd ] || systemd=/lib/systemd/systemd
exec env -i PATH=$PATH container=wgd-test $systemd --unit=multi-user.target --log-target=console
`;

/** The booted machine. */
export class Booted implements AsyncDisposable {
  readonly #holder: Deno.ChildProcess;
  readonly #pid: string;

  private constructor(holder: Deno.ChildProcess, pid: string) {
    this.#holder = holder;
    this.#pid = pid;
  }

  /**
   * Boots.
   *
   * @param prepare A script for /bin/sh that is run as root first. This machine's own files are then below {@linkcode
   * MACHINE}.
   */
  static async create(prepare: string): Promise<Booted> {
    const holder = new Deno.Command("bash", {
      args: ["-c", HOLDER, "bash", FIRST_PROCESS, prepare],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let told = "";
    const listening = (async () => {
      for await (const text of holder.stderr.pipeThrough(new TextDecoderStream())) told += text;
    })();
    const { value } = await holder.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
    if (!/^\d+\n$/.test(value ?? "")) {
      await holder.stdin.close();
      await listening;
      throw new Error(`Cannot boot: ${told}`);
    }
    const machine = new Booted(holder, value!.trim());
    try {
      await eventually("systemd to have started everything", async () => {
        const { stdout } = await machine.run("systemctl", "is-system-running");
        return /^(running|degraded)$/m.test(stdout);
      }, { within: 60_000, every: 200 });
      return machine;
    } catch (cause) {
      await machine[Symbol.asyncDispose]();
      throw new Error(`It did not boot: ${told}`, { cause });
    }
  }

  #enter(command: readonly string[]): string[] {
    const namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup"];
    const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    return ["nsenter", "-t", this.#pid, ...namespaces, "--", "env", "-i", path, "HOME=/root", ...command];
  }

  /** Runs a command to its end. */
  async run(...command: string[]): Promise<Finished> {
    return await run(this.#enter(command));
  }

  /** Runs a command that must succeed. @returns What it printed. */
  async ok(...command: string[]): Promise<string> {
    return await must(this.#enter(command));
  }

  /** Writes a file. */
  async write(path: string, text: string): Promise<void> {
    await must(this.#enter(["sh", "-c", 'umask 077; cat > "$1"', "sh", path]), { stdin: text });
  }

  /** Ends the machine. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stdin.close();
    await this.#holder.status;
  }
}
