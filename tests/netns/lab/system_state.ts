/**
 * Everything that `quick` changes of a host.
 *
 * @module
 */

import type { Host } from "./host.ts";

/**
 * The state by parts, as text that compares: without numbers that the kernel counts up, without link-local addresses, and
 * without the carriers of links, which the kernel looks at up to a second after they have changed (linkwatch).
 */
export async function systemState(host: Host): Promise<Record<string, string>> {
  const text = async (script: string) => (await host.sh(script)).replace(/ +$/gm, "");
  return {
    links: await text(
      "ip -o link show | sed -E 's/^[0-9]+: //; s/link.ether.*//; s/@[^:]*//; s/(NO-CARRIER,|,LOWER_UP)//g; s/ qdisc .* state [^ ]+//' | sort",
    ),
    addresses: await text(
      "ip -o address show | sed -E 's/^[0-9]+: //; s/valid_lft.*//' | { grep -v fe80 || true; } | sort",
    ),
    rules: await text("ip -4 rule show; ip -6 rule show"),
    routes: await text(
      "{ ip -4 route show table all; ip -6 route show table all | grep -v 'fe80\\|ff00' || true; } | sed 's/ linkdown//'",
    ),
    firewall: await text("nft list ruleset"),
    mark: await text("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"),
    wireguard: await text("wg show all dump | cut -f1,3- | sed -E 's/\\t[0-9]{4,5}\\t/\\tPORT\\t/'"),
  };
}
