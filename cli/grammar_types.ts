/**
 * What a grammar of a command line consists of. It has no code, so it is not loaded at run time.
 *
 * @module
 */

/** Where the choices for an argument come from, in addition to the listed ones. */
export type Source =
  /** Running interfaces. */
  | "interface"
  /** Interfaces that have a file in /etc/wireguard. */
  | "saved"
  /** Peers of the interface that an earlier argument names: public keys and names. */
  | "peer"
  /** Pages of the manual. */
  | "page"
  /** Configuration files, any files, folders. */
  | "config"
  | "file"
  | "folder";

/** Words to choose from, each with its meaning. */
export type Choices = Readonly<Record<string, string>>;

/** An argument of one word. One without choices and sources cannot be completed. */
export interface Argument {
  readonly choices?: Choices;
  readonly from?: readonly Source[];
}

/** An option, in the form that `parseArgs` of `node:util` reads. */
export interface Option {
  readonly type: "boolean" | "string";
  readonly short?: string;
  /** Whether it may be given more than once. */
  readonly multiple?: boolean;
  readonly summary: string;
  /** Its value, if it is not `boolean`. */
  readonly value?: Argument;
}

/** How a command, or one of its actions, is called. */
export interface Grammar {
  /** Arguments that are not options, in order. */
  readonly positionals?: readonly Argument[];
  readonly options?: Readonly<Record<string, Option>>;
  /** In place of positionals: the first word selects one of these grammars for the others. */
  readonly actions?: Readonly<Record<string, Grammar & { readonly summary: string }>>;
  /** Keywords after the positionals, in any order: those of the interface, then those of each peer after `peer KEY`. */
  readonly keywords?: { readonly interface: Keywords; readonly peer: Keywords };
}

/** Keywords with the argument that each takes; null if it takes none. */
type Keywords = Readonly<Record<string, Argument | null>>;
