/**
 * All commands with their summaries. A command is loaded when it is called.
 *
 * @module
 */

/** A command: takes the arguments after its name and returns the exit code. */
export type Command = (args: string[]) => Promise<number>;

/** One line of the table. */
export interface CommandEntry {
  readonly summary: string;
  /** Whether it is a command of `wg`, which a link named `wg` also has. */
  readonly wg: boolean;
  readonly load: () => Promise<Command>;
}

/** All commands by name, in the order that help lists them; the summaries of `wg`'s own are `wg`'s. */
export const commands: ReadonlyMap<string, CommandEntry> = new Map<string, CommandEntry>([
  ["run", {
    summary: "Runs an interface: wgd run [--foreground] [--disable <features>] <interface>",
    wg: false,
    load: async () => (await import("./commands/run.ts")).run,
  }],
  ["quick", {
    summary: "Brings an interface up or down from a configuration file, as wg-quick does",
    wg: false,
    load: async () => (await import("./commands/quick.ts")).quick,
  }],
  ["proxy", {
    summary: "Lets programs use a tunnel without root, through SOCKS5, HTTP or forwarded ports",
    wg: false,
    load: async () => (await import("./commands/proxy.ts")).proxy,
  }],
  ["exec", {
    summary: "Runs a program whose only network is a tunnel, without root: wgd exec <file> -- <program>",
    wg: false,
    load: async () => (await import("./commands/exec.ts")).exec,
  }],
  ["show", {
    summary: "Shows the current configuration and device information",
    wg: true,
    load: async () => (await import("./commands/show.ts")).show,
  }],
  ["showconf", {
    summary: "Shows the current configuration of a given WireGuard interface, for use with `setconf'",
    wg: true,
    load: async () => (await import("./commands/showconf.ts")).showconf,
  }],
  ["set", {
    summary: "Change the current configuration, add peers, remove peers, or change peers",
    wg: true,
    load: async () => (await import("./commands/set.ts")).set,
  }],
  ["setconf", {
    summary: "Applies a configuration file to a WireGuard interface",
    wg: true,
    load: async () => (await import("./commands/setconf.ts")).setconf,
  }],
  ["addconf", {
    summary: "Appends a configuration file to a WireGuard interface",
    wg: true,
    load: async () => (await import("./commands/addconf.ts")).addconf,
  }],
  ["syncconf", {
    summary: "Synchronizes a configuration file to a WireGuard interface",
    wg: true,
    load: async () => (await import("./commands/syncconf.ts")).syncconf,
  }],
  ["genkey", {
    summary: "Generates a new private key and writes it to stdout",
    wg: true,
    load: async () => (await import("./commands/genkey.ts")).genkey,
  }],
  ["genpsk", {
    summary: "Generates a new preshared key and writes it to stdout",
    wg: true,
    load: async () => (await import("./commands/genpsk.ts")).genpsk,
  }],
  ["pubkey", {
    summary: "Reads a private key from stdin and writes a public key to stdout",
    wg: true,
    load: async () => (await import("./commands/pubkey.ts")).pubkey,
  }],
  ["doctor", {
    summary: "Finds out why an interface does not work: wgd doctor <interface> [<address>]",
    wg: false,
    load: async () => (await import("./commands/doctor.ts")).doctor,
  }],
  ["peer", {
    summary: "Adds, lists and removes a server's clients: wgd peer add <interface> <name>",
    wg: false,
    load: async () => (await import("./commands/peer.ts")).peer,
  }],
  ["web", {
    summary: "Runs a web server for WireGuard networks: a page, an API, and accounts",
    wg: false,
    load: async () => (await import("./commands/web.ts")).web,
  }],
  ["keeper", {
    summary: "Manages the interfaces of wgd web, as root",
    wg: false,
    load: async () => (await import("./commands/keeper.ts")).keeper,
  }],
  ["qr", {
    summary: "Shows a configuration as a QR code for a phone",
    wg: false,
    load: async () => (await import("./commands/qr.ts")).qr,
  }],
  ["install", {
    summary: "Installs wgd on this machine, with systemd units, completions and manual pages",
    wg: false,
    load: async () => (await import("./commands/install.ts")).install,
  }],
  ["uninstall", {
    summary: "Removes the files of wgd install",
    wg: false,
    load: async () => (await import("./commands/install.ts")).uninstall,
  }],
  ["completions", {
    summary: "Prints completions for a shell: wgd completions { bash | zsh | fish }",
    wg: false,
    load: async () => (await import("./commands/completions.ts")).completions,
  }],
  ["help", {
    summary: "Explains a command or a topic: wgd help [<command>]",
    wg: false,
    load: async () => (await import("./commands/help.ts")).help,
  }],
]);
