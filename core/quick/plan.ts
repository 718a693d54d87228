/**
 * What `wg-quick` does, as a list that can be read aloud: `up` and `down` plan, `apply.ts` does.
 *
 * Nothing here looks at the system; what the plan depends on comes in as facts.
 *
 * @module
 */

import { containsPrefix, formatPrefix, parsePrefix, type Prefix } from "../config/prefix.ts";
import type { QuickOptions } from "../config/quick_config.ts";
import type { WgConfig } from "../config/wg_config.ts";

/** One thing to do. Its `echo` is printed behind `[#]` before it is done. */
export type Step =
  /** A program of the system. */
  | {
    readonly kind: "command";
    readonly command: readonly string[];
    /** Standard input. */
    readonly input?: string;
    /** In place of the command's words. */
    readonly echo?: string;
    /** Whether a failure is passed over. */
    readonly optional?: boolean;
    /** Said when it fails, which is then passed over: the tunnel works without it. */
    readonly warning?: string;
    /** What takes it back when the interface ends; what hangs on the interface itself ends with it. */
    readonly undo?: Step;
    /** What takes it back while the interface stays, if `undo` does not. */
    readonly revert?: Step;
  }
  /** A line of the user's, for the shell. */
  | { readonly kind: "hook"; readonly script: string }
  /** Makes the interface. */
  | { readonly kind: "create"; readonly undo: Step }
  /** Gives the interface its keys and peers, and its fwmark if the plan found one. */
  | { readonly kind: "configure" }
  | { readonly kind: "fwmark"; readonly mark: number }
  /** Brings the file up to date with the interface. */
  | { readonly kind: "save" }
  /** Replaces /etc/resolv.conf. */
  | {
    readonly kind: "resolv-conf";
    readonly content: ResolvConf;
    /** Only while the file is what `up` made it for this interface. */
    readonly owner?: string;
    readonly undo?: Step;
  };

/** What /etc/resolv.conf is: a link, a file, or nothing. */
export type ResolvConf = { readonly link: string } | { readonly text: string } | null;

/** Who keeps the machine's list of DNS servers. */
export type DnsKeeper =
  | { readonly by: "resolved" }
  /** With what resolvconf wants before the interface's name. */
  | { readonly by: "resolvconf"; readonly prefix: string }
  /** Nobody: the file is ours to replace and to bring back. */
  | { readonly by: "file"; readonly before: ResolvConf };

/** What the plan for `up` needs to know of the system. */
export interface UpFacts {
  /** MTU of the route to each endpoint, or of the default route without any; empty if there is no route. */
  readonly routeMtus: readonly number[];
  /** Routing tables that have routes. */
  readonly usedTables: ReadonlySet<number>;
  /** Whether net.ipv4.conf.all.src_valid_mark is on. */
  readonly srcValidMark: boolean;
  /** Which of nft and iptables the machine has. */
  readonly firewall: "nft" | "iptables" | "none";
  dns: DnsKeeper;
}

/** Outer headers over IPv6 and the padding's slack (wg-quick, set_mtu_up). */
const TUNNEL_OVERHEAD = 80;
const DNS_WARNING = "the tunnel is up, but its DNS servers are not in use; see what the line above says, " +
  "or take the DNS line out of the file";
const FALLBACK_MTU = 1_500;
/** The first table wg-quick tries, and the mark that goes with it. */
const FIRST_TABLE = 51_820;

/** Plans `up`: the steps of wg-quick's `cmd_up`, in its order. */
export function planUp(name: string, quick: QuickOptions, wg: WgConfig, facts: UpFacts): Step[] {
  return [...planBegin(name, quick), ...planRest(name, quick, wg, facts)];
}

/** The first steps of `up`, which depend on the file alone. */
export function planBegin(name: string, { preUp }: Pick<QuickOptions, "preUp">): Step[] {
  return [
    { kind: "create", undo: command("ip", "link", "delete", "dev", name) },
    ...preUp.map((script) => hook(name, script)),
  ];
}

/** The steps of `up` after `planBegin`. */
export function planRest(name: string, quick: QuickOptions, wg: WgConfig, facts: UpFacts): Step[] {
  const steps: Step[] = [{ kind: "configure" }];
  for (const address of quick.address) {
    steps.push(reversible("ip", familyFlag(address), "address", "add", address, "dev", name));
  }
  const mtu = quick.mtu ??
    Math.min(...(facts.routeMtus.length > 0 ? facts.routeMtus : [FALLBACK_MTU])) - TUNNEL_OVERHEAD;
  steps.push(command("ip", "link", "set", "mtu", String(mtu), "up", "dev", name));
  if (quick.dns.length > 0) steps.push(...setDns(name, quick, wg, facts.dns));
  steps.push(...routes(name, quick, wg, facts));
  for (const script of quick.postUp) steps.push(hook(name, script));
  return steps;
}

/** What the plan for `down` needs to know of the system. */
export interface DownFacts {
  /** The interface's mark, or 0. */
  readonly fwmark: number;
  /** Whether the interface's routes include a default route, by family. */
  readonly hasDefaultRoute: boolean;
  /** Rules `wg-quick` made for that mark, as arguments of `ip rule delete`, with their family. */
  readonly rules: readonly { readonly family: "-4" | "-6"; readonly words: readonly string[] }[];
  /** nft tables, or iptables-restore input by program, that `up` made. */
  readonly firewall: readonly Step[];
  readonly resolvconfPrefix: string;
}

/**
 * Plans `down` of an interface whose `up` is on record: exactly that is undone, whatever the file says now.
 *
 * @param done The steps of `up`, in order.
 * @param complete Whether `up` came to its end: else no hook is called, as when `up` fails.
 * @param exists Whether the interface is still there.
 */
export function planUndo(
  name: string,
  done: readonly Step[],
  { preDown, postDown, saveConfig }: Pick<QuickOptions, "preDown" | "postDown" | "saveConfig">,
  { complete, exists }: { complete: boolean; exists: boolean },
): Step[] {
  const steps: Step[] = [];
  if (complete && exists) {
    for (const script of preDown) steps.push(hook(name, script));
    if (saveConfig) steps.push({ kind: "save" });
  }
  const undo = done.toReversed().flatMap((step) =>
    "undo" in step && step.undo && (step.kind !== "create" || exists) ? step.undo : []
  );
  // A killed reload has steps on record twice; a rule that is deleted twice may be another tunnel's.
  steps.push(...distinct(undo, text));
  if (complete) { for (const script of postDown) steps.push(hook(name, script)); }
  return steps;
}

/** Plans `down`: the steps of wg-quick's `cmd_down`, in its order. */
export function planDown(name: string, quick: QuickOptions, facts: DownFacts): Step[] {
  const steps: Step[] = quick.preDown.map((script) => hook(name, script));
  if (quick.saveConfig) steps.push({ kind: "save" });
  const automatic = quick.table === undefined || quick.table === "auto";
  if (automatic && facts.fwmark !== 0 && facts.hasDefaultRoute) {
    for (const { family, words } of facts.rules) {
      steps.push(command("ip", family, "rule", "delete", ...words));
    }
  }
  steps.push(command("ip", "link", "delete", "dev", name));
  if (quick.dns.length > 0) {
    steps.push({
      kind: "command",
      command: ["resolvconf", "-d", `${facts.resolvconfPrefix}${name}`, "-f"],
      optional: true,
    });
  }
  steps.push(...facts.firewall);
  for (const script of quick.postDown) steps.push(hook(name, script));
  return steps;
}

/** What turns an interface that one plan made into one that another would make. */
export interface Reload {
  /** What takes back steps that are gone. */
  readonly undo: readonly Step[];
  /** Steps that are new; each with what takes it back while the interface stays. */
  readonly redo: readonly Step[];
  /** What makes all as it was, after `undo` and what takes back `redo`. */
  readonly restore: readonly Step[];
}

/**
 * Plans `reload`: hooks are not called, and keys and peers are the caller's.
 *
 * @param known Whether all of `done` is in effect; else all of it is taken back, and all that is wanted done.
 */
export function planReload(done: readonly Step[], wanted: readonly Step[], known = true): Reload {
  const steps = (list: readonly Step[]) =>
    list.filter((step) => step.kind === "command" || step.kind === "resolv-conf");
  const [had, has] = known ? [new Set(done.map(text)), new Set(wanted.map(text))] : [new Set(), new Set()];
  const gone = steps(done).filter((step) => !has.has(text(step)));
  // The kernel takes an interface's routes of a family away with its last address, whoever made them.
  const families = gone.filter((step) => words(step)[2] === "address").map((step) => words(step)[1]);
  const flushed = (step: Step) => words(step)[2] === "route" && families.includes(words(step)[1]);
  const fresh = steps(wanted).filter((step) => !had.has(text(step)) || flushed(step));
  const touched = steps(done).filter((step) => gone.includes(step) || flushed(step));
  return {
    undo: distinct(gone.toReversed().flatMap((step) => takingBack(step) ?? []), text),
    redo: fresh.map(whileRunning),
    // A killed reload has steps on record twice; a rule that is made twice is there twice.
    restore: distinct(touched, (step) => text(takingBack(step) ?? step)).map(whileRunning),
  };
}

/** A step as it is run on an interface that is up. */
function whileRunning(step: Step): Step {
  if (step.kind !== "command") return step;
  const undo = takingBack(step);
  const command = words(step)[2] === "route"
    ? step.command.map((word) => word === "add" ? "replace" : word)
    : step.command;
  return { ...step, command, ...(undo && { undo }) };
}

/** What takes a step back while the interface stays. */
function takingBack(step: Step): Step | undefined {
  return "undo" in step && step.undo ? step.undo : step.kind === "command" ? step.revert : undefined;
}

function text(step: Step): string {
  return JSON.stringify(step);
}

/** Of steps with the same key, the first. */
function distinct(steps: readonly Step[], key: (step: Step) => string): Step[] {
  const seen = new Set<string>();
  return steps.filter((step) => !seen.has(key(step)) && seen.add(key(step)));
}

function words(step: Step): readonly (string | undefined)[] {
  return step.kind === "command" && step.command[0] === "ip" ? step.command : [];
}

function command(...words: string[]): Step & { kind: "command" } {
  return { kind: "command", command: words };
}

/** An `ip … add` that hangs on the interface. */
function reversible(...words: string[]): Step {
  const opposite = words.map((word) => word === "add" ? "delete" : word);
  return { ...command(...words), revert: { ...command(...opposite), optional: true } };
}

function hook(name: string, script: string): Step {
  return { kind: "hook", script: script.replaceAll("%i", name) };
}

function familyFlag(address: string): "-4" | "-6" {
  return address.includes(":") ? "-6" : "-4";
}

function setDns(name: string, { dns, dnsSearch }: QuickOptions, wg: WgConfig, keeper: DnsKeeper): Step[] {
  const lines = dns.map((server) => `nameserver ${server}\n`);
  if (dnsSearch.length > 0) lines.push(`search ${dnsSearch.join(" ")}\n`);
  const text = lines.join("");
  switch (keeper.by) {
    case "resolvconf": {
      const label = `${keeper.prefix}${name}`;
      return [{
        kind: "command",
        command: ["resolvconf", "-a", label, "-m", "0", "-x"],
        input: text,
        warning: DNS_WARNING,
        undo: { kind: "command", command: ["resolvconf", "-d", label, "-f"], optional: true },
      }];
    }
    case "resolved": {
      // "~." sends every name to these servers, as resolvconf's -x does; a split tunnel with domains asks for those only.
      const all = dnsSearch.length === 0 || uniquePrefixes(wg).some(({ length }) => length === 0);
      const undo: Step = { kind: "command", command: ["resolvectl", "revert", name], optional: true };
      return [
        { kind: "command", command: ["resolvectl", "dns", name, ...dns], warning: DNS_WARNING, undo },
        {
          kind: "command",
          command: ["resolvectl", "domain", name, ...dnsSearch, ...(all ? ["~."] : [])],
          warning: DNS_WARNING,
        },
      ];
    }
    case "file":
      return [{
        kind: "resolv-conf",
        content: { text: `${resolvConfHeader(name)}\n${text}` },
        undo: { kind: "resolv-conf", content: keeper.before, owner: name },
      }];
  }
}

/** First line of an /etc/resolv.conf that is an interface's. */
export function resolvConfHeader(name: string): string {
  return `# Written by wgd for ${name}; "wgd quick down ${name}" brings back what was here.`;
}

function routes(name: string, quick: QuickOptions, wg: WgConfig, facts: UpFacts): Step[] {
  if (quick.table === "off") return [];
  // Longest first, so that a wider route does not make the narrower look superfluous; equals in `sort -r`'s order.
  const prefixes = uniquePrefixes(wg).sort((a, b) =>
    b.length - a.length || (formatPrefix(a) < formatPrefix(b) ? 1 : -1)
  );
  const table = quick.table === undefined || quick.table === "auto" ? undefined : quick.table;
  const steps: Step[] = [];
  const covered = connected(quick);
  let defaultTable: number | undefined;
  for (const prefix of prefixes) {
    const text = formatPrefix(prefix);
    const family = prefix.family === 4 ? "-4" : "-6";
    if (table !== undefined) {
      steps.push(reversible("ip", family, "route", "add", text, "dev", name, "table", table));
    } else if (prefix.length === 0) {
      if (defaultTable === undefined) {
        defaultTable = wg.fwmark || freeTable(facts);
        if (!wg.fwmark) steps.push({ kind: "fwmark", mark: defaultTable });
      }
      steps.push(...defaultRoute(name, prefix, defaultTable, quick, facts));
    } else if (!covered.some((wider) => containsPrefix(wider, prefix))) {
      steps.push(reversible("ip", family, "route", "add", text, "dev", name));
      covered.push(prefix);
    }
  }
  return steps;
}

/** Everything goes into the tunnel but the tunnel's own datagrams, which carry the mark (wg-quick, add_default). */
function defaultRoute(
  name: string,
  prefix: Prefix,
  table: number,
  quick: QuickOptions,
  facts: UpFacts,
): Step[] {
  const family = prefix.family === 4 ? "-4" : "-6";
  const number = String(table);
  const notMarked = ["not", "fwmark", number, "table", number];
  const suppress = ["table", "main", "suppress_prefixlength", "0"];
  const rule = (words: string[]): Step => ({
    kind: "command",
    command: ["ip", family, "rule", "add", ...words],
    undo: { kind: "command", command: ["ip", family, "rule", "delete", ...words], optional: true },
  });
  const steps: Step[] = [
    rule(notMarked),
    rule(suppress),
    reversible("ip", family, "route", "add", formatPrefix(prefix), "dev", name, "table", number),
  ];
  if (prefix.family === 4 && !facts.srcValidMark) {
    steps.push(command("sysctl", "-q", "net.ipv4.conf.all.src_valid_mark=1"));
  }
  const firewall = firewallRules(name, prefix.family, table, quick, facts);
  if (firewall) steps.push(firewall);
  return steps;
}

/** Keeps others on the link from reaching our inner address, and gives replies the mark their connection had. */
function firewallRules(
  name: string,
  family: 4 | 6,
  table: number,
  quick: QuickOptions,
  { firewall }: UpFacts,
): Step | undefined {
  const ours = quick.address.filter((address) => (family === 6) === address.includes(":"))
    .map((address) => address.replace(/\/.*/, ""));
  if (firewall === "nft") {
    const [kind, chain] = [family === 4 ? "ip" : "ip6", `wg-quick-${name}`];
    const lines = [
      `add table ${kind} ${chain}`,
      `add chain ${kind} ${chain} preraw { type filter hook prerouting priority -300; }`,
      `add chain ${kind} ${chain} premangle { type filter hook prerouting priority -150; }`,
      `add chain ${kind} ${chain} postmangle { type filter hook postrouting priority -150; }`,
      ...ours.map((address) =>
        `add rule ${kind} ${chain} preraw iifname != "${name}" ${kind} daddr ${address} fib saddr type != local drop`
      ),
      `add rule ${kind} ${chain} postmangle meta l4proto udp mark ${table} ct mark set mark`,
      `add rule ${kind} ${chain} premangle meta l4proto udp meta mark set ct mark`,
    ];
    return {
      kind: "command",
      command: ["nft", "-f", "/dev/stdin"],
      echo: "nft -f /dev/fd/63",
      input: lines.map((line) => `${line}\n`).join(""),
      undo: { kind: "command", command: ["nft", "delete", "table", kind, chain], optional: true },
    };
  }
  if (firewall === "none") return undefined;
  const program = family === 4 ? "iptables-restore" : "ip6tables-restore";
  const rules = (action: "-I" | "-D") => {
    const comment = `-m comment --comment "wg-quick(8) rule for ${name}"`;
    return [
      "*raw",
      ...ours.map((address) =>
        `${action} PREROUTING ! -i ${name} -d ${address} -m addrtype ! --src-type LOCAL -j DROP ${comment}`
      ),
      "COMMIT",
      "*mangle",
      `${action} POSTROUTING -m mark --mark ${table} -p udp -j CONNMARK --save-mark ${comment}`,
      `${action} PREROUTING -p udp -j CONNMARK --restore-mark ${comment}`,
      "COMMIT",
      "",
    ].join("\n");
  };
  return {
    kind: "command",
    command: [program, "-n"],
    input: rules("-I"),
    undo: { kind: "command", command: [program, "-n"], input: rules("-D"), optional: true },
  };
}

function uniquePrefixes({ peers }: WgConfig): Prefix[] {
  const prefixes = new Map<string, Prefix>();
  for (const { allowedIps } of peers) {
    for (const { remove, prefix } of allowedIps) {
      if (!remove) prefixes.set(formatPrefix(prefix), prefix);
    }
  }
  return [...prefixes.values()];
}

/** The networks that the kernel routes to an interface for its addresses; an IPv4 host address brings none. */
function connected({ address }: QuickOptions): Prefix[] {
  return address.map((text) => parsePrefix(text)).filter((prefix) => prefix !== null)
    .filter(({ family, length }) => family === 6 || length < 32);
}

function freeTable({ usedTables }: UpFacts): number {
  let table = FIRST_TABLE;
  while (usedTables.has(table)) table++;
  return table;
}
