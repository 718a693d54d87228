/**
 * A host behind the kernel of another one, which forwards to it. It runs inside that host.
 *
 * @module
 */

import { must } from "./exec.ts";

/** A host behind the kernel, which counts the bytes of each connection and says how many there were. */
export async function farHost(): Promise<AsyncDisposable & { link(words: string): Promise<void> }> {
  const program = `
    await Deno.stdin.read(new Uint8Array(9));
    const listener = Deno.listen({ hostname: "::", port: 80 });
    console.log("ready");
    for await (const conn of listener) {
      const chunk = new Uint8Array(65536);
      let bytes = 0;
      for (let count; (count = await conn.read(chunk)) !== null;) bytes += count;
      await conn.write(new TextEncoder().encode(String(bytes)));
      conn.close();
    }`;
  const process = new Deno.Command("unshare", {
    args: ["--net", Deno.execPath(), "eval", program],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const link = (words: string) => must(["sh", "-ec", `ip link set near ${words}`]).then(() => {});
  await must([
    "sh",
    "-ec",
    `
    inside() { nsenter --target ${process.pid} --net -- "$@"; }
    until [ "$(readlink /proc/${process.pid}/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; done
    ip link add near type veth peer name far netns ${process.pid}
    ip address add 10.8.0.1/24 dev near
    ip address add fd08::1/64 dev near nodad
    ip link set near up
    inside ip address add 10.8.0.2/24 dev far
    inside ip address add fd08::2/64 dev far nodad
    inside ip link set far up
    inside ip route add default via 10.8.0.1
    inside ip -6 route add default via fd08::1`,
  ]);
  const writer = process.stdin.getWriter();
  await writer.write(new Uint8Array(1));
  const reader = process.stdout.getReader();
  await reader.read();
  return {
    link,
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.status;
      await writer.close().catch(() => {});
      await reader.cancel();
    },
  };
}
