/**
 * Chooses which WireGuard runs an interface, and makes the interface with it.
 *
 * @module
 */

import type { Backend, InterfaceBackend } from "../config/backend.ts";
import type { Settings } from "../config/settings.ts";
import { addKernelInterface } from "../client/kernel.ts";
import { isAnswered } from "../client/process.ts";
import { Errno } from "../uapi/errno.ts";
import { UapiError } from "../uapi/lines.ts";
import { adviseWithoutModule, moduleFacts } from "./kernel_module.ts";
import { processEnvironment, wantsProcess } from "./process_environment.ts";
import { baseActions, StepError } from "./run_steps.ts";
import { QuickError, type QuickRunOptions, type QuickSource } from "./source.ts";

/**
 * Chooses the backend of an interface. If a file has settings that only wgd's own process supports, `auto` chooses that
 * process.
 *
 * @param wanted The requested backend, which takes precedence over the file.
 * @param settings The settings of the file.
 * @param ownWish Whether the environment requests something that only a wgd process supports.
 */
export function chooseBackend(wanted: Backend | undefined, settings: Settings, ownWish = false): Backend {
  const backend = wanted ?? settings.backend ?? "auto";
  if (backend !== "auto") return backend;
  return ownWish || ownSettings(settings).length > 0 ? "wgd" : "auto";
}

/** Returns the settings of a file that have no effect if the kernel runs the interface. */
export function kernelWarnings(settings: Settings, file: string): string[] {
  return ownSettings(settings).map((key) => `${file}: ${key} has no effect on the kernel's WireGuard`);
}

/** The keys of settings that only a wgd process supports. */
function ownSettings({ disable = [], lanes, resolveEndpoints, peers }: Settings): string[] {
  const resolve = resolveEndpoints === true || peers.some((peer) => peer.resolveEndpoints === true);
  return [
    ...(disable.length > 0 ? ["Disable"] : []),
    ...(lanes !== undefined ? ["Lanes"] : []),
    ...(resolve ? ["ResolveEndpoints"] : []),
  ];
}

/** Makes an interface. */
export class InterfaceMaker {
  /** The backend of the interface; undefined until it is made. */
  made: Exclude<InterfaceBackend, "other"> | undefined;
  readonly #source: QuickSource;
  readonly #options: QuickRunOptions;
  readonly #backend: Backend;
  /** Command that starts a process for it. */
  readonly #command: readonly string[];

  constructor(source: QuickSource, options: QuickRunOptions) {
    const { name, config: { settings } } = source;
    this.#source = source;
    this.#options = options;
    this.#backend = chooseBackend(options.backend, settings, wantsProcess());
    this.#command = [...options.creator ?? ["wgd", "run"], name];
  }

  /** How `make` is announced. */
  get echo(): string {
    const command = this.#command.join(" ");
    if (this.#backend === "wgd") return command;
    const add = `ip link add ${this.#source.name} type wireguard`;
    // Whether the kernel makes it is known only after an attempt.
    return this.#options.dryRun && this.#backend === "auto" ? `${add} || ${command}` : add;
  }

  /** Whether the kernel runs the interface although it was not requested. */
  get isKernelByDefault(): boolean {
    return this.made === "kernel" && this.#backend === "auto";
  }

  /**
   * Makes the interface.
   *
   * @throws {QuickError} If an interface with that name exists, or the kernel was required and refuses.
   * @throws {StepError} If the process for it does not start.
   */
  async make(): Promise<void> {
    if (this.#backend !== "wgd") {
      const refusal = this.#askKernel();
      const { announce, warn } = baseActions(this.#options);
      if (refusal === undefined) {
        this.made = "kernel";
        const { path, config: { settings } } = this.#source;
        for (const warning of kernelWarnings(settings, path)) warn(`Warning: ${warning}`);
        return;
      }
      if (this.#backend === "kernel") throw await kernelError(refusal);
      warn(`[!] ${refusal.message}; ${this.#command[0]} runs the interface`);
      announce(this.#command.join(" "));
    }
    await this.#startProcess();
    this.made = "wgd";
  }

  /** @returns Why the kernel does not make it; undefined if it has made it. */
  #askKernel(): UapiError | undefined {
    const { name } = this.#source;
    // That process would receive the requests for the kernel's interface.
    if (isAnswered(name)) {
      throw new QuickError(
        `a process already answers for \`${name}'`,
        "its interface may be in another network namespace; take it down there, or give this one another name",
      );
    }
    try {
      addKernelInterface(name);
      return undefined;
    } catch (error) {
      if (!(error instanceof UapiError)) throw error;
      if (error.errno === Errno.EEXIST) throw new QuickError(`\`${name}' already exists`);
      return error;
    }
  }

  async #startProcess(): Promise<void> {
    const { name, config: { settings } } = this.#source;
    const env = processEnvironment(settings);
    const { create = () => call(this.#command, env), creator = ["wgd", "run"] } = this.#options;
    try {
      const code = await create(name, env);
      if (code !== 0) throw new StepError(creator.join(" "), code);
    } catch (cause) {
      if (!(cause instanceof Deno.errors.NotFound)) throw cause;
      throw new QuickError(
        `${this.#command[0]}: command not found`,
        "install wgd in a folder of PATH",
        { cause },
      );
    }
  }
}

async function call(
  [program, ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const streams = { stdin: "null", stdout: "null", stderr: "inherit" } as const;
  return (await new Deno.Command(program!, { args, env, ...streams }).output()).code;
}

async function kernelError(cause: UapiError): Promise<QuickError> {
  return new QuickError("Unable to create interface", await adviseOnKernel(cause), { cause });
}

async function adviseOnKernel({ errno, message }: UapiError): Promise<string> {
  switch (errno) {
    case Errno.EOPNOTSUPP:
      return adviseWithoutModule(await moduleFacts());
    case Errno.EPERM:
      return "to make interfaces in this network namespace, CAP_NET_ADMIN is needed";
    default:
      return `${message}; see: dmesg`;
  }
}
