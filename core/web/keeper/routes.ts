/**
 * The system's routes to networks behind devices.
 *
 * @module
 */

import { containsPrefix, formatPrefix, parsePrefix, type Prefix } from "../../config/prefix.ts";
import { readProgram, runProgram } from "../../quick/run_program.ts";
import { KeeperError, type Unroutable } from "./verbs.ts";

/** The number that marks the keeper's routes, so that it never removes one of others (`ip route`, RTPROTO). */
const PROTOCOL = "201";

/**
 * Makes the keeper's routes through an interface those to these networks. Routes of others stay, also if they lead to the
 * same network elsewhere. A network inside of one to which this machine is connected is refused, because the machine could
 * lose its own gateway.
 *
 * @returns The networks to which there can be no route.
 * @throws {KeeperError} If the routes cannot be read, or one cannot be removed.
 */
export async function setRoutes(name: string, networks: readonly string[]): Promise<Unroutable[]> {
  const failures: string[] = [];
  const unroutable: Unroutable[] = [];
  for (const family of [4, 6] as const) {
    const wanted = networks.map((text) => parsePrefix(text)!).filter((prefix) => prefix.family === family);
    const words = ["ip", `-${family}`, "route"];
    const listed = async (...more: string[]) =>
      prefixesIn(await readProgram([...words, "show", "dev", name, ...more]));
    const [own, all] = [await listed("proto", PROTOCOL), await listed()];
    const names = new Set(wanted.map(formatPrefix));
    for (const prefix of own.map(formatPrefix).filter((prefix) => !names.has(prefix))) {
      const failure = await failureOf([...words, "del", prefix, "dev", name, "proto", PROTOCOL]);
      if (failure !== undefined) failures.push(`the route to ${prefix} cannot be removed: ${failure}`);
    }
    const there = new Set(all.map(formatPrefix));
    const missing = wanted.filter((network) => !there.has(formatPrefix(network)));
    if (missing.length === 0) continue;
    const connected = prefixesIn(await readProgram([...words, "show", "proto", "kernel"]));
    for (const network of missing) {
      const prefix = formatPrefix(network);
      const around = connected.find((other) => containsPrefix(other, network));
      const cause = around !== undefined
        ? `this machine is connected to ${formatPrefix(around)}`
        : await failureOf([...words, "add", prefix, "dev", name, "proto", PROTOCOL]);
      if (cause !== undefined) unroutable.push({ network: prefix, cause });
    }
  }
  if (failures.length > 0) throw new KeeperError(failures.join("; "));
  return unroutable;
}

/** The networks in the output of `ip route show`. */
function prefixesIn(output: string): Prefix[] {
  return output.split("\n").map((line) => parsePrefix(line.split(" ")[0]!)).filter((prefix) =>
    prefix !== null
  );
}

async function failureOf(command: readonly string[]): Promise<string | undefined> {
  let errors = "";
  try {
    const code = await runProgram(command, { input: "", onErrors: (text) => errors += text });
    return code === 0 ? undefined : errors.trim() || `exit code ${code}`;
  } catch (error) {
    return (error as Error).message;
  }
}
