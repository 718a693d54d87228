/**
 * `wgd qr`, read back by another program (zbar).
 *
 * @module
 */

import { equal, match, ok } from "node:assert/strict";
import { whyNoPrograms } from "../netns/peers/mod.ts";
import { testUnless } from "../skip.ts";
import { must } from "../netns/lab/exec.ts";
import { calledAs, wgd } from "./oracle.ts";

const KEY = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";
const PHONE = `[Interface]
Address = 10.0.0.2/32
PrivateKey = ${KEY}

[Peer]
PublicKey = ${KEY}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = vpn.example:51820
`;
const BRIGHT_ON_BLACK = "\x1b[40;37;1m";
const RESET = "\x1b[0m";
const decoder = new TextDecoder();

const missing = await whyNoPrograms("zbarimg");

function qrTest(name: string, body: (folder: string) => Promise<void>): void {
  testUnless(name, missing, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await body(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function qr(...args: string[]): Promise<{ code: number; stdout: Uint8Array; stderr: string }> {
  const [program, before] = wgd();
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...before, "qr", ...args],
    env: calledAs("wgd"),
  }).output();
  return { code, stdout, stderr: decoder.decode(stderr) };
}

/** The text that a camera would read from a picture. */
async function scan(picture: string): Promise<string> {
  return await must(["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", picture]);
}

qrTest("a PNG of wgd qr is read back as the configuration", async (folder) => {
  await Deno.writeTextFile(`${folder}/p.conf`, `# phone\n${PHONE}`);
  const { code, stderr } = await qr(`${folder}/p.conf`, "--png", `${folder}/p.png`);
  equal(code, 0, stderr);
  equal(stderr, "");
  equal((await scan(`${folder}/p.png`)).trim(), PHONE.trim());
  equal((await Deno.stat(`${folder}/p.png`)).mode! & 0o777, 0o600, "it holds the private key");
  await Deno.writeFile(`${folder}/out.png`, (await qr(`${folder}/p.conf`, "--png")).stdout);
  equal((await scan(`${folder}/out.png`)).trim(), PHONE.trim());
});

qrTest("the code of wgd qr on a terminal is read back as the configuration", async (folder) => {
  await Deno.writeTextFile(`${folder}/p.conf`, PHONE);
  const { stdout } = await qr(`${folder}/p.conf`);
  const lines = decoder.decode(stdout).trimEnd().split("\n");
  const rows: string[] = [];
  for (const line of lines) {
    ok(line.startsWith(BRIGHT_ON_BLACK) && line.endsWith(RESET), JSON.stringify(line));
    const cells = line.slice(BRIGHT_ON_BLACK.length, -RESET.length);
    match(cells, /^[█▀▄ ]+$/u);
    // Drawn modules are light, and 0 is light in a PBM.
    rows.push([...cells].map((cell) => "█▀".includes(cell) ? "0" : "1").join(""));
    rows.push([...cells].map((cell) => "█▄".includes(cell) ? "0" : "1").join(""));
  }
  const bits = rows.flatMap((row) => {
    const wide = [...row].map((bit) => bit.repeat(4)).join("");
    return [wide, wide, wide, wide];
  });
  await Deno.writeTextFile(
    `${folder}/p.pbm`,
    `P1\n${bits[0]!.length} ${bits.length}\n${
      bits.map((row) => row.match(/.{1,60}/g)!.join("\n")).join("\n")
    }\n`,
  );
  equal((await scan(`${folder}/p.pbm`)).trim(), PHONE.trim());
});

qrTest("an SVG of wgd qr has the modules of its PNG", async (folder) => {
  await Deno.writeTextFile(`${folder}/p.conf`, PHONE);
  const svg = decoder.decode((await qr(`${folder}/p.conf`, "--svg")).stdout);
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(svg)![1]);
  const scale = 4;
  const dark = new Set([...svg.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => `${x} ${y}`));
  ok(dark.size > 100);
  let bits = "";
  for (let y = 0; y < size * scale; y++) {
    for (let x = 0; x < size * scale; x++) {
      bits += `${dark.has(`${Math.floor(x / scale)} ${Math.floor(y / scale)}`) ? 1 : 0}\n`;
    }
  }
  await Deno.writeTextFile(`${folder}/p.pbm`, `P1\n${size * scale} ${size * scale}\n${bits}`);
  equal((await scan(`${folder}/p.pbm`)).trim(), PHONE.trim());
});

qrTest("wgd qr reports what it leaves out, what is wrong, and when a code is too small", async (folder) => {
  const file = `${folder}/p.conf`;
  await Deno.writeTextFile(file, `[Interface]\nPrivateKey = ${KEY}\nPostUp = true\n`);
  match((await qr(file, "--svg")).stderr, /^wgd: left out keys that the apps do not know: PostUp\n$/);

  await Deno.writeTextFile(file, `[Interface]\nPrivateKey = ${KEY.slice(1)}\n`);
  const bad = await qr(file);
  equal(bad.code, 1);
  match(bad.stderr, /hint: .*p\.conf:2: PrivateKey: /);

  await Deno.writeTextFile(file, PHONE + `[Peer]\nPublicKey = ${KEY}\n`.repeat(50));
  const long = await qr(file, "--png", `${folder}/long.png`);
  equal(long.code, 1);
  match(long.stderr, /^wgd: too long for a QR code: \d+ bytes, and the largest holds 2953\nhint: /);
  ok(!long.stderr.includes(KEY));
  equal(await Deno.stat(`${folder}/long.png`).catch(() => "none"), "none");

  match((await qr("wgdnone")).stderr, /hint: there is neither a file "wgdnone" here nor \/etc\/wireguard\//);
});
