import { deepEqual, equal } from "node:assert/strict";
import { LocalServer } from "../../../ffi/linux/local_server.ts";

/** The sockets that this process has. */
function sockets(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      const target = Deno.readLinkSync(`/proc/self/fd/${name}`);
      return target.startsWith("socket:") ? [target] : [];
    } catch {
      return []; // The descriptor that reads the folder is gone.
    }
  }).sort();
}

function listen(folder: string): LocalServer {
  return LocalServer.listen(`${folder}/socket`, Deno.uid()!, Deno.gid()!);
}

Deno.test("a closed LocalServer leaves no descriptor, with and without a pending accept", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const before = sockets();
    const idle = listen(folder);
    idle.close();
    equal(await idle.accept(), null);
    deepEqual(sockets(), before);

    const waiting = listen(folder);
    const accepted = waiting.accept();
    const client = await Deno.connect({ transport: "unix", path: `${folder}/socket` });
    const connection = await accepted;
    equal(connection?.user, Deno.uid());
    const next = waiting.accept();
    waiting.close();
    equal(await next, null);
    connection!.close();
    client.close();
    deepEqual(sockets(), before);
    deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
