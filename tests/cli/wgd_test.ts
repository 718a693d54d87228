/**
 * Commands of wgd that differ from `wg` on purpose, or that `wg` does not have.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { calledAs, PretendInterface, wgd } from "./oracle.ts";

const KEY = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";
const decoder = new TextDecoder();

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  const [program, before] = wgd();
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...before, ...args],
    env: { WG_ENDPOINT_RESOLUTION_RETRIES: "0", ...calledAs("wgd"), ...env },
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function shell(script: string): Promise<Outcome> {
  const [program, before] = wgd();
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", script.replaceAll("WGD", [program, ...before].join(" "))],
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A test with a simulated interface. It needs the right to make sockets. */
function withInterface(
  name: string,
  body: (device: PretendInterface, folder: string) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: Deno.uid() !== 0,
    fn: async () => {
      const folder = await Deno.makeTempDir();
      using device = new PretendInterface(`wgcw${Deno.pid % 100_000}`, () => "errno=0\n\n");
      try {
        await body(device, folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

Deno.test("wgd help lists and explains every command and topic", async () => {
  const { code, stdout } = await run(["help"]);
  equal(code, 0);
  deepEqual(await run(["--help"]), { code, stdout, stderr: "" });
  const [commands, topics] = stdout.split("Topics:").map((part) =>
    [...part.matchAll(/^ {2}([\w-]+): /gm)].map(([, name]) => name!)
  );
  ok(commands!.includes("run") && commands!.includes("syncconf"));
  ok(topics!.includes("config") && topics!.includes("json"));
  for (const command of commands!) {
    const help = await run(["help", command]);
    equal(help.code, 0);
    ok(help.stdout.startsWith(`Usage: wgd ${command}`));
  }
  for (const topic of topics!) ok((await run(["help", topic])).stdout.startsWith(`${topic}: `));
});

Deno.test("wgd's own commands answer --help wherever it stands, with the page of wgd help", async () => {
  const { stdout } = await run(["help", "peer"]);
  for (const words of [["--help"], ["-h"], ["add", "wg0", "--help"]]) {
    deepEqual(await run(["peer", ...words]), { code: 0, stdout, stderr: "" });
  }
  const { code, stderr } = await run(["help", "qiuck"]);
  deepEqual([code, stderr], [1, 'Invalid subcommand: `qiuck\'\nhint: did you mean "wgd help quick"?\n']);
  match((await run(["help", "unheard-of"])).stderr, /^Invalid subcommand.*\nhint: "wgd help" lists all/);
});

Deno.test("wg's own commands answer --help as wg does", async () => {
  match((await run(["set", "--help"])).stderr, /^Usage: wgd set <interface> \[listen-port/);
  match((await run(["show", "--help"])).stderr, /^Usage: wgd show \{ <interface>/);
});

Deno.test("wgd --version names wgd, and a link named wg names the release that it follows", async () => {
  match((await run(["--version"])).stdout, /^wgd \d+\.\d+\.\d+\n$/);
  const { stdout } = await run(["--version"], calledAs("/usr/local/bin/wg"));
  equal(stdout, "wireguard-tools v1.0.20260223 - https://git.zx2c4.com/wireguard-tools/\n");
});

Deno.test("an unknown word is never used as an interface, and a similar command is suggested", async () => {
  for (
    const [word, meant] of [["shwo", "show"], ["genkye", "genkey"], ["sync-conf", "syncconf"], [
      "hepl",
      "help",
    ]]
  ) {
    const { code, stdout, stderr } = await run([word!]);
    deepEqual([code, stdout], [1, ""]);
    equal(
      stderr,
      `Invalid subcommand: \`${word}'\nhint: did you mean "wgd ${meant}"? "wgd help" lists all commands\n`,
    );
  }
  equal((await run(["vpn"])).code, 1);
});

withInterface("lists with signs change a peer's allowed IPs", async (device, folder) => {
  equal((await run(["set", device.name, "peer", KEY, "allowed-ips", "+10.0.0.0/8,-11.0.0.0/8"])).code, 0);
  ok(device.requests[0]!.endsWith("allowed_ip=10.0.0.0/8\nallowed_ip=-11.0.0.0/8\n\n"));
  ok(!device.requests[0]!.includes("replace_allowed_ips"));
  await Deno.writeTextFile(`${folder}/c`, `[Peer]\nPublicKey=${KEY}\nAllowedIPs = 1.0.0.0/8, +2.0.0.0/8\n`);
  equal((await run(["addconf", device.name, `${folder}/c`])).code, 0);
  ok(device.requests[1]!.endsWith("allowed_ip=1.0.0.0/8\nallowed_ip=2.0.0.0/8\n\n"));
  ok(!device.requests[1]!.includes("replace_allowed_ips"));
});

withInterface("ports above 65535 are refused instead of wrapped", async (device, folder) => {
  const { code, stderr } = await run(["set", device.name, "listen-port", "70000"]);
  equal(code, 1);
  match(
    stderr,
    /^Servname not supported for ai_socktype: `70000'\nhint: listen-port: found "70000", expected 0 to 65535/,
  );
  equal((await run(["set", device.name, "peer", KEY, "endpoint", "1.2.3.4:70000"])).code, 1);
  await Deno.writeTextFile(`${folder}/c`, "[Interface]\nListenPort = 65536\n");
  equal((await run(["setconf", device.name, `${folder}/c`])).code, 1);
  deepEqual(device.requests, []);
});

withInterface("a refused file is followed by a hint with its name, line and key", async (device, folder) => {
  const file = `${folder}/wg0.conf`;
  await Deno.writeTextFile(file, "[Interface]\n\n# mine\nPrivateKey = short\n");
  deepEqual(await run(["setconf", device.name, file]), {
    code: 1,
    stdout: "",
    stderr: "Key is not the correct length or format: `short'\nConfiguration parsing error\n" +
      `hint: ${file}:4: PrivateKey: found 5 characters, expected 44 characters of base64, the last one "="; ` +
      "part of it is missing; copy it again\n",
  });
  await Deno.writeTextFile(file, `[Peer]\nPublicKey = ${KEY}\nEndpoint = a..b:5\n`);
  const { stderr } = await run(["setconf", device.name, file]);
  match(
    stderr,
    /^[^\n]*: `a\.\.b:5'\nConfiguration parsing error\nhint: [^\n]*:3: Endpoint: found the host "a\.\.b"/,
  );
  await Deno.writeTextFile(file, "[Peer]\nPersistentKeepalive = 1\n");
  match(
    (await run(["setconf", device.name, file])).stderr,
    /^A peer is missing a public key\nInvalid configuration\nhint: /,
  );
  deepEqual(device.requests, []);
});

withInterface("a file with a byte order mark is read", async (device, folder) => {
  await Deno.writeTextFile(`${folder}/c`, "\ufeff[Interface]\r\nFwMark = 7\r\n");
  equal((await run(["addconf", device.name, `${folder}/c`])).code, 0);
  deepEqual(device.requests, ["set=1\nfwmark=7\n\n"]);
});

withInterface(
  "a folder is refused, which wg treats as an empty file",
  async (device, folder) => {
    const { code, stderr } = await run(["setconf", device.name, folder]);
    deepEqual([code, stderr], [1, "fopen: Is a directory\n"]);
    deepEqual(device.requests, []);
  },
);

withInterface("files may be pipes, and need not be UTF-8", async (device, folder) => {
  const piped = await shell(`WGD setconf ${device.name} <(echo '[Interface]'; sleep 0.1; echo FwMark=9)`);
  equal(piped.code, 0, piped.stderr);
  ok(device.requests[0]!.includes("fwmark=9\n"));
  equal((await shell(`WGD set ${device.name} private-key <(echo ${KEY})`)).code, 0);
  ok(device.requests[1]!.startsWith("set=1\nprivate_key=e0eb"));
  await Deno.writeFile(
    `${folder}/c`,
    Uint8Array.of(...new TextEncoder().encode("[Interface]\nFwMark = "), 0xe9, 0x80, 10),
  );
  const [program, before] = wgd();
  const args = [...before, "setconf", device.name, `${folder}/c`];
  const { stderr } = await new Deno.Command(program, { args }).output();
  // The byte is printed unchanged.
  ok(Array.from(stderr.slice(0, 70)).join().includes([0x60, 0xe9, 0x80, 0x27].join()));
});

withInterface(
  "a missing interface causes a hint, and an unused socket is removed",
  async (device) => {
    const { code, stderr } = await run(["show", "wgcnone"]);
    equal(code, 1);
    match(stderr, /^Unable to access interface: .*\nhint: no process answers for interface "wgcnone"/);
    const path = `/var/run/wireguard/${device.name}x.sock`;
    const exists = () => Deno.lstat(path).then(() => true, () => false);
    // Like the remains of a killed process. Deno would remove the file under its old name.
    const listener = Deno.listen({ transport: "unix", path: `${path}.before` });
    await Deno.rename(`${path}.before`, path);
    listener.close();
    equal(await exists(), true);
    equal((await run(["show", `${device.name}x`])).code, 1);
    equal(await exists(), false);
  },
);

withInterface("an incomplete reply of an interface is a protocol error", async (device) => {
  device.reply = () => "private_key=";
  match((await run(["show", device.name])).stderr, /^Unable to access interface: Protocol error\n/);
  match(
    (await run(["set", device.name, "fwmark", "1"])).stderr,
    /^Unable to modify interface: Protocol error\n/,
  );
});

withInterface("the program ends without an error if its reader ends", async (device) => {
  const key = "ab".repeat(32);
  const reply = `public_key=${key}\n${"allowed_ip=10.0.0.0/8\n".repeat(50_000)}errno=0\n\n`;
  device.reply = () => reply;
  const { stdout, stderr } = await shell(`WGD show ${device.name} allowed-ips | head -c 10`);
  deepEqual([stdout.length, stderr], [10, ""]);
});

withInterface("netns row 26: 130,560 allowed IPs are listed", async (device, folder) => {
  let text = "";
  for (let a = 0; a < 255; a++) {
    text += `[Peer]\nPublicKey=${KEY}\n`;
    for (let b = 0; b < 256; b++) {
      text += `AllowedIPs=${a}.${b}.0.0/16,fd00::${a.toString(16)}:${b.toString(16)}/128\n`;
    }
  }
  await Deno.writeTextFile(`${folder}/c`, text);
  equal((await run(["addconf", device.name, `${folder}/c`])).code, 0);
  const allowed = device.requests[0]!.match(/allowed_ip=.*/g)!;
  equal(allowed.length, 130_560);
  device.reply = () => `public_key=${"ab".repeat(32)}\n${allowed.join("\n")}\nerrno=0\n\n`;
  const { stdout } = await run(["show", device.name, "allowed-ips"]);
  equal(stdout.trim().split(/\s/).length, 130_561);
});

Deno.test("wgd run refuses an unknown feature and lists the known ones", async () => {
  for (
    const [args, env, from] of [
      [["--disable", "udp-gso,fast"], {}, "--disable"],
      [["-f", "--disable=fast"], {}, "--disable"],
      [[], { WGD_DISABLE: "wide,fast" }, "WGD_DISABLE"],
    ] as const
  ) {
    const { code, stdout, stderr } = await run(["run", ...args, "wgd-none"], env);
    deepEqual([code, stdout], [1, ""]);
    match(
      stderr,
      new RegExp(
        `^wgd: ${from}: "fast" is not a feature that can be turned off\nhint: there are tun-tcp, .*wide\n$`,
      ),
    );
  }
  equal(
    (await run(["run", "--disable", "wgd-none"])).code,
    1,
    "wgd-none is the value of the option, so the name of the interface is missing",
  );
});

withInterface("wgd show --verbose requests diagnostics, which are optional", async (device) => {
  device.reply = (request) =>
    request.includes("wgd_diagnostics")
      ? "wgd_feature=udp-gso off switched off\nwgd_feature=wide on\nwgd_drop=packet.noPeer 7\n" +
        "wgd_drop=packet.badTag 0\nwgd_queue=handshakes 3 4096 messages\nlisten_port=9\nerrno=0\n\n"
      : "listen_port=9\nerrno=0\n\n";
  const verbose = await run(["show", device.name, "--verbose"]);
  deepEqual([verbose.code, verbose.stderr], [0, ""]);
  match(verbose.stdout, /listening port: 9\n[\s\S]*udp-gso: off: switched off\n {2}wide: on\n/);
  match(
    verbose.stdout,
    /\n {2}7: to send: not IP, [^\n]*\n\nqueues:\n {2}handshakes to answer: 3 of 4096 messages\n$/,
  );
  const json = JSON.parse((await run(["show", "--json", "--verbose", device.name])).stdout).interfaces[0];
  deepEqual(json.diagnostics.features[0], { feature: "udp-gso", on: false, why: "switched off" });
  equal(json.diagnostics.drops["packet.badTag"], 0);
  const plain = JSON.parse((await run(["show", "--json", device.name])).stdout).interfaces[0];
  equal("diagnostics" in plain, false);

  // wireguard-go refuses what follows get=1.
  device.reply = (request) => request === "get=1\n\n" ? "listen_port=9\nerrno=0\n\n" : "errno=-22\n\n";
  const other = await run(["show", device.name, "--verbose"]);
  equal(other.code, 0);
  match(other.stdout, /listening port: 9\n[\s\S]*another program runs the interface/);
  const otherJson =
    JSON.parse((await run(["show", "--json", "--verbose", device.name])).stdout).interfaces[0];
  equal(otherJson.diagnostics, null);
});
