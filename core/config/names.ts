/**
 * Names of peers. WireGuard has no names, only keys; by custom, a comment `# Name = Anna's phone` above a `[Peer]` or in
 * it names the peer.
 *
 * @module
 */

/**
 * Reads the names of peers from a configuration file.
 *
 * A comment directly above `[Peer]`, with no empty line between, belongs to the peer that follows; any other belongs to
 * the peer whose section it is in. Other lines are ignored, also invalid ones: names are for display.
 *
 * @param text A whole configuration file.
 * @returns Names by public keys as the file writes them. Control characters are dropped, so a name cannot write to the
 *   terminal it is shown on.
 */
export function peerNames(text: string): Map<string, string> {
  const names = new Map<string, string>();
  let section: { key?: string; name?: string } | undefined;
  let above: string | undefined;
  const finish = () => {
    if (section?.key && section.name) names.set(section.key, section.name);
  };
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    const named = /^#\s*name\s*=\s*(.*)$/i.exec(line);
    if (line.startsWith("[")) {
      finish();
      section = /^\[peer\]/i.test(line) ? { ...(above && { name: above }) } : undefined;
      above = undefined;
    } else if (named) {
      above = named[1]!.replace(/\p{C}/gu, "").trim();
    } else if (!line.startsWith("#")) {
      // The comment was not above a section, so it belongs to this one.
      if (section && above) section.name = above;
      above = undefined;
      const key = /^publickey\s*=\s*([^\s#]+)/i.exec(line)?.[1];
      if (section && key) section.key = key;
    }
  }
  if (section && above) section.name = above;
  finish();
  return names;
}
