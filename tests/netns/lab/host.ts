/**
 * A separate host on this machine: network, mount and process namespaces that exist exactly as long as their first
 * process. That process lives as long as we keep its standard input open. However a test ends, even by kill -9, the
 * kernel removes the host: its processes, interfaces, routes, rules and sockets. There are no names to clean up.
 *
 * @module
 */

import {
  CommandError,
  ENVIRONMENT,
  eventually,
  type Finished,
  kill,
  must,
  run,
  type RunOptions,
} from "./exec.ts";

/** Something on which commands run: a namespace on this machine or a guest in an emulator. */
export interface Machine {
  /** For messages. */
  readonly name: string;
  /** Its own folder for files. */
  readonly scratch: string;
  /** Runs a command to its end, whatever its exit code. */
  run(command: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Runs a command that must succeed. @returns What it printed. */
  ok(...command: string[]): Promise<string>;
  /** Runs a script for /bin/sh, line by line under `set -e`. @returns What it printed. */
  sh(script: string, options?: RunOptions): Promise<string>;
}

/** A process that runs while the test does other things. */
export interface Process {
  /** Its number in the host's process namespace; `host.path(`/proc/PID/…`)` reads what is known of it. */
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number }>;
  /** All it has printed so far, both streams. */
  output(): string;
  /** Sends a signal; no error if it is gone. */
  signal(name: "TERM" | "INT" | "KILL" | "STOP" | "CONT" | "HUP" | "QUIT" | "USR1" | "USR2"): Promise<void>;
}

/**
 * The first process of a host. It must be a shell that reaps orphans (bash does, as a child handler waits for any
 * process), or daemons that were stopped would stay in the process table. /run is private, and with it the control
 * sockets of WireGuard, the lock of iptables and everything that systemd and resolvconf keep there.
 */
const FIRST_PROCESS = `
read -r pid _ < /proc/self/stat
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lab
ip link set lo up
echo "$pid"
while read -r _; do :; done
`;

/** A host in namespaces. */
export class Host implements Machine {
  readonly name: string;
  readonly scratch = "/run/lab";
  /** Number of the host's first process, as our own namespace sees it; `ip link set … netns PID` takes it. */
  readonly pid: number;
  readonly #holder: Deno.ChildProcess;
  readonly #processes = new Set<Deno.ChildProcess>();
  #spawned = 0;
  #closed = false;

  private constructor(name: string, holder: Deno.ChildProcess, pid: number) {
    this.name = name;
    this.#holder = holder;
    this.pid = pid;
  }

  /**
   * Makes a host with only a loopback interface.
   *
   * @param name For messages.
   */
  static async create(name: string): Promise<Host> {
    const holder = new Deno.Command("unshare", {
      args: ["--net", "--mount", "--pid", "--fork", "--kill-child", "bash", "-ec", FIRST_PROCESS],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    // The pipe to the holder's input stays open, and unused, until dispose.
    const reader = holder.stdout.getReader();
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`Cannot make the host "${name}": is this root?`);
      text += new TextDecoder().decode(value);
    }
    await reader.cancel();
    return new Host(name, holder, Number(text));
  }

  /** A file of this host, as our own namespace sees it. */
  path(file: string): string {
    return `/proc/${this.pid}/root${file}`;
  }

  /** The command that runs a command in this host. */
  enter(command: readonly string[]): string[] {
    return ["nsenter", "-t", String(this.pid), "--net", "--mount", "--pid", "--", ...command];
  }

  async run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return await run(this.enter(command), options);
  }

  async ok(...command: string[]): Promise<string> {
    const finished = await this.run(command);
    if (finished.code !== 0) throw new CommandError([`${this.name}:`, ...command], finished);
    return finished.stdout;
  }

  async sh(script: string, options: RunOptions = {}): Promise<string> {
    return await must(this.enter(["sh", "-ec", script]), options);
  }

  /**
   * Starts a process in the background; it ends with the host at the latest.
   *
   * @param command Its words.
   * @param options Variables on top of our own environment.
   */
  async start(command: readonly string[], options: { env?: Record<string, string> } = {}): Promise<Process> {
    const file = `/run/lab/${++this.#spawned}.pid`;
    // Written to a temporary file and renamed, so that a reader never sees an incomplete number.
    const script = `echo $$ > ${file}.new && mv ${file}.new ${file} && exec "$@"`;
    const [program, ...args] = this.enter(["bash", "-c", script, "bash", ...command]);
    const child = new Deno.Command(program!, {
      args,
      env: { ...ENVIRONMENT, ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#processes.add(child);
    let printed = "";
    const collect = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) printed += text;
    };
    const drained = Promise.all([collect(child.stdout), collect(child.stderr)]);
    const ended = child.status.then(async ({ code }) => {
      await drained;
      this.#processes.delete(child);
      return { code };
    });
    const pid = Number(
      await eventually(`"${command.join(" ")}" to start`, () => Deno.readTextFile(this.path(file)), {
        every: 2,
      }),
    );
    return {
      pid,
      ended,
      output: () => printed,
      signal: async (name) => {
        await this.run(["kill", "-s", name, String(pid)]);
        // nsenter stops together with its process, and continues only by its own SIGCONT.
        if (name === "CONT") kill(child, "SIGCONT");
      },
    };
  }

  /** Gives it its own /etc, which begins as a copy of ours except for /etc/resolv.conf. */
  async ownEtc(resolvConf: string): Promise<void> {
    await this.sh(
      `mkdir /run/over; mount -t tmpfs none /run/over; mkdir /run/over/upper /run/over/work
      mount -t overlay -o lowerdir=/etc,upperdir=/run/over/upper,workdir=/run/over/work none /etc
      rm -f /etc/resolv.conf; cat > /etc/resolv.conf`,
      { stdin: resolvConf },
    );
  }

  /** Moves one of its interfaces to another host. */
  async move(name: string, to: Host): Promise<void> {
    // From outside the process namespace, where the other host's number means something.
    await must([
      "nsenter",
      "-t",
      String(this.pid),
      "--net",
      "ip",
      "link",
      "set",
      name,
      "netns",
      String(to.pid),
    ]);
  }

  /** Ends every process of the host, which ends the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const children = [...this.#processes];
    await this.#holder.stdin.close();
    const timer = setTimeout(() => kill(this.#holder), 5_000);
    await this.#holder.status;
    clearTimeout(timer);
    await Promise.all(children.map((child) => child.status));
  }
}
