/**
 * The grammar of wgd's command line: arguments, options and keywords of each command. Commands pass their options from
 * here to `parseArgs`; completions use all of it.
 *
 * @module
 */

import type { Argument, Choices, Grammar } from "./grammar_types.ts";

const INTERFACE: Argument = { from: ["interface"] };
const CONFIG: Argument = { from: ["saved", "config"] };
const FILE: Argument = { from: ["file"] };
const FOLDER: Argument = { from: ["folder"] };
const PEER: Argument = { from: ["peer"] };
const FREE: Argument = {};

const JSON_OPTION = { type: "boolean", summary: "prints JSON" } as const;
const DRY_RUN = { type: "boolean", summary: "prints the steps without doing them" } as const;
const PREFIX = { type: "string", summary: "the folder to use instead of /usr/local", value: FOLDER } as const;
const ROOT = {
  type: "string",
  summary: "the folder to use as the root of the file system",
  value: FOLDER,
} as const;

const LANES = {
  type: "string",
  summary: "the maximum number of additional threads that encrypt and decrypt",
  value: {
    choices: { auto: "depends on idle processors", "0": "none", "1": "", "2": "", "3": "" },
  },
} as const;

/** Options of `wgd run`. */
export const RUN_OPTIONS = {
  foreground: { type: "boolean", short: "f", summary: "stays in the foreground until the interface ends" },
  disable: {
    type: "string",
    multiple: true,
    summary: "turns a feature off",
    value: {
      choices: {
        "tun-tcp": "segmentation offload of TCP on the interface",
        "tun-udp": "segmentation offload of UDP on the interface",
        "udp-gso": "sending many datagrams in one call",
        "udp-gro": "receiving many datagrams in one call",
        "wide": "the faster build of the cryptography",
      },
    },
  },
  lanes: LANES,
} as const satisfies Grammar["options"];

/** Options of `wgd show`. */
export const SHOW_OPTIONS = {
  json: JSON_OPTION,
  secrets: { type: "boolean", summary: "includes private and preshared keys" },
  watch: { type: "boolean", summary: "updates until Ctrl-C" },
  names: { type: "boolean", summary: "shows the names of peers" },
  verbose: { type: "boolean", summary: "shows features and dropped packets" },
} as const satisfies Grammar["options"];

/** Options of `wgd doctor`. */
export const DOCTOR_OPTIONS = { json: JSON_OPTION } as const satisfies Grammar["options"];

/** Options of `wgd qr`. A file after them is a positional for `parseArgs`. */
export const QR_OPTIONS = {
  svg: { type: "boolean", summary: "writes an SVG picture" },
  png: { type: "boolean", summary: "writes a PNG picture" },
} as const satisfies Grammar["options"];

/** Options of `wgd proxy`. */
export const PROXY_OPTIONS = {
  socks5: { type: "string", multiple: true, summary: "listens for SOCKS5", value: FREE },
  http: { type: "string", multiple: true, summary: "listens for HTTP proxy requests", value: FREE },
  sni: { type: "string", multiple: true, summary: "listens for TLS, by server name", value: FREE },
  forward: {
    type: "string",
    multiple: true,
    summary: "forwards a local port through the tunnel",
    value: FREE,
  },
  "forward-udp": { type: "string", multiple: true, summary: "the same for UDP", value: FREE },
  reverse: {
    type: "string",
    multiple: true,
    summary: "forwards a port in the tunnel to this machine",
    value: FREE,
  },
  "reverse-udp": { type: "string", multiple: true, summary: "the same for UDP", value: FREE },
  credentials: { type: "string", summary: "a file with user:password", value: FILE },
  stdio: { type: "string", summary: "connects standard input and output", value: FREE },
  health: {
    type: "string",
    short: "i",
    multiple: true,
    summary: "serves /readyz and /metrics",
    value: FREE,
  },
  grace: { type: "string", summary: "seconds for open connections after SIGTERM", value: FREE },
  interface: { type: "string", summary: "the tunnel's name, if not the file's", value: FREE },
  config: { type: "string", short: "c", summary: "the file, as for wireproxy", value: CONFIG },
  info: { type: "string", summary: "the same as --health, as for wireproxy", value: FREE },
  silent: { type: "boolean", short: "s", summary: "prints errors only, as for wireproxy" },
  configtest: { type: "boolean", short: "n", summary: "only checks the file, as for wireproxy" },
} as const satisfies Grammar["options"];

/** Options of `wgd exec`. It parses them itself, because the words after the program are the program's arguments. */
export const EXEC_OPTIONS = {
  forward: {
    type: "string",
    multiple: true,
    summary: "forwards a local port into the program's network",
    value: FREE,
  },
} as const satisfies Grammar["options"];

const DATA_OPTION = { type: "string", summary: "the folder of the server", value: FOLDER } as const;

/** Where `wgd web` stores its data. */
const STORE_OPTIONS = {
  data: DATA_OPTION,
  database: { type: "string", summary: "a PostgreSQL database", value: FREE },
} as const satisfies Grammar["options"];

const PEER_LIST_OPTIONS = { ...STORE_OPTIONS, json: JSON_OPTION } as const;

const PEER_ADD_OPTIONS = {
  address: { type: "string", summary: "its addresses", value: FREE },
  "allowed-ips": { type: "string", summary: "the networks it sends through the tunnel", value: FREE },
  dns: { type: "string", summary: "its DNS servers", value: FREE },
  endpoint: { type: "string", summary: "the server's endpoint for clients", value: FREE },
  "no-preshared-key": { type: "boolean", summary: "makes no preshared key" },
  output: { type: "string", summary: "the client's file", value: FILE },
  ...STORE_OPTIONS,
} as const satisfies Grammar["options"];

/** Options of all actions of `wgd peer`. */
export const PEER_OPTIONS = { ...PEER_ADD_OPTIONS, json: JSON_OPTION } as const;

/** Options of `wgd web` without an action. */
const WEB_SERVE_OPTIONS = {
  ...STORE_OPTIONS,
  listen: { type: "string", summary: "the address and port for browsers", value: FREE },
  metrics: { type: "string", summary: "the address and port for Prometheus", value: FREE },
  cert: { type: "string", summary: "a certificate and its chain", value: FILE },
  key: { type: "string", summary: "the certificate's key", value: FILE },
  "behind-proxy": { type: "string", summary: "addresses of trusted reverse proxies", value: FREE },
} as const satisfies Grammar["options"];

const WEB_INIT_OPTIONS = {
  ...STORE_OPTIONS,
  network: { type: "string", summary: "the first network and its interface", value: FREE },
  address: { type: "string", summary: "the server's addresses in it", value: FREE },
  endpoint: { type: "string", summary: "the server's endpoint for clients", value: FREE },
  dns: { type: "string", summary: "DNS servers of clients", value: FREE },
  admin: { type: "string", summary: "the first administrator", value: FREE },
  "password-file": { type: "string", summary: "a file with their password", value: FILE },
} as const satisfies Grammar["options"];

const WEB_TOKEN_OPTIONS = {
  ...STORE_OPTIONS,
  scopes: { type: "string", summary: "what it may be used for", value: FREE },
} as const satisfies Grammar["options"];

const WEB_USER_OPTIONS = {
  ...STORE_OPTIONS,
  "password-file": { type: "string", summary: "a file with their new password", value: FILE },
  "no-second-factor": { type: "boolean", summary: "turns their second factor off" },
} as const satisfies Grammar["options"];

const WEB_BACKUP_OPTIONS = {
  ...STORE_OPTIONS,
  to: { type: "string", summary: "the file to write", value: FILE },
  force: { type: "boolean", summary: "replaces an existing file" },
} as const satisfies Grammar["options"];

const WEB_RESTORE_OPTIONS = {
  ...STORE_OPTIONS,
  force: { type: "boolean", summary: "replaces an existing database" },
  "new-keys": { type: "boolean", summary: "makes new keys for networks whose keys are missing" },
} as const satisfies Grammar["options"];

const WEB_IMPORT_OPTIONS = {
  ...STORE_OPTIONS,
  from: {
    type: "string",
    summary: "the program whose file it is",
    value: {
      choices: {
        "wg-quick": "a file",
        "wg-easy": "wg0.json or wg-easy.db",
        "wireguard-ui": "its folder db",
        wgdashboard: "wgdashboard.db",
      },
    },
  },
  network: { type: "string", summary: "the network and its interface", value: FREE },
  endpoint: { type: "string", summary: "the server's endpoint for clients", value: FREE },
  dns: { type: "string", summary: "DNS servers of clients", value: FREE },
  config: { type: "string", summary: "the file of the interface", value: CONFIG },
  "dry-run": { type: "boolean", summary: "shows what would be done" },
} as const satisfies Grammar["options"];

const WEB_AUDIT_OPTIONS = {
  ...STORE_OPTIONS,
  verify: { type: "boolean", summary: "only checks whether it was changed" },
  json: JSON_OPTION,
} as const satisfies Grammar["options"];

/** Options of all actions of `wgd web`. */
export const WEB_OPTIONS = {
  ...WEB_SERVE_OPTIONS,
  ...WEB_INIT_OPTIONS,
  ...WEB_TOKEN_OPTIONS,
  ...WEB_USER_OPTIONS,
  ...WEB_BACKUP_OPTIONS,
  ...WEB_RESTORE_OPTIONS,
  ...WEB_IMPORT_OPTIONS,
  ...WEB_AUDIT_OPTIONS,
} as const;

/** Options of `wgd keeper`. */
export const KEEPER_OPTIONS = { data: DATA_OPTION } as const satisfies Grammar["options"];

/** Options of `wgd uninstall`. */
export const UNINSTALL_OPTIONS = {
  user: { type: "boolean", summary: "for the current user only, in ~/.local" },
  prefix: PREFIX,
  root: ROOT,
  "dry-run": DRY_RUN,
} as const;

/** Options of `wgd install`. */
export const INSTALL_OPTIONS = {
  ...UNINSTALL_OPTIONS,
  links: { type: "boolean", summary: "also adds links named wg and wg-quick" },
  web: { type: "boolean", summary: "also adds the services of wgd web" },
} as const satisfies Grammar["options"];

/** The shells that have completions. */
export const SHELLS = { bash: "the shell of most systems", zsh: "the Z shell", fish: "the friendly shell" };

/** The fields of `wg show`. */
export const FIELDS: Choices = {
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
  "dump": "all fields",
};

/** Keywords of `wgd set`: the interface's, and those of a peer after `peer KEY`. */
export const SET_KEYWORDS = {
  interface: {
    "listen-port": FREE,
    "fwmark": { choices: { off: "no mark" } },
    "private-key": FILE,
  },
  peer: {
    "remove": null,
    "preshared-key": FILE,
    "endpoint": FREE,
    "persistent-keepalive": { choices: { off: "none" } },
    "allowed-ips": FREE,
  },
} as const satisfies Grammar["keywords"];

const INTERFACE_OPTION = {
  type: "string",
  summary: "the interface's name, if not the file's",
  value: FREE,
} as const;
const PLANNED: Grammar = {
  positionals: [CONFIG],
  options: { "dry-run": DRY_RUN, interface: INTERFACE_OPTION },
};
const BACKEND = {
  type: "string",
  summary: "the WireGuard implementation",
  value: {
    choices: {
      "auto": "the kernel's if it has one, else wgd",
      "kernel": "the kernel's",
      "wgd": "a wgd process",
    },
  },
} as const;

/** The grammar of each command, by its name. */
export const grammars: Readonly<Record<string, Grammar>> = {
  run: { positionals: [FREE], options: RUN_OPTIONS },
  quick: {
    actions: {
      up: {
        summary: "brings the interface up",
        ...PLANNED,
        options: { ...PLANNED.options, backend: BACKEND, lanes: LANES },
      },
      down: {
        summary: "undoes what up did",
        positionals: [{ from: ["interface", "config"] }],
        options: {
          ...PLANNED.options,
          force: { type: "boolean", summary: "continues if a hook fails or the file cannot be saved" },
        },
      },
      reload: {
        summary: "applies a changed file",
        ...PLANNED,
        positionals: [{ from: ["interface", "config"] }],
      },
      save: {
        summary: "writes the interface's state to the file",
        positionals: [{ from: ["interface", "config"] }],
        options: { interface: INTERFACE_OPTION },
      },
      strip: { summary: "prints what wgd setconf reads", positionals: [CONFIG] },
      check: {
        summary: "reports every mistake in a file",
        positionals: [CONFIG],
        options: { interface: INTERFACE_OPTION },
      },
      watch: {
        summary: "restores what other programs remove",
        positionals: [{ from: ["interface", "config"] }],
      },
      status: {
        summary: "lists the interfaces that are up",
        positionals: [{ from: ["interface", "config"] }],
        options: { json: JSON_OPTION },
      },
    },
  },
  show: {
    positionals: [
      { choices: { all: "every interface", interfaces: "their names" }, ...INTERFACE },
      { choices: FIELDS },
    ],
    options: SHOW_OPTIONS,
  },
  showconf: { positionals: [INTERFACE] },
  set: { positionals: [INTERFACE], keywords: SET_KEYWORDS },
  setconf: { positionals: [INTERFACE, FILE] },
  addconf: { positionals: [INTERFACE, FILE] },
  syncconf: { positionals: [INTERFACE, FILE] },
  genkey: {},
  genpsk: {},
  pubkey: {},
  doctor: { positionals: [INTERFACE, FREE], options: DOCTOR_OPTIONS },
  peer: {
    actions: {
      add: {
        summary: "adds a client",
        positionals: [{ from: ["saved"] }, FREE],
        options: PEER_ADD_OPTIONS,
      },
      list: {
        summary: "lists all clients",
        positionals: [{ from: ["saved"] }],
        options: PEER_LIST_OPTIONS,
      },
      show: {
        summary: "shows one client",
        positionals: [{ from: ["saved"] }, PEER],
        options: PEER_LIST_OPTIONS,
      },
      remove: {
        summary: "removes a client",
        positionals: [{ from: ["saved"] }, PEER],
        options: STORE_OPTIONS,
      },
    },
  },
  proxy: { positionals: [CONFIG], options: PROXY_OPTIONS },
  web: {
    options: WEB_SERVE_OPTIONS,
    actions: {
      init: { summary: "sets a server up", options: WEB_INIT_OPTIONS },
      ca: { summary: "prints the certificate authority", options: { data: DATA_OPTION } },
      token: {
        summary: "makes a token for the API",
        positionals: [{ choices: { add: "a new token" } }, FREE],
        options: WEB_TOKEN_OPTIONS,
      },
      user: {
        summary: "restores the access of a user",
        positionals: [FREE],
        options: WEB_USER_OPTIONS,
      },
      backup: { summary: "writes a copy of the database", options: WEB_BACKUP_OPTIONS },
      restore: {
        summary: "replaces the database with a backup",
        positionals: [FILE],
        options: WEB_RESTORE_OPTIONS,
      },
      import: {
        summary: "takes over an existing server",
        positionals: [{ from: ["interface", "saved", "config"] }],
        options: WEB_IMPORT_OPTIONS,
      },
      audit: { summary: "prints and checks the audit log", options: WEB_AUDIT_OPTIONS },
    },
  },
  keeper: { options: KEEPER_OPTIONS },
  exec: { positionals: [CONFIG, FILE], options: EXEC_OPTIONS },
  qr: { positionals: [CONFIG, FILE], options: QR_OPTIONS },
  install: { options: INSTALL_OPTIONS },
  uninstall: { options: UNINSTALL_OPTIONS },
  completions: { positionals: [{ choices: SHELLS }] },
  help: { positionals: [{ from: ["page"] }] },
};
