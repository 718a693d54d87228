/**
 * What may stand where on wgd's command line. Commands hand their options from here to `parseArgs`, and completions
 * follow the whole of it.
 *
 * @module
 */

/** Where the words for a place come from, besides those that are listed. */
export type Source =
  /** Interfaces that run. */
  | "interface"
  /** Interfaces that have a file in /etc/wireguard. */
  | "saved"
  /** Peers of the interface that is named before: public keys and names. */
  | "peer"
  /** Pages of the manual. */
  | "page"
  /** Configuration files, any files, folders. */
  | "config"
  | "file"
  | "folder";

/** Words with what they mean. */
export type Words = Readonly<Record<string, string>>;

/** A place for one word. A place without words and sources takes what nobody can guess. */
export interface Place {
  readonly words?: Words;
  readonly from?: readonly Source[];
}

/** An option, in the form that `parseArgs` of `node:util` reads. */
export interface Option {
  readonly type: "boolean" | "string";
  readonly short?: string;
  /** Whether it may be given more than once. */
  readonly multiple?: boolean;
  readonly summary: string;
  /** What follows it, if it is not `boolean`. */
  readonly value?: Place;
}

/** How a command, or one of its actions, is called. */
export interface Grammar {
  /** The places, in order. */
  readonly places?: readonly Place[];
  readonly options?: Readonly<Record<string, Option>>;
  /** Instead of places: the first word says which of these grammars the others follow. */
  readonly actions?: Readonly<Record<string, Grammar & { readonly summary: string }>>;
  /** Behind the places, keywords with their values in any order: first these, behind `peer KEY` those. */
  readonly keywords?: { readonly interface: Keywords; readonly peer: Keywords };
}

/** Keywords with the place for the value of each; null if it has none. */
type Keywords = Readonly<Record<string, Place | null>>;

const INTERFACE: Place = { from: ["interface"] };
const CONFIG: Place = { from: ["saved", "config"] };
const FILE: Place = { from: ["file"] };
const FOLDER: Place = { from: ["folder"] };
const PEER: Place = { from: ["peer"] };
const FREE: Place = {};

const JSON_OPTION = { type: "boolean", summary: "for programs" } as const;
const DRY_RUN = { type: "boolean", summary: "says what would be done, and does nothing" } as const;
const PREFIX = { type: "string", summary: "another folder than /usr/local", value: FOLDER } as const;
const ROOT = { type: "string", summary: "the root of another system", value: FOLDER } as const;

/** Options of `wgd run`. */
export const RUN_OPTIONS = {
  foreground: { type: "boolean", short: "f", summary: "stays until the interface ends" },
  disable: {
    type: "string",
    multiple: true,
    summary: "does without a feature",
    value: {
      words: {
        "tun-tcp": "super-packets of TCP from and to the interface",
        "tun-udp": "super-packets of UDP from and to the interface",
        "udp-gso": "trains of datagrams sent in one call",
        "udp-gro": "trains of datagrams received in one call",
        "wide": "the build that needs flags of V8",
      },
    },
  },
} as const satisfies Grammar["options"];

/** Options of `wgd show`. */
export const SHOW_OPTIONS = {
  json: JSON_OPTION,
  secrets: { type: "boolean", summary: "private and preshared keys too" },
  watch: { type: "boolean", summary: "live, until Ctrl-C" },
  names: { type: "boolean", summary: "with the names of peers" },
  verbose: { type: "boolean", summary: "what is on, what was dropped, and why" },
} as const satisfies Grammar["options"];

/** Options of `wgd doctor`. */
export const DOCTOR_OPTIONS = { json: JSON_OPTION } as const satisfies Grammar["options"];

/** Options of `wgd qr`. What may follow them is a file, which `parseArgs` takes for a word. */
export const QR_OPTIONS = {
  svg: { type: "boolean", summary: "as a picture" },
  png: { type: "boolean", summary: "as a picture" },
} as const satisfies Grammar["options"];

const PEER_ADD_OPTIONS = {
  address: { type: "string", summary: "its addresses", value: FREE },
  "allowed-ips": { type: "string", summary: "what it sends through the tunnel", value: FREE },
  dns: { type: "string", summary: "its DNS servers", value: FREE },
  endpoint: { type: "string", summary: "where clients find the server", value: FREE },
  "no-preshared-key": { type: "boolean", summary: "makes no preshared key" },
  output: { type: "string", summary: "the client's file", value: FILE },
} as const satisfies Grammar["options"];

/** Options of all actions of `wgd peer`. */
export const PEER_OPTIONS = { ...PEER_ADD_OPTIONS, json: JSON_OPTION } as const;

/** Options of `wgd uninstall`. */
export const UNINSTALL_OPTIONS = { prefix: PREFIX, root: ROOT, "dry-run": DRY_RUN } as const;

/** Options of `wgd install`. */
export const INSTALL_OPTIONS = {
  ...UNINSTALL_OPTIONS,
  links: { type: "boolean", summary: "links named wg and wg-quick too" },
} as const satisfies Grammar["options"];

/** The shells that there are completions for. */
export const SHELLS = { bash: "the shell of most systems", zsh: "the Z shell", fish: "the friendly shell" };

/** The fields of `wg show`. */
export const FIELDS: Words = {
  "public-key": "of the interface",
  "private-key": "of the interface",
  "listen-port": "its UDP port",
  "fwmark": "the mark of its packets",
  "peers": "their public keys",
  "preshared-keys": "of each peer",
  "endpoints": "address and port of each peer",
  "allowed-ips": "networks of each peer",
  "latest-handshakes": "seconds since 1970",
  "transfer": "bytes received and sent",
  "persistent-keepalive": "seconds",
  "dump": "all of this",
};

/** What `wgd set` changes of an interface, and behind `peer KEY` of that peer. */
export const SET_KEYWORDS = {
  interface: {
    "listen-port": FREE,
    "fwmark": { words: { off: "no mark" } },
    "private-key": FILE,
  },
  peer: {
    "remove": null,
    "preshared-key": FILE,
    "endpoint": FREE,
    "persistent-keepalive": { words: { off: "none" } },
    "allowed-ips": FREE,
  },
} as const satisfies Grammar["keywords"];

const INTERFACE_OPTION = { type: "string", summary: "a name in place of the file's", value: FREE } as const;
const UP: Grammar = { places: [CONFIG], options: { "dry-run": DRY_RUN, interface: INTERFACE_OPTION } };

/** The grammar of each command, by its name. */
export const grammars: Readonly<Record<string, Grammar>> = {
  run: { places: [FREE], options: RUN_OPTIONS },
  quick: {
    actions: {
      up: { summary: "makes the interface what its file says", ...UP },
      down: { summary: "undoes what up did", ...UP, places: [{ from: ["interface", "config"] }] },
      reload: {
        summary: "applies a file that has changed",
        ...UP,
        places: [{ from: ["interface", "config"] }],
      },
      save: {
        summary: "brings the file up to date",
        places: [{ from: ["interface", "config"] }],
        options: { interface: INTERFACE_OPTION },
      },
      strip: { summary: "prints what wgd setconf reads", places: [CONFIG] },
      check: {
        summary: "reports every mistake in a file",
        places: [CONFIG],
        options: { interface: INTERFACE_OPTION },
      },
      status: {
        summary: "tells what is up",
        places: [{ from: ["interface", "config"] }],
        options: { json: JSON_OPTION },
      },
    },
  },
  show: {
    places: [
      { words: { all: "every interface", interfaces: "their names" }, ...INTERFACE },
      { words: FIELDS },
    ],
    options: SHOW_OPTIONS,
  },
  showconf: { places: [INTERFACE] },
  set: { places: [INTERFACE], keywords: SET_KEYWORDS },
  setconf: { places: [INTERFACE, FILE] },
  addconf: { places: [INTERFACE, FILE] },
  syncconf: { places: [INTERFACE, FILE] },
  genkey: {},
  genpsk: {},
  pubkey: {},
  doctor: { places: [INTERFACE, FREE], options: DOCTOR_OPTIONS },
  peer: {
    actions: {
      add: {
        summary: "a new client",
        places: [{ from: ["saved"] }, FREE],
        options: PEER_ADD_OPTIONS,
      },
      list: { summary: "all clients", places: [{ from: ["saved"] }], options: { json: JSON_OPTION } },
      show: { summary: "one client", places: [{ from: ["saved"] }, PEER], options: { json: JSON_OPTION } },
      remove: { summary: "takes a client away", places: [{ from: ["saved"] }, PEER] },
    },
  },
  qr: { places: [CONFIG, FILE], options: QR_OPTIONS },
  install: { options: INSTALL_OPTIONS },
  uninstall: { options: UNINSTALL_OPTIONS },
  completions: { places: [{ words: SHELLS }] },
  help: { places: [{ from: ["page"] }] },
};
