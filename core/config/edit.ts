/**
 * Edits configuration files line by line. Everything else stays the same, byte for byte.
 *
 * @module
 */

/** A new [Peer] section. */
export interface NewPeer {
  /** Its name, which becomes a comment, because WireGuard has only keys. */
  readonly name?: string;
  /** Its lines, in order. */
  readonly entries: readonly (readonly [key: string, value: string])[];
}

/** Something whose keys can be read and set, one value for each line. */
export interface Editable {
  /** The values of a key in any case, one for each line, without comments and surrounding blanks. */
  values(key: string): string[];
  /**
   * Sets the values of a key, one for each line. Comments after values stay. Surplus lines are removed. Missing lines
   * are added after the last line of that key, or at the end of the section.
   */
  set(key: string, values: readonly string[]): void;
}

/** A section of a file, with the comments directly above it. */
export class ConfigSection implements Editable {
  /** Lines with their line ends. */
  readonly #lines: string[];
  readonly #lineEnd: string;

  /** Owns the lines from now on; `ConfigText` makes sections. */
  constructor(lines: string[], lineEnd: string) {
    this.#lines = lines;
    this.#lineEnd = lineEnd;
  }

  /** See `Editable`. */
  values(key: string): string[] {
    return this.#lines.filter((line) => isKey(line, key)).map((line) => line.slice(...valueSpan(line)));
  }

  /** See `Editable`. */
  set(key: string, values: readonly string[]): void {
    const at = this.#lines.flatMap((line, index) => isKey(line, key) ? [index] : []);
    for (const index of at.splice(values.length).reverse()) this.#lines.splice(index, 1);
    at.forEach((index, i) => {
      const line = this.#lines[index]!;
      const [from, to] = valueSpan(line);
      this.#lines[index] = line.slice(0, from) + values[i]! + line.slice(to);
    });
    const missing = values.slice(at.length).map((value) => `${key} = ${value}${this.#lineEnd}`);
    if (missing.length === 0) return;
    const behind = at.at(-1) ?? this.#lines.findLastIndex((line) => strip(line) !== "");
    const last = this.#lines[behind]!;
    if (!last.endsWith("\n")) this.#lines[behind] = last + this.#lineEnd;
    this.#lines.splice(behind + 1, 0, ...missing);
  }

  /** Its text. */
  toString(): string {
    return this.#lines.join("");
  }
}

/** A configuration file that can be edited. */
export class ConfigText {
  readonly #lineEnd: string;
  /** The text before the first section, then the sections. */
  readonly #parts: { kind: string; section: ConfigSection }[] = [];

  /** Splits a file into sections; any text is accepted. */
  constructor(text: string) {
    this.#lineEnd = /\r?\n/.exec(text)?.[0] ?? "\n";
    let kind = "";
    let lines: string[] = [];
    for (const line of text.split(/(?<=\n)/)) {
      const header = strip(line.replace(/^\ufeff/, "")).toLowerCase();
      if (header.startsWith("[")) {
        const above = lines.length - 1 - lines.findLastIndex((other) => !other.trimStart().startsWith("#"));
        const comments = lines.splice(lines.length - above);
        this.#push(kind, lines);
        kind = header;
        lines = comments;
      }
      lines.push(line);
    }
    this.#push(kind, lines);
  }

  /** All [Interface] sections as one, as `wg` reads them. If there is none, one is added when a key is set. */
  get interface(): Editable {
    const sections = () =>
      this.#parts.filter(({ kind }) => kind === "[interface]").map(({ section }) => section);
    return {
      values: (key) => sections().flatMap((section) => section.values(key)),
      set: (key, values) => {
        const holder = sections().findLast((section) => section.values(key).length > 0) ?? sections()[0] ??
          this.#addInterface();
        for (const section of sections()) section.set(key, section === holder ? values : []);
      },
    };
  }

  /** The [Peer] sections in order. */
  get peers(): readonly ConfigSection[] {
    return this.#parts.filter(({ kind }) => kind === "[peer]").map(({ section }) => section);
  }

  /** Adds a peer at the end of the file. */
  addPeer({ name, entries }: NewPeer): void {
    const before = this.toString();
    const gap = before === "" || /\n\s*\n$/.test(before)
      ? ""
      : before.endsWith("\n")
      ? this.#lineEnd
      : this.#lineEnd.repeat(2);
    const lines = [
      ...(name === undefined ? [] : [`# Name = ${name}`]),
      "[Peer]",
      ...entries.map(([key, value]) => `${key} = ${value}`),
    ].map((line) => line + this.#lineEnd);
    this.#push("", gap === "" ? [] : [gap]);
    this.#push("[peer]", lines);
  }

  /** Removes a section, with the comments directly above it and the empty lines after it. */
  remove(section: ConfigSection): void {
    const index = this.#parts.findIndex((part) => part.section === section);
    if (index >= 0) this.#parts.splice(index, 1);
  }

  /** The whole file. */
  toString(): string {
    return this.#parts.map(({ section }) => section.toString()).join("");
  }

  #addInterface(): ConfigSection {
    const section = new ConfigSection([`[Interface]${this.#lineEnd}`], this.#lineEnd);
    const before = this.#parts.findIndex(({ kind }) => kind !== "");
    this.#parts.splice(before < 0 ? this.#parts.length : before, 0, { kind: "[interface]", section });
    return section;
  }

  #push(kind: string, lines: string[]): void {
    if (lines.length > 0) this.#parts.push({ kind, section: new ConfigSection(lines, this.#lineEnd) });
  }
}

/** A line as `wg` reads it: without its comment and white space. */
function strip(line: string): string {
  return line.replace(/#.*$/s, "").replace(/\s+/g, "");
}

function isKey(line: string, key: string): boolean {
  const stripped = strip(line);
  return stripped.slice(0, stripped.indexOf("=") + 1).toLowerCase() === `${key.toLowerCase()}=`;
}

/** The place of a line's value, without the spaces around it. */
function valueSpan(line: string): [from: number, to: number] {
  const comment = line.indexOf("#");
  const whole = comment < 0 ? line : line.slice(0, comment);
  const to = whole.trimEnd().length;
  const from = whole.indexOf("=") + 1;
  return to <= from
    ? [from, from]
    : [from + (whole.length - from - whole.slice(from).trimStart().length), to];
}
