/**
 * The steps that make the system use an interface's DNS servers.
 *
 * @module
 */

import type { QuickOptions } from "../../config/quick_config.ts";
import type { WgConfig } from "../../config/wg_config.ts";
import { uniquePrefixes } from "./routes.ts";
import type { ResolvConf, Step } from "./step.ts";

/** The program that manages the machine's list of DNS servers. */
export type DnsKeeper =
  | { readonly by: "resolved" }
  /** With the prefix that resolvconf needs before the interface's name. */
  | { readonly by: "resolvconf"; readonly prefix: string }
  /** No program does: wgd replaces the file and restores it. */
  | { readonly by: "file"; readonly before: ResolvConf };

const DNS_WARNING = "the tunnel is up, but its DNS servers are not in use; see the line above, " +
  "or remove the DNS line from the file";

/** Plans the steps for the DNS lines of a file. */
export function setDns(
  name: string,
  quick: QuickOptions,
  wg: WgConfig,
  keeper: DnsKeeper,
): Step[] {
  const { dns, dnsSearch } = quick;
  const text = resolvConfLines(quick);
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
      // "~." sends every name to these servers, like resolvconf's -x. A split tunnel with domains only sends those.
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

/** The content of /etc/resolv.conf for the DNS lines of a file. */
export function resolvConfLines({ dns, dnsSearch }: QuickOptions): string {
  const lines = dns.map((server) => `nameserver ${server}\n`);
  if (dnsSearch.length > 0) lines.push(`search ${dnsSearch.join(" ")}\n`);
  return lines.join("");
}

/** The first line of a /etc/resolv.conf that belongs to an interface. */
export function resolvConfHeader(name: string): string {
  return `# Written by wgd for ${name}; "wgd quick down ${name}" restores the previous file.`;
}
