/** `wgd peer`. @module */

import { isInterfaceName } from "../../core/config/interface_name.ts";
import { parseArgs } from "node:util";
import { type AddedPeer, addPeer, type AddPeerOptions } from "../../core/peers/add.ts";
import { listPeers, type ServerPeer } from "../../core/peers/list.ts";
import { removePeer } from "../../core/peers/remove.ts";
import { findPeer, PeersError } from "../../core/peers/server_file.ts";
import { phoneConfig } from "../../core/qr/phone.ts";
import { qrCode, qrToTerminal } from "../../core/qr/code.ts";
import { DATA } from "../../core/web/folders.ts";
import { isServed } from "../../core/web/served.ts";
import { foreignOption } from "../foreign_option.ts";
import { PEER_OPTIONS } from "../grammar.ts";
import { Interruption } from "../interruption.ts";
import { programName, shortName } from "../program.ts";
import { chooseColors } from "../render/colors.ts";
import { complain, print } from "../render/output.ts";
import { ago, bytes } from "../render/pretty.ts";

type Values = ReturnType<typeof parseArgs<{ options: typeof PEER_OPTIONS }>>["values"];

/** A server's clients, in its file or in the store of `wgd web`. */
interface Clients {
  add(name: string, output: string, options: AddPeerOptions): Promise<AddedPeer>;
  list(): Promise<ServerPeer[]>;
  remove(who: string): Promise<string>;
}

/** Adds, lists and removes a server's clients. */
export async function peer(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: PEER_OPTIONS });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { positionals: [action, server, name, ...more], values } = parsed;
  const foreign = foreignOption("peer", action, values);
  if (foreign !== undefined) return usage(foreign);
  if (server === undefined || more.length > 0 || (name === undefined) !== (action === "list")) return usage();
  if (!isInterfaceName(server)) return usage(`not the name of an interface: "${server}"`);
  const { data = DATA, database } = values;
  if (!await isServed(data, server)) {
    if (values.data === undefined) return await act(action, clientsOfFile(server), server, name, values);
    throw new PeersError(
      `${data} has no interface named ${server}`,
      "name the folder of wgd web: --data FOLDER",
    );
  }
  const { ServedClients } = await import("../../core/web/clients.ts");
  await using clients = await ServedClients.open(data, server, database);
  return await act(action, clients, server, name, values);
}

function clientsOfFile(server: string): Clients {
  return {
    add: (name, output, options) => addPeer(server, name, output, options),
    list: () => listPeers(server),
    remove: (who) => removePeer(server, who),
  };
}

async function act(
  action: string | undefined,
  clients: Clients,
  server: string,
  name: string | undefined,
  values: Values,
): Promise<number> {
  switch (action) {
    case "add":
      return await add(clients, server, name!, values);
    case "list":
      return show(await clients.list(), values.json);
    case "show": {
      const all = await clients.list();
      const key = findPeer(new Map(all.map((peer) => [peer.publicKey, peer.name ?? ""])), name!, server);
      const found = all.filter(({ publicKey }) => publicKey === key);
      if (found.length === 0) {
        throw new PeersError(`${server} has no peer ${key}`, `see all: wgd peer list ${server}`);
      }
      return show(found, values.json);
    }
    case "remove": {
      const key = await clients.remove(name!);
      const shown = key === name ? "" : ` (${key})`;
      complain(`${shortName()}: ${server} has no peer ${name} any more${shown}`);
      return 0;
    }
    default:
      return usage();
  }
}

async function add(clients: Clients, server: string, name: string, values: Values): Promise<number> {
  const output = values.output ?? `${name}.conf`;
  if (values.output === undefined && name.includes("/")) {
    return usage(`"${name}" cannot name a file; name the file: --output FILE`);
  }
  // From here on, either all changes are made or none.
  const interruption = new Interruption();
  let added;
  try {
    added = await clients.add(name, output, {
      ...(values.endpoint !== undefined && { endpoint: values.endpoint }),
      ...(values.dns !== undefined && { dns: values.dns }),
      ...(values["allowed-ips"] !== undefined && { allowedIps: values["allowed-ips"] }),
      ...(values.address !== undefined &&
        { addresses: values.address.split(",").map((word) => word.trim()) }),
      presharedKey: !values["no-preshared-key"],
      signal: interruption.signal,
    });
  } catch (error) {
    if (!interruption.caused(error)) throw error;
    return interruption.code;
  }
  const { config, addresses, running } = added;
  complain(`${shortName()}: ${name} is ${addresses.join(", ")}; its configuration: ${output}`);
  if (!running) complain(`hint: ${server} is not up; it will have the peer when it comes up`);
  if (Deno.stdout.isTerminal()) print(qrToTerminal(qrCode(phoneConfig(config).text)));
  return 0;
}

function show(peers: readonly ServerPeer[], json: boolean | undefined): number {
  if (json) {
    print(`${JSON.stringify({ peers }, null, 2)}\n`);
    return 0;
  }
  const colors = chooseColors();
  const { bold, yellow, reset } = colors;
  const now = Math.floor(Date.now() / 1000);
  for (const peer of peers) {
    const handshake = peer.latestHandshake === null ? "none yet" : ago(peer.latestHandshake, now, colors);
    const title = peer.name === null ? "" : `${bold}${peer.name}${reset} `;
    print(
      `${title}${yellow}${peer.publicKey}${reset}\n  allowed ips  ${
        peer.allowedIps.join(", ") || "(none)"
      }\n`,
    );
    if (peer.running) {
      print(`  endpoint     ${peer.endpoint ?? "not known"}\n  handshake    ${handshake}\n`);
      print(`  transfer     ${bytes(peer.rxBytes, colors)} received, ${bytes(peer.txBytes, colors)} sent\n`);
    } else {
      print("  not in the running interface\n");
    }
    if (!peer.inFile) print("  not in the file: lost when the interface comes up again\n");
  }
  return 0;
}

function usage(problem?: string): number {
  if (problem !== undefined) complain(`${shortName()}: ${problem}`);
  const name = programName();
  complain(
    `Usage: ${name} peer add <interface> <name> [--endpoint <host>[:<port>]] [--address <ip>[,<ip>]]\n` +
      "         [--allowed-ips <networks>] [--dns <servers>] [--output <file>] [--no-preshared-key]\n" +
      "         [--data <folder>] [--database <url>]\n" +
      `       ${name} peer list <interface> [--json] [--data <folder>] [--database <url>]\n` +
      `       ${name} peer show <interface> { <name> | <public key> } [--json]\n` +
      "         [--data <folder>] [--database <url>]\n" +
      `       ${name} peer remove <interface> { <name> | <public key> } [--data <folder>] [--database <url>]`,
  );
  return 1;
}
