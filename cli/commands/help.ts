/** `wgd help`. @module */

import { nearest } from "../../core/config/parse.ts";
import { programName, tool } from "../program.ts";
import { complain, print } from "../render/output.ts";
import { commands } from "../table.ts";

/** Prints what commands there are, or how one of them is used. */
export function help(args: readonly string[]): Promise<number> {
  const [name] = args;
  if (name === undefined || name === "help") {
    print(overview());
    return Promise.resolve(0);
  }
  const text = USAGES[name];
  if (text === undefined) {
    complain(`Invalid subcommand: \`${name}'`);
    const near = nearest(name, [...commands.keys()]);
    if (near) complain(`hint: did you mean "wgd help ${near}"?`);
    return Promise.resolve(1);
  }
  print(`Usage: ${programName()} ${text}`);
  return Promise.resolve(0);
}

/** The usage page: `wg`'s to the letter when we are called by its name. */
export function overview(): string {
  const isWg = tool() === "wg";
  let text = `Usage: ${programName()} <cmd> [<args>]\n\nAvailable subcommands:\n`;
  for (const [name, { summary, wg }] of commands) {
    if (wg || !isWg) text += `  ${name}: ${summary}\n`;
  }
  return text +
    (isWg
      ? "You may pass `--help' to any of these subcommands to view usage.\n"
      : `\nAn interface's name alone runs it: ${programName()} wg0\n` +
        "Called through a link named wg or wg-quick, it is that tool.\n");
}

const FILE_WORDS = `
<configuration filename> may be a pipe: <(wgd quick strip wg0)
`;

const USAGES: Record<string, string> = {
  run: `run [--foreground] <interface>

Runs a WireGuard interface. It comes into being without keys, peers or addresses; give it those with
"set" or "setconf", or let "quick up" do everything. Returns when the interface can be configured and leaves
a process behind; with --foreground stays until the interface ends. It ends when its process gets SIGTERM
or SIGINT, or when the interface or /var/run/wireguard/<interface>.sock is deleted.
`,
  quick: `quick { up | down | reload } { <file>.conf | <interface> } [--dry-run]
       wgd quick { save | strip | check } { <file>.conf | <interface> }
       wgd quick status [<interface>] [--json]

Does what wg-quick does: makes the interface, gives it its addresses, routes and peers, and undoes all of it.
A name without a file of that name stands for /etc/wireguard/<interface>.conf.
--dry-run says what would be done, and does nothing. "down" undoes what "up" did, also if the file has changed
since or the interface's process was killed. "reload" applies a changed file; sessions go on, hooks are not
called. "save" brings the file up to date with the interface and keeps its comments. "check" says all that is
wrong with a file. "status" tells what is up, and whether it is what its file says.
A host name in Endpoint is looked up again when its peer does not answer, unless a [Peer] or the file says
"# wgd: ResolveEndpoints = off" or the environment WGD_RESOLVE_ENDPOINTS=off.
`,
  show: `show { <interface> | all | interfaces } [<field>]

Fields, for scripts: public-key, private-key, listen-port, fwmark, peers, preshared-keys, endpoints,
allowed-ips, latest-handshakes, transfer, persistent-keepalive, dump.
Instead of a field: --json for programs, with --secrets private and preshared keys too; --watch to see it
change, until Ctrl-C; --names for the names of peers ("# Name = …" in /etc/wireguard/<interface>.conf), which a
terminal gets unasked.
Environment: WG_COLOR_MODE=always|never, WG_HIDE_KEYS=never.
`,
  showconf: `showconf <interface>

Prints the interface's configuration in the form that setconf reads.
`,
  set: `set <interface> [listen-port <port>] [fwmark <mark>] [private-key <file path>]
    [peer <base64 public key> [remove] [preshared-key <file path>] [endpoint <ip>:<port>]
     [persistent-keepalive <interval seconds>] [allowed-ips [+|-]<ip1>/<cidr1>[,[+|-]<ip2>/<cidr2>]...] ]...

Keys are read from files so that they do not show in the list of processes; /dev/null removes a key.
A list of allowed IPs replaces what the peer had, unless an item begins with + or -.
`,
  setconf: `setconf <interface> <configuration filename>

Makes the interface what the file says. What the file does not name is reset, peers are replaced.
${FILE_WORDS}`,
  addconf: `addconf <interface> <configuration filename>

Adds what the file says; other peers stay as they are.
${FILE_WORDS}`,
  syncconf: `syncconf <interface> <configuration filename>

Like setconf, but peers that stay keep their sessions.
${FILE_WORDS}`,
  genkey: `genkey

Prints a new private key. Keep it from others: (umask 077; wgd genkey > private.key)
`,
  genpsk: `genpsk

Prints a new preshared key, for one pair of peers.
`,
  pubkey: `pubkey

Reads a private key and prints its public key: wgd pubkey < private.key
`,
  doctor: `doctor <interface> [<address>] [--json]

Looks at keys, addresses, routes, the firewall and handshakes, and says what is wrong and what to do about it. With an
address, also whether that address goes through the tunnel. Exits with 1 if it cannot work like this.
`,
  peer: `peer add <interface> <name> [--endpoint <host>[:<port>]] [--address <ip>[,<ip>]]
    [--allowed-ips <networks>] [--dns <servers>] [--output <file>] [--no-preshared-key]
       wgd peer list <interface> [--json]
       wgd peer show <interface> { <name> | <public key> } [--json]
       wgd peer remove <interface> { <name> | <public key> }

"add" makes keys for a client, gives it the next free address of each of the server's subnets, adds it to
/etc/wireguard/<interface>.conf and to the running interface, and writes the client's configuration to
<name>.conf; on a terminal it shows its QR code too. Lines in the server's file save options:
# wgd: Endpoint = vpn.example:51820
# wgd: ClientDNS = 10.0.0.1
"remove" takes a peer out of the file and out of the running interface; its address is free again.
`,
  qr: `qr { <file>.conf | <interface> } [--svg [<file>] | --png [<file>]]

Shows the configuration as a QR code that the WireGuard apps read, on the terminal or as a picture. What the
apps do not know (hooks, Table, SaveConfig, FwMark, comments) is left out. The picture holds the private key.
`,
};
