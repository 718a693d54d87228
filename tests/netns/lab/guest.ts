/**
 * Linux with its own WireGuard in an emulator. Its network card is a tap interface of a host, so that the two are
 * neighbours. Commands reach it by another way and are not on the wire.
 *
 * @module
 */

import type { KernelImage } from "../peers/mod.ts";
import { CommandError, eventually, type Finished, type RunOptions, sleep } from "./exec.ts";
import type { Host, Machine, Process } from "./host.ts";

const encoder = new TextEncoder();
/** Milliseconds that a command may take. A guest computes thirty times slower than a busy machine. */
const COMMAND_TIMEOUT = 300_000;

/** Words for a guest's kernel. With them, the tests of `wgd quick` take a third of the time. */
const UNPROTECTED = "mitigations=off norandmaps init_on_alloc=0";

/** What kind of machine a guest is. */
export interface GuestOptions {
  /** Memory. @default {256} */
  readonly megabytes?: number;
  /** Modules that its kernel refuses to load, as "wireguard". To have one missing, delete it on the disk. */
  readonly refuse?: readonly string[];
}

/** A guest, booted and ready. */
export class Guest implements Machine {
  readonly name: string;
  readonly scratch = "/tmp";
  /** Its only network interface, inside. */
  static readonly INTERFACE = "eth0";

  readonly #port: Deno.UnixConn;
  readonly #emulator: Process;
  readonly #waiting = new Map<number, (finished: Finished) => void>();
  #number = 0;

  private constructor(name: string, port: Deno.UnixConn, emulator: Process) {
    this.name = name;
    this.#port = port;
    this.#emulator = emulator;
  }

  /**
   * Boots a guest; it takes about ten seconds without hardware acceleration.
   *
   * @param name For messages.
   * @param image What to boot.
   * @param host The neighbour, in whose namespaces the emulator runs.
   * @param tap Name of the interface that the host gets.
   * @param options What kind of machine.
   */
  static async boot(
    name: string,
    image: KernelImage,
    host: Host,
    tap: string,
    options: GuestOptions = {},
  ): Promise<Guest> {
    const { megabytes = 256, refuse = [] } = options;
    await host.ok("ip", "tuntap", "add", tap, "mode", "tap");
    const socket = `/run/lab/${name}.commands`;
    const refused = refuse.length > 0 ? ` module_blacklist=${refuse.join()}` : "";
    const emulator = await host.start([
      // Two processors often wait for each other. One without AVX has fewer instructions that take an emulator long, and
      // copies eight bytes at a time and not one.
      ...["qemu-system-x86_64", "-accel", "tcg", "-cpu", "Nehalem,+rdrand", "-smp", "1"],
      ...["-m", String(megabytes)],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
      ...["-kernel", image.kernel, "-initrd", image.initramfs],
      // Without no_timer_check, its kernel would mistake an emulator without processor time for a broken timer, and give
      // up. The other words turn off protection from attacks, which takes an emulator long: above all, a program that is
      // at another address each time is translated again each time.
      ...["-append", `console=ttyS0 quiet panic=-1 no_timer_check ${UNPROTECTED}${refused}`],
      // What the guest writes goes to a file without a name.
      ...["-drive", `if=virtio,format=raw,snapshot=on,file=${image.disk}`],
      ...["-serial", "stdio", "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=commands"],
      ...["-chardev", `socket,id=commands,path=${socket},server=on,wait=off`],
      ...["-netdev", `tap,id=wire,ifname=${tap},script=no,downscript=no`],
      ...["-device", "virtio-net-pci,netdev=wire"],
    ]);
    const ended = emulator.ended.then(() => {
      throw new Error(`The emulator of "${name}" ended: ${emulator.output().slice(-2000)}`);
    });
    ended.catch(() => {});
    const connect = () => Deno.connect({ transport: "unix", path: host.path(socket) });
    const port = await Promise.race([ended, eventually(`the command port of "${name}"`, connect)]);
    const guest = new Guest(name, port, emulator);
    const ready = guest.#listen();
    await Promise.race([ended, ready, late(name, emulator)]);
    await host.ok("ip", "link", "set", tap, "up");
    return guest;
  }

  async run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const words = command.map(quote).join(" ");
    return await this.#script(words, options);
  }

  async ok(...command: string[]): Promise<string> {
    const finished = await this.run(command);
    if (finished.code !== 0) throw new CommandError([`${this.name}:`, ...command], finished);
    return finished.stdout;
  }

  async sh(script: string, options: RunOptions = {}): Promise<string> {
    const finished = await this.#script(script, options);
    if (finished.code !== 0) throw new CommandError([`${this.name}:`, script], finished);
    return finished.stdout;
  }

  /** Turns the machine off. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#emulator.signal("KILL");
    await this.#emulator.ended;
    try {
      this.#port.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #script(script: string, options: RunOptions): Promise<Finished> {
    const number = ++this.#number;
    const environment = Object.entries(options.env ?? {}).map(([name, value]) =>
      `export ${name}=${quote(value)}\n`
    );
    const input = options.stdin === undefined ? "" : `exec < /tmp/input.${number}\n`;
    const files = input && `echo ${btoa(options.stdin!)} | base64 -d > /tmp/input.${number}\n`;
    const whole = files + input + environment.join("") + script + "\n";
    const answer = new Promise<Finished>((resolve) => this.#waiting.set(number, resolve));
    const line = encoder.encode(`${number} ${btoa(whole)}\n`);
    for (let at = 0; at < line.length;) at += await this.#port.write(line.subarray(at));
    const limit = options.timeout ?? COMMAND_TIMEOUT;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const expired = new Promise<Finished>((resolve) => {
      timer = setTimeout(
        () =>
          resolve({
            code: 137,
            stdout: "",
            stderr: `no answer in ${limit / 1000} s; console: ${this.#emulator.output().slice(-1000)}`,
          }),
        limit,
      );
    });
    try {
      return await Promise.race([answer, expired]);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(number);
    }
  }

  /** Reads answers for ever. @returns A promise for the first line, which says that the guest is up. */
  #listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const read = async () => {
      let rest = "";
      for await (const text of this.#port.readable.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + text).split("\n");
        rest = lines.pop()!;
        for (const line of lines) {
          const [kind, number, code, output, error] = line.trim().split(" ");
          if (kind === "ready") resolve();
          if (kind !== "done") continue;
          this.#waiting.get(Number(number))?.({
            code: Number(code),
            stdout: text64(output),
            stderr: text64(error),
          });
        }
      }
    };
    read().catch(reject);
    return promise;
  }
}

function text64(base64 = ""): string {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

async function late(name: string, emulator: Process): Promise<never> {
  await sleep(180_000);
  throw new Error(`"${name}" did not boot in 180 s: ${emulator.output().slice(-2000)}`);
}
