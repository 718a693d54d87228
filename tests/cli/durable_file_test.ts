import { deepEqual, equal, rejects } from "node:assert/strict";
import { ConfigFile } from "../../core/locked_config_file.ts";
import { writeDurably } from "../../core/durable_file.ts";
import { FileError } from "../../core/file_error.ts";
import { must } from "../netns/lab/exec.ts";

Deno.test("writeDurably() does not replace a pipe or a device", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const pipe = `${folder}/pipe`;
    await must(["mkfifo", pipe]);
    await rejects(
      writeDurably(pipe, Uint8Array.of(1)),
      (error) => error instanceof FileError && error.reason === "it is not a regular file",
    );
    equal((await Deno.lstat(pipe)).isFifo, true);
    equal((await Array.fromAsync(Deno.readDir(folder))).length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("writeDurably() sets the mode of a new file regardless of the umask", async () => {
  const folder = await Deno.makeTempDir();
  const umask = Deno.umask(0o077);
  try {
    for (const [mode, replaceLink] of [[0o644, false], [0o600, false], [0o644, true]] as const) {
      const path = `${folder}/${mode}-${replaceLink}`;
      if (replaceLink) await Deno.symlink("/nowhere/stub.conf", path);
      await writeDurably(path, Uint8Array.of(1), { mode, replaceLink });
      equal((await Deno.lstat(path)).mode! & 0o777, mode, path);
    }
  } finally {
    Deno.umask(umask);
    await Deno.remove(folder, { recursive: true });
  }
});

/** The names in a folder at this moment. */
function names(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}

Deno.test("temporary files of killed writers are deleted, and no others", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const others = [
      "wg0.conf",
      "wg0.conf.new",
      "wg0.conf.1.new",
      "wg00.conf.0123456789abcdef.new",
      "mine.new",
    ];
    for (const name of others) await Deno.writeTextFile(`${folder}/${name}`, "");
    const left = new Set<string>();
    for (let i = 0; i < 64; i++) {
      const writing = writeDurably(`${folder}/wg0.conf`, Uint8Array.of(1));
      // Writers are killed here.
      for (const name of names(folder)) if (!others.includes(name)) left.add(name);
      await writing;
    }
    equal(left.size, 64);
    for (const name of left) await Deno.writeTextFile(`${folder}/${name}`, "");
    (await ConfigFile.open(`${folder}/wg0.conf`))[Symbol.dispose]();
    deepEqual(names(folder).sort(), others.sort());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("ConfigFile waits for a lock, for a limited time", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/wg0.conf`;
    await Deno.writeTextFile(path, "[Interface]\n");
    const first = await ConfigFile.open(path);
    await rejects(
      ConfigFile.open(path, 100),
      (error) =>
        error instanceof FileError &&
        error.message.includes(`has locked ${folder} for 0.1 s; see which: lslocks`),
    );
    const second = ConfigFile.open(path);
    first[Symbol.dispose]();
    using file = await second;
    equal(file.text, "[Interface]\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
