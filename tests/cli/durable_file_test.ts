import { equal, rejects } from "node:assert/strict";
import { writeDurably } from "../../core/durable_file.ts";
import { FileError } from "../../core/file_error.ts";
import { must } from "../netns/lab/exec.ts";

Deno.test("writeDurably() puts no file in the place of a pipe or a device", async () => {
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
