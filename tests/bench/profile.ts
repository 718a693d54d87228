/**
 * Where wgd's time goes while something is measured.
 *
 * @module
 */

import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../core/v8_flags.ts";
import type { Tunnel } from "../netns/lab/tunnel.ts";
import type { Measurement } from "./measurement.ts";
import { Session } from "./session.ts";

/**
 * Runs measurements once, with a profile of each end: `near`, which sends most of the time, and `far`.
 *
 * @param folder Gets profiles for Chrome's developer tools, flame graphs as SVG, and tables as markdown.
 */
export async function profile(
  measurements: readonly Measurement[],
  seconds: number,
  folder: string,
  say: (text: string) => void,
): Promise<void> {
  const path = resolve(folder);
  await Deno.mkdir(path, { recursive: true });
  const flags = ["--cpu-prof", `--cpu-prof-dir=${path}`, "--cpu-prof-flamegraph", "--cpu-prof-md"];
  const words = ["run", "--quiet", "--allow-all", "--no-check", `--v8-flags=${V8_FLAGS}`, ...flags];
  Deno.env.set(
    "WGD",
    [Deno.execPath(), ...words, fileURLToPath(import.meta.resolve("./profiled.ts"))].join(" "),
  );
  for (const measurement of measurements) {
    const family = measurement.session === 6 ? 6 : 4;
    await using session = await Session.start({ name: "wgd", implementation: "wgd" }, family);
    const figures = await measurement.measure(session, seconds);
    for (const [i, { title, unit }] of measurement.rows.entries()) {
      say(`${title}: ${figures[i]!.toPrecision(3)} ${unit}`);
    }
    for (const side of ["near", "far"] as const) {
      await stop(session[side]);
      await rename(path, `${measurement.name}-${side}`);
    }
  }
  say(`profiles are in ${path}`);
}

async function stop(tunnel: Tunnel): Promise<void> {
  await tunnel.machine.ok("rm", `/run/wireguard/${tunnel.name}.sock`);
  await tunnel.process!.ended;
}

/** Gives names to what Deno named by time and process. */
async function rename(folder: string, name: string): Promise<void> {
  for await (const file of Deno.readDir(folder)) {
    const rest = /^CPU\.\d+\.\d+(\..*)$/.exec(file.name)?.[1];
    if (rest !== undefined) await Deno.rename(join(folder, file.name), join(folder, name + rest));
  }
}
