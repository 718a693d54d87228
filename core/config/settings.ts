/**
 * What files say to wgd alone, in comments that other tools pass over: `# wgd: KEY = VALUE`.
 *
 * @module
 */

/** A setting that cannot be used. */
export interface BadSetting {
  /** Counted from 1. */
  readonly line: number;
  /** What it says. */
  readonly value: string;
}

/** Whether endpoints that a file gives by name are looked up again. */
export interface ResolveEndpoints {
  /** For each `[Peer]` section in order. */
  readonly peers: readonly boolean[];
  /** Lines that say neither on nor off; they are passed over. */
  readonly bad: readonly BadSetting[];
}

/**
 * Reads `# wgd: ResolveEndpoints = on` and `off`. In a `[Peer]` section, or directly above one, it is that peer's;
 * anywhere else the whole file's, where it is on unless it is said.
 *
 * @param text A whole configuration file.
 */
export function resolveEndpoints(text: string): ResolveEndpoints {
  const peers: (boolean | undefined)[] = [];
  const bad: BadSetting[] = [];
  let whole = true;
  let inPeer = false;
  /** Of the comments directly above the line that is read. */
  let above: boolean | undefined;
  const settle = () => {
    if (above === undefined) return;
    if (inPeer) peers[peers.length - 1] = above;
    else whole = above;
    above = undefined;
  };
  text.split("\n").forEach((raw, index) => {
    const line = raw.trim();
    const [, value] = /^#\s*wgd:\s*ResolveEndpoints\s*=\s*(.*)$/i.exec(line) ?? [];
    if (value !== undefined) {
      if (/^(on|off)$/i.test(value)) above = value.toLowerCase() === "on";
      else bad.push({ line: index + 1, value });
    } else if (/^\[\s*peer\s*\]\s*(#.*)?$/i.test(line)) {
      inPeer = true;
      peers.push(above);
      above = undefined;
    } else if (!line.startsWith("#")) {
      settle();
      if (line.startsWith("[")) inPeer = false;
    }
  });
  settle();
  return { peers: peers.map((own) => own ?? whole), bad };
}
