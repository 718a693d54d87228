/** `wgd peer`. @module */

import { parseArgs } from "node:util";
import { addPeer } from "../../core/peers/add.ts";
import { phoneConfig } from "../../core/qr/phone.ts";
import { qrCode, qrToTerminal } from "../../core/qr/code.ts";
import { programName, shortName } from "../program.ts";
import { complain, print } from "../render/output.ts";

/** Adds a client to a server. */
export async function peer(args: string[]): Promise<number> {
  let parsed;
  try {
    const word = { type: "string" } as const;
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        address: word,
        "allowed-ips": word,
        dns: word,
        endpoint: word,
        "no-preshared-key": { type: "boolean" },
        output: word,
      },
    });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { positionals: [action, server, name, ...more], values } = parsed;
  if (action !== "add" || server === undefined || name === undefined || more.length > 0) return usage();
  if (!/^[a-zA-Z0-9_=+.-]{1,15}$/.test(server)) return usage(`not the name of an interface: "${server}"`);
  const output = values.output ?? `${name}.conf`;
  if (values.output === undefined && !/^[\w=+. '-]+$/.test(name)) {
    return usage(`"${name}" cannot name a file; say which: --output FILE`);
  }
  const { config, addresses, running } = await addPeer(server, name, output, {
    ...(values.endpoint !== undefined && { endpoint: values.endpoint }),
    ...(values.dns !== undefined && { dns: values.dns }),
    ...(values["allowed-ips"] !== undefined && { allowedIps: values["allowed-ips"] }),
    ...(values.address !== undefined && { addresses: values.address.split(",").map((word) => word.trim()) }),
    presharedKey: !values["no-preshared-key"],
  });
  complain(`${shortName()}: ${name} is ${addresses.join(", ")}; its configuration: ${output}`);
  if (!running) complain(`hint: ${server} is not running; it gets the peer when it comes up`);
  if (Deno.stdout.isTerminal()) print(qrToTerminal(qrCode(phoneConfig(config).text)));
  return 0;
}

function usage(problem?: string): number {
  if (problem !== undefined) complain(`${shortName()}: ${problem}`);
  complain(
    `Usage: ${programName()} peer add <interface> <name> [--endpoint <host>[:<port>]] [--address <ip>[,<ip>]]\n` +
      "         [--allowed-ips <networks>] [--dns <servers>] [--output <file>] [--no-preshared-key]",
  );
  return 1;
}
