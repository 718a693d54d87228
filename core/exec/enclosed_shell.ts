/**
 * A shell in new user, network and mount namespaces; for root without a user namespace. It sets the namespaces up and
 * keeps them until it is closed. It also ends if this process is killed, because the pipe that it reads is closed then.
 *
 * @module
 */

import { takeDescriptor } from "../../ffi/linux/other_process.ts";

/** The shell's descriptor of the TUN device. */
const TUN_FD = 9;

/** The namespaces could not be made or set up. */
export class EnclosureError extends Error {
  override readonly name = "EnclosureError";

  /** @param complaint The error output of programs. */
  constructor(message: string, readonly complaint: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The shell. */
export class EnclosedShell {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;

  private constructor(child: Deno.ChildProcess, readonly asUser: boolean) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#errors = new Response(child.stderr).text();
  }

  /**
   * Makes the namespaces.
   *
   * @param asUser Whether a user namespace is needed to make the others.
   * @throws {Deno.errors.NotFound} If there is no `unshare`.
   */
  static start(asUser: boolean): EnclosedShell {
    // The shell keeps its capabilities. Programs are started without any.
    const user = asUser ? ["--user", "--map-current-user", "--keep-caps"] : [];
    const child = new Deno.Command("unshare", {
      args: [...user, "--net", "--mount", "sh"],
      env: { LC_ALL: "C" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // Ctrl-C is for the program.
      detached: true,
    }).spawn();
    return new EnclosedShell(child, asUser);
  }

  /** Waits for the namespaces. @throws {EnclosureError} If they cannot be made. */
  async made(): Promise<void> {
    await this.run("", "the namespaces cannot be made");
  }

  /**
   * Lets the shell open the TUN device and takes over the descriptor. An interface that is made with this descriptor is
   * in these namespaces, and a process in any namespace can read and write its packets.
   *
   * @throws {EnclosureError} If it cannot be opened.
   * @throws {SystemError} If the descriptor cannot be taken.
   */
  async takeTun(): Promise<number> {
    await this.run(`exec ${TUN_FD}<>/dev/net/tun\n`, "the TUN device cannot be opened in the namespaces");
    const fd = takeDescriptor(this.#child.pid, TUN_FD);
    await this.run(`exec ${TUN_FD}<&-\n`, "the device cannot be closed");
    return fd;
  }

  /**
   * Runs lines of shell code.
   *
   * @param failure The message for a failure.
   * @throws {EnclosureError} If they end the shell.
   */
  async run(script: string, failure: string): Promise<void> {
    // If the shell has ended, its error output has the reason.
    await this.#input.write(new TextEncoder().encode(`${script}echo done\n`)).catch(() => {});
    for (let said = ""; !said.endsWith("done\n");) {
      const { value, done } = await this.#output.read();
      if (done) throw new EnclosureError(failure, (await this.#errors).trim());
      said += value;
    }
  }

  /** The command that starts a program in the namespaces. The program is killed when this process ends. */
  enter(command: readonly string[]): string[] {
    const user = this.asUser ? ["--user", "--preserve-credentials"] : [];
    return [
      ...["nsenter", "--target", String(this.#child.pid), ...user, "--net", "--mount", "--"],
      ...["setpriv", "--pdeathsig", "KILL", "--", ...command],
    ];
  }

  /** Ends the shell. Programs in the namespaces keep them. */
  async close(): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#errors;
    await this.#output.cancel();
  }
}
