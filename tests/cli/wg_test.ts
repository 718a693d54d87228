import { deepEqual, equal, match, ok } from "node:assert/strict";
import fc from "fast-check";
import { formatKey } from "../../core/config/key.ts";
import { formatGet } from "../../core/uapi/get.ts";
import { configText, deviceState, endpointText, goodEndpointText, key, setWords } from "./arbitraries.ts";
import { calledAs, canCompare, type Outcome, Pair, type RunOptions, wgd } from "./oracle.ts";

const FULL = Deno.env.get("WGD_TEST_FULL") === "1" ? 20 : 1;
/** Each is two starts of a program; many_test.ts compares thousands in one process. */
const PROCESSES = FULL === 1 ? 30 : 2_000;
const OK = "errno=0\n\n";

const PEER = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";

function compare(name: string, body: (pair: Pair, folder: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore: !canCompare,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      using pair = new Pair(() => OK);
      try {
        await body(pair, folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function same(pair: Pair, args: string[], options?: RunOptions): Promise<Outcome> {
  const [theirs, ours] = await pair.run(args, options);
  deepEqual(ours, theirs);
  return ours;
}

compare("set sends and prints what wg does", async (pair, folder) => {
  const keyFiles = await writeKeyFiles(folder);
  await fc.assert(
    fc.asyncProperty(setWords(keyFiles), async (words) => {
      await same(pair, ["set", "IF", ...words.length === 0 ? ["peer"] : words]);
    }),
    { numRuns: PROCESSES },
  );
});

compare("setconf and addconf send and print what wg does", async (pair, folder) => {
  const file = `${folder}/wg.conf`;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("setconf", "addconf"),
      configText(goodEndpointText),
      async (command, text) => {
        await Deno.writeTextFile(file, text);
        await same(pair, [command, "IF", file]);
      },
    ),
    { numRuns: PROCESSES },
  );
});

compare("wg ignores wgd's own keys, wherever they are", async (pair) => {
  const more =
    "wgd_feature=wide off switched off\nwgd_drop=packet.noPeer 7\nwgd_queue=handshakes 0 4096 messages\n";
  const state = { listenPort: 5, fwmark: 0, peers: [] };
  pair.reply = () => [...formatGet(state)].join("");
  const plain = await same(pair, ["show", "IF", "dump"]);
  pair.reply = () => more + [...formatGet(state)].join("");
  deepEqual(await same(pair, ["show", "IF", "dump"]), plain);
  pair.reply = () => [...formatGet(state)].join("").replace("errno", `${more}errno`);
  deepEqual(await same(pair, ["show", "IF", "dump"]), plain);
});

// wg looks names up while it reads. wgd reads the whole file first, so that a mistake in the last line is found before
// it waits for a name server. With more than one mistake in a file, the two report different ones.
compare("setconf prints what wg prints for an endpoint that cannot be found", async (pair, folder) => {
  const file = `${folder}/wg.conf`;
  await fc.assert(
    fc.asyncProperty(endpointText, async (endpoint) => {
      await Deno.writeTextFile(file, `[Peer]\nPublicKey = ${PEER}\nEndpoint = ${endpoint}\n`);
      await same(pair, ["setconf", "IF", file]);
    }),
    { numRuns: 100 * FULL },
  );
});

compare("show and showconf print what wg prints of any interface", async (pair) => {
  await fc.assert(
    fc.asyncProperty(
      deviceState,
      fc.constantFrom(...FORMS),
      fc.constantFrom(...ENVIRONMENTS),
      async (state, args, env) => {
        const text = [...formatGet(state)].join("");
        pair.reply = () => text;
        // The age of a handshake changes between the two runs if a second begins there.
        for (let attempt = 0;; attempt++) {
          const [theirs, ours] = await pair.run(args, { env });
          if (attempt < 3 && ours.stdout !== theirs.stdout) continue;
          deepEqual(ours, theirs);
          return;
        }
      },
    ),
    { numRuns: PROCESSES },
  );
});

const FIELDS = [
  "public-key",
  "private-key",
  "listen-port",
  "fwmark",
  "peers",
  "preshared-keys",
  "endpoints",
  "allowed-ips",
  "latest-handshakes",
  "transfer",
  "persistent-keepalive",
  "dump",
];
const FORMS = [
  ["show", "IF"],
  ["show", "IF"],
  ["showconf", "IF"],
  ...FIELDS.map((field) => ["show", "IF", field]),
];
const ENVIRONMENTS: Record<string, string>[] = [
  {},
  { WG_COLOR_MODE: "always" },
  { WG_COLOR_MODE: "never" },
  { WG_HIDE_KEYS: "never" },
  { WG_HIDE_KEYS: "always", WG_COLOR_MODE: "Always" },
];

compare("show all and show interfaces list the interfaces as wg does", async (pair) => {
  for (const state of fc.sample(deviceState, 5)) {
    state.peers.forEach((peer) => peer.lastHandshake = { seconds: 0, nanoseconds: 0 });
    const text = [...formatGet(state)].join("");
    pair.reply = () => text;
    // "endpoints" has no prefix in Debian's wg (fixed in 2023).
    for (const field of FIELDS.filter((field) => field !== "endpoints")) {
      const [theirs, ours] = await pair.run(["show", "all", field]);
      deepEqual(onlyOurs(pair, ours.stdout), onlyOurs(pair, theirs.stdout));
      equal(ours.code, theirs.code);
    }
    for (const args of [["show"], ["show", "all"], []]) {
      const [theirs, ours] = await pair.run(args, { env: { WG_COLOR_MODE: "always" } });
      deepEqual(stanzas(pair, ours.stdout), stanzas(pair, theirs.stdout));
      equal(ours.code, theirs.code);
    }
    const [theirs, ours] = await pair.run(["show", "interfaces"]);
    const names = (text: string) => unify(pair, text).trim().split(" ").filter((name) => name === "IF");
    equal(names(ours.stdout).length, 2);
    deepEqual(names(ours.stdout), names(theirs.stdout));
  }
});

// Both programs see both interfaces, and whatever else runs on this machine.
function isOurs(pair: Pair, name: string): boolean {
  return name === "IF" || name === pair.ours.name || name === pair.theirs.name;
}

/** Each program's own interface is replaced by IF, so that all names have the same length. */
function unify(pair: Pair, text: string): string {
  return text.replaceAll(pair.ours.name, "IF").replaceAll(pair.theirs.name, "IF");
}

function onlyOurs(pair: Pair, text: string): string[] {
  const lines = text.split("\n").filter((line) => isOurs(pair, line.split("\t")[0]!));
  return lines.map((line) => unify(pair, line));
}

function stanzas(pair: Pair, text: string): string[] {
  const header = "\x1b[0m\x1b[32m\x1b[1minterface\x1b[0m: \x1b[32m";
  return unify(pair, text).split(header).filter((stanza) => stanza.startsWith("IF\x1b")).map((stanza) =>
    stanza.trim()
  );
}

compare("syncconf sends the same difference", async (pair, folder) => {
  const file = `${folder}/wg.conf`;
  const withoutExtras = deviceState.map((state) => {
    // Debian's wg does not remove a preshared key or a keepalive that the file no longer has (2025, 2026).
    for (const peer of state.peers) {
      delete peer.presharedKey;
      peer.persistentKeepalive = 0;
    }
    return state;
  });
  await fc.assert(
    fc.asyncProperty(
      withoutExtras,
      fc.array(fc.nat(5), { maxLength: 4 }),
      fc.array(key),
      async (running, kept, fresh) => {
        const replies = [...formatGet(running)].join("");
        pair.reply = (request) => request.startsWith("get=1\n") ? replies : OK;
        const stay = kept.flatMap((index) => running.peers[index] ?? []).map(({ publicKey }) => publicKey);
        const peers = [...stay, ...fresh].map((publicKey) =>
          `[Peer]\nPublicKey = ${formatKey(publicKey)}\nAllowedIPs = 10.0.0.0/8\n`
        );
        await Deno.writeTextFile(file, ["[Interface]\nListenPort = 5\n", ...peers].join(""));
        const [theirs, ours] = await pair.run(["syncconf", "IF", file]);
        for (const outcome of [theirs, ours]) outcome.requests = outcome.requests.map(sortRemovals);
        deepEqual(ours, theirs);
      },
    ),
    { numRuns: 40 * FULL },
  );
});

/** The order in which peers are removed has no meaning: wg sorts them by key, wgd keeps their order. */
function sortRemovals(request: string): string {
  const removals: string[] = [];
  const rest = request.replace(/public_key=\w+\nremove=true\n/g, (removal) => {
    removals.push(removal);
    return removals.length === 1 ? "REMOVALS" : "";
  });
  return rest.replace("REMOVALS", removals.sort().join(""));
}

compare("usage, help and errors are those of wg", async (pair, folder) => {
  const lines = [
    ["help"],
    ["--help"],
    ["-h"],
    ["bogus"],
    ["help", "show"],
    ["show", "--help"],
    ["show", "help"],
    ["show", "-h", "peers"],
    ["show", "IF", "bogus"],
    ["show", "IF", "peers", "x"],
    ["show", "interfaces", "x"],
    ["show", "nosuch"],
    ["show", "no/such"],
    ["show", ""],
    ["show", "nosuch", "bogus"],
    ["showconf"],
    ["showconf", "nosuch"],
    ["showconf", "IF", "x"],
    ["setconf"],
    ["setconf", "IF"],
    ["setconf", "IF", "/nonexistent"],
    ["setconf", "IF", "/etc/passwd/x"],
    ["setconf", "nosuch", "/dev/null"],
    ["addconf", "IF", "a", "b"],
    ["addconf", "IF", "/dev/null"],
    ["syncconf", "--help"],
    ["syncconf", "IF", "/dev/null"],
    ["syncconf", "nosuch", await writeFile(folder, "peer.conf", `[Peer]\nPublicKey = ${PEER}\n`)],
    ["genkey", "x"],
    ["genkey", "--help"],
    ["genpsk", "--help"],
    ["pubkey", "--help"],
    ["set", "IFaaaaaaaaaaaaaaa", "fwmark", "1"],
    ["set", "nosuch", "fwmark", "1"],
    ["set", "no/such", "fwmark", "1"],
    ["set", "IF", "--help"],
    ["set", "IF", "private-key", "/nonexistent"],
    ["set", "IF", "private-key", "/"],
    ["set", "IF", "peer", PEER, "endpoint", "nosuch.invalid:5"],
    ["set", "IF", "peer", PEER, "endpoint", "a b:5"],
    ["set", "IF", "peer", PEER, "endpoint", "1.2.3.4%1:5"],
  ];
  for (const args of lines) await same(pair, args);
});

compare("WG_ENDPOINT_RESOLUTION_RETRIES is read as wg reads it", async (pair) => {
  for (
    const retries of [
      "",
      "0",
      "5",
      " 5",
      "+5",
      "-0",
      "-1",
      "x",
      "5x",
      "2147483647",
      "2147483648",
      "Infinity",
      "infinity",
    ]
  ) {
    const env = { WG_ENDPOINT_RESOLUTION_RETRIES: retries };
    await same(pair, ["set", "IF", "peer", PEER, "endpoint", "1.2.3.4:5"], { env });
  }
});

compare("an interface's answer to set is reported as wg reports it", async (pair) => {
  const replies = [
    "errno=0\n\n",
    "errno=-22\n\n",
    "errno=-98\n\n",
    "errno=-55\n\n",
    "errno=-133\n\n",
    "errno=-524\n\n",
  ];
  const broken = ["errno=x\n\n", "\n", "garbage\n\n", "note=1\nerrno=0\n\n", "errno=0\nmore=1\n\n"];
  for (const reply of [...replies, ...broken]) {
    pair.reply = () => reply;
    await same(pair, ["set", "IF", "fwmark", "1"]);
  }
});

compare("an interface's answer to get is read as strictly as wg reads it", async (pair) => {
  const zeros = "0".repeat(64);
  const bodies = [
    "",
    "listen_port=65536",
    "listen_port=-1",
    "listen_port=",
    "fwmark=4294967296",
    "fwmark=0x1",
    `private_key=${zeros}`,
    `private_key=${zeros.slice(1)}g`,
    `private_key=${zeros}0`,
    "unknown=1",
    "no equals sign",
    "rx_bytes=1",
    `public_key=${zeros}`,
    `public_key=${zeros.toUpperCase().replaceAll("0", "A")}`,
    `public_key=${zeros}\npreshared_key=${zeros}`,
    `public_key=${zeros}\nendpoint=`,
    `public_key=${zeros}\nendpoint=1.2.3.4`,
    `public_key=${zeros}\nendpoint=[::1]`,
    `public_key=${zeros}\nendpoint=[fe80::1%lo]:7`,
    `public_key=${zeros}\nendpoint=[fe80::1%1]:7`,
    `public_key=${zeros}\nendpoint=[fd00::1%77]:7`,
    `public_key=${zeros}\nendpoint=[fe80::1%77]:7`,
    `public_key=${zeros}\nallowed_ip=1.2.3.4`,
    `public_key=${zeros}\nallowed_ip=1.2.3.4/33`,
    `public_key=${zeros}\nallowed_ip=1.0.0.0/8`,
    `public_key=${zeros}\nallowed_ip=::/129`,
    // Our counters are exact up to here: 9 petabytes.
    `public_key=${zeros}\nrx_bytes=9007199254740991\ntx_bytes=1`,
    `public_key=${zeros}\nlast_handshake_time_sec=-1`,
    `public_key=${zeros}\npersistent_keepalive_interval=65536`,
    `public_key=${zeros}\nlisten_port=7`,
  ];
  for (const body of bodies) {
    for (const end of ["errno=0\n\n", "errno=13\n\n", "\n", ""]) {
      pair.reply = () => body === "" ? end : `${body}\n${end}`;
      const [theirs, ours] = await pair.run(["show", "IF", "dump"]);
      deepEqual(ours, theirs, JSON.stringify(body + end));
    }
  }
});

compare("pubkey accepts and refuses what wg does", async (pair) => {
  const good = formatKey(new Uint8Array(32).fill(7));
  const inputs: (string | Uint8Array)[] = [
    good,
    `${good}\n`,
    `${good} \t\r\n\0\n`,
    `${good}x`,
    `${good}\nx`,
    ` ${good}`,
    good.slice(1),
    good.slice(0, -1),
    `${good.slice(0, -1)}\n`,
    `${good.slice(0, 42)}F=`,
    "",
    "\n",
    "x".repeat(44),
    new Uint8Array(44).fill(0xff),
    new Uint8Array(44),
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
  ];
  for (const stdin of inputs) await same(pair, ["pubkey"], { stdin });
  for (const random of fc.sample(key, 20)) await same(pair, ["pubkey"], { stdin: formatKey(random) });
});

compare("key files may be pipes, and are as strict as wg's", async (pair, folder) => {
  for (const path of await writeKeyFiles(folder)) {
    const outcome = await same(pair, ["set", "IF", "private-key", path]);
    await same(pair, ["set", "IF", "peer", PEER, "preshared-key", path]);
    await same(pair, ["set", "IF", "private-key", "/dev/stdin"], { stdin: await Deno.readFile(path) });
    ok(outcome.requests.length === (outcome.code === 0 ? 1 : 0));
  }
});

compare("files can be read through descriptors and pipes", async (pair, folder) => {
  const key = formatKey(new Uint8Array(32).fill(9));
  const path = await writeFile(folder, "key", `${key}\n`);
  const conf = await writeFile(
    folder,
    "wg.conf",
    `[Interface]\nPrivateKey = ${key}\n[Peer]\nPublicKey = ${PEER}\n`,
  );
  const scripts = [
    `"$@" set IF private-key <(cat ${path})`,
    `"$@" set IF private-key <(:)`,
    `"$@" set IF private-key <(cat ${path} ${path})`,
    `"$@" set IF private-key <(head -c 20 ${path}; sleep 0.2; tail -c +21 ${path})`,
    `"$@" set IF private-key /dev/fd/3 3<${path}`,
    `"$@" set IF private-key /dev/fd/3 3</dev/null`,
    `"$@" set IF private-key <(cat ${path}) peer ${PEER} preshared-key <(cat ${path})`,
    `cat ${path} | "$@" set IF peer ${PEER} preshared-key /dev/stdin`,
    `"$@" setconf IF <(cat ${conf})`,
    `"$@" addconf IF <(head -c 30 ${conf}; sleep 0.2; tail -c +31 ${conf})`,
    `"$@" setconf IF /dev/fd/3 3<${conf}`,
    `"$@" syncconf IF <(:)`,
    `"$@" syncconf IF /dev/stdin <${conf}`,
    `"$@" set IF private-key ${path} | cat`,
    `"$@" pubkey < ${path}`,
    `cat ${path} | "$@" pubkey`,
    `"$@" pubkey <&-`,
  ];
  for (const script of scripts) await same(pair, [], { script });
});

compare("genkey and genpsk make keys and warn of files that others can read", async (pair, folder) => {
  for (const command of ["genkey", "genpsk"]) {
    const [theirs, ours] = await pair.run([command]);
    for (const { stdout, stderr, code } of [theirs, ours]) {
      match(stdout, /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\n$/);
      deepEqual([stderr, code], ["", 0]);
    }
    for (const mode of ["644", "600", "604", "660", "601"]) {
      const warnings = [];
      for (const program of ["wg", wgdScript()]) {
        const path = `${folder}/key`;
        const script =
          `rm -f ${path}; touch ${path}; chmod ${mode} ${path}; ${program} ${command} >> ${path}`;
        const { stderr } = await new Deno.Command("sh", { args: ["-c", script], env: calledAs("wg") })
          .output();
        warnings.push(new TextDecoder().decode(stderr));
        equal((await Deno.readTextFile(path)).length, 45);
      }
      equal(warnings[1], warnings[0]);
    }
  }
});

function wgdScript(): string {
  const [program, args] = wgd();
  return [program, ...args].join(" ");
}

async function writeFile(folder: string, name: string, content: string | Uint8Array): Promise<string> {
  const path = `${folder}/${name}`;
  if (typeof content === "string") await Deno.writeTextFile(path, content);
  else await Deno.writeFile(path, content);
  return path;
}

/** Good and bad key files; most are good. */
async function writeKeyFiles(folder: string): Promise<string[]> {
  const good = formatKey(new Uint8Array(32).fill(9));
  const contents: (string | Uint8Array)[] = [
    good,
    `${good}\n`,
    `${good} \n\t`,
    "",
    `${good}z`,
    `${good}\n\u00e9`,
    good.slice(1),
    `${good.slice(0, 20)}*${good.slice(21)}`,
    new Uint8Array(44).fill(0xe9),
    `${good}\0`,
  ];
  const paths = ["/dev/null"];
  for (const [index, content] of contents.entries()) {
    paths.push(await writeFile(folder, `key${index}`, content));
  }
  return paths;
}
