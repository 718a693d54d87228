/**
 * Finds out what a packet filter does to a tunnel's own UDP packets, from `nft list ruleset`. Rules are read in order.
 * A rule that depends on more than ports, such as a connection's state or a named set, is ignored.
 *
 * @module
 */

/** A chain of rules. */
export interface Chain {
  /** Family, table and chain, in the form that `nft` accepts: `inet filter input`. */
  readonly name: string;
  /** The hook through which packets enter it; absent for a chain that others jump to. */
  readonly hook?: string;
  /** The verdict on packets that no rule decides. */
  readonly policy: string;
  /** In order. */
  readonly rules: readonly string[];
}

/** UDP ports of a tunnel's packets; 0 if not known. */
export interface Ports {
  /** The port of this machine. */
  readonly own: number;
  /** The port of the peer. */
  readonly other: number;
}

type Way = "in" | "out" | "either";

/** By hook. Forwarded packets belong to other machines. */
const WAYS: Readonly<Record<string, Way>> = {
  ingress: "in",
  prerouting: "in",
  input: "in",
  output: "out",
  postrouting: "out",
  egress: "out",
};

/** Reads the chains that a tunnel's packets may pass. */
export function parseRuleset(text: string): Chain[] {
  const chains: Chain[] = [];
  // Long lists continue in the next line.
  for (const [, table, body] of text.replace(/,\n\s*/g, ", ").matchAll(/^table (.+) \{\n([^]*?)^\}/gm)) {
    for (const [, name, inside] of body!.matchAll(/^\tchain (.+) \{\n([^]*?)^\t\}/gm)) {
      const [first = "", ...rest] = inside!.split("\n").map((line) => line.trim()).filter(Boolean);
      const [, hook] = /^type \w+ hook (\w+)/.exec(first) ?? [];
      if (hook !== undefined && WAYS[hook] === undefined) continue;
      chains.push({
        name: `${table} ${name}`,
        ...(hook && { hook }),
        policy: /; policy (\w+);/.exec(first)?.[1] ?? "accept",
        rules: hook || first === "" ? rest : [first, ...rest],
      });
    }
  }
  return chains;
}

/** The first rule that drops a tunnel's packets because it names one of the ports, or all of UDP. */
export function droppingRule(chains: readonly Chain[], ports: Ports): string | undefined {
  for (const { hook, rules } of chains) {
    const way = hook === undefined ? "either" : WAYS[hook]!;
    let someAccepted = false;
    for (const rule of rules) {
      const { about, always } = reach(rule, ports, way);
      if (about === undefined) continue;
      if (/\baccept\b/.test(rule)) {
        if (always) break;
        someAccepted = about === "port" || someAccepted;
      } else if (isDrop(rule) && (about === "port" || about === "udp" && !someAccepted)) {
        return rule;
      }
    }
  }
  return undefined;
}

/**
 * A chain that drops every packet that no rule accepts, if no accepting rule depends on a port.
 *
 * @param port The port to which peers send.
 * @returns Its name.
 */
export function closedChain(chains: readonly Chain[], port: number): string | undefined {
  const ports = { own: port, other: 0 };
  const opens = chains.some(({ hook, rules }) =>
    (hook === undefined || WAYS[hook] === "in") && rules.some((rule) => {
      if (/\bdport (@|vmap\b)/.test(rule)) return true;
      const { about, always } = reach(rule, ports, "in");
      return /\baccept\b/.test(rule) && (about === "port" || always && about !== undefined);
    })
  );
  return opens ? undefined : chains.find(({ hook, policy, rules }) => {
    const last = rules.at(-1) ?? "";
    return hook === "input" &&
      (policy === "drop" || isDrop(last) && reach(last, ports, "in").about === "all");
  })?.name;
}

function isDrop(rule: string): boolean {
  return /\b(drop|reject)\b/.test(rule);
}

/** The parts of a rule that do not restrict it, and its verdict. */
const NOT_CONDITIONS =
  /\bcounter packets \d+ bytes \d+|\bcounter\b|\blog( prefix "[^"]*"| level \w+| flags \w+)*|\bcomment "[^"]*"|\b(accept|drop|reject( with .+)?)$/g;
const OF_UDP = /\b(meta l4proto|ip protocol|ip6 nexthdr) (udp|17)\b/g;
const OF_PORTS = /\budp ([sd])port (!= )?(?:\{ ([^}]*) \}|(\S+))/g;

/**
 * The part of a tunnel's packets that a rule matches: those of a port of ours, all of UDP, or all; and whether always.
 */
function reach(
  rule: string,
  { own, other }: Ports,
  way: Way,
): { about?: "port" | "udp" | "all"; always: boolean } {
  const bare = rule.replace(NOT_CONDITIONS, "");
  const always = bare.replace(OF_PORTS, "").replace(OF_UDP, "").trim() === "";
  const matches = [...bare.matchAll(OF_PORTS)];
  if (matches.length === 0) {
    if (!always) return { always };
    return { about: bare.trim() === "" ? "all" : "udp", always };
  }
  const named = matches.every(([, end, not, list, single]) => {
    const candidates = way === "either" ? [own, other] : [(end === "d") === (way === "in") ? own : other];
    return candidates.some((port) =>
      port !== 0 && includesPort(list ?? single!, port) === (not === undefined)
    );
  });
  return named ? { about: "port", always } : { always };
}

/** Whether `51820`, `51820-51830` or a list of these contains a port. Named sets are not known. */
function includesPort(list: string, port: number): boolean {
  return list.split(/,\s*/).some((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return first! <= port && port <= last!;
  });
}
