import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { parseConfig } from "../../../core/config/format.ts";
import { formatKey, generatePrivateKey } from "../../../mod.ts";
import { writeAll } from "../../../core/net/relay.ts";
import { up } from "../../../core/net/up.ts";

const text = `[Interface]\nPrivateKey = ${formatKey(generatePrivateKey())}\nAddress = 10.9.0.1/24\n`;

/** The reply to a request. */
async function ask(path: string, request: string): Promise<string> {
  using conn = await Deno.connect({ transport: "unix", path });
  await writeAll(conn, new TextEncoder().encode(request));
  let reply = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  for (let length; !reply.endsWith("\n\n") && (length = await conn.read(buffer)) !== null;) {
    reply += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
  return reply;
}

Deno.test("a tunnel inside a program answers at a Unix socket that only its owner can use", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/wgd/client.sock`;
  const peers = Array.from({ length: 2_000 }, (_, i) => `${i.toString(16).padStart(64, "0")}`);
  {
    await using _net = await up(parseConfig(text), { controlSocket: path });
    equal((await Deno.lstat(`${folder}/wgd`)).mode! & 0o777, 0o700);
    match(await ask(path, "get=1\n\n"), /^private_key=[0-9a-f]{64}\n(.*\n)*errno=0\n\n$/);
    match(await ask(path, "get=1\nwgd_diagnostics=1\n\n"), /^wgd_userspace=1420 10\.9\.0\.1$/m);
    // More than one buffer of input, and more than a socket buffers on output.
    const lines = peers.map((key) => `public_key=${key}\nallowed_ip=10.8.0.0/16\nallowed_ip=fd00::/64\n`);
    equal(await ask(path, `set=1\n${lines.join("")}\n`), "errno=0\n\n");
    const reply = await ask(path, "get=1\n\n");
    equal([...reply.matchAll(/^public_key=/gm)].length, peers.length);
    equal(await ask(path, "set=1\nlisten_port=x\n\n"), "errno=-22\n\n");
    // Programs that disconnect early, and one that sends no request.
    for (let i = 0; i < 50; i++) {
      using conn = await Deno.connect({ transport: "unix", path });
      await conn.write(new TextEncoder().encode(i % 2 ? "get=1\n\n" : "set=1\npubl"));
    }
    match(await ask(path, "get=1\n\n"), /errno=0\n\n$/);
    await rejects(up(parseConfig(text), { controlSocket: path }), Deno.errors.AddrInUse);
    match(await ask(path, "get=1\n\n"), /errno=0\n\n$/, "the first tunnel still answers");
  }
  deepEqual(
    await Array.fromAsync(Deno.readDir(`${folder}/wgd`)),
    [],
    "the socket is removed with the tunnel",
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the control socket of a killed program is replaced, and no other file", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/client.sock`;
  const killed = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} }); Deno.kill(Deno.pid, "SIGKILL");`,
    ],
  });
  await killed.output();
  ok((await Deno.lstat(path)).isSocket);
  {
    await using _net = await up(parseConfig(text), { controlSocket: path });
    match(await ask(path, "get=1\n\n"), /errno=0\n\n$/);
  }
  await Deno.writeTextFile(path, "mine");
  await rejects(up(parseConfig(text), { controlSocket: path }));
  equal(await Deno.readTextFile(path), "mine");
  await Deno.chmod(folder, 0o755);
  await rejects(up(parseConfig(text), { controlSocket: path }), Deno.errors.PermissionDenied);
  await Deno.remove(folder, { recursive: true });
});
