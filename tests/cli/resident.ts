/**
 * Runs wgd's commands one after the other in one process, because starting a program takes fifty times as long as most
 * commands. Input and output are those of a process. Every other test of the command line checks that a separate
 * process does the same.
 *
 * Reads a line of JSON for each command, `{ args, env }`, and answers with one, `{ code, stdout, stderr }`, whose streams
 * are one character a byte.
 *
 * @module
 */

import { TextLineStream } from "./text_lines.ts";
import { run } from "../../cli/main.ts";

/** Thrown in place of ending the process. */
class Exit extends Error {
  constructor(readonly code: number) {
    super("exit");
  }
}

const answers = Deno.stdout;
const writeAnswer = answers.writeSync.bind(answers);
let streams: { stdout: string; stderr: string } = { stdout: "", stderr: "" };

function capture(stream: "stdout" | "stderr"): (bytes: Uint8Array) => number {
  return (bytes) => {
    for (const byte of bytes) streams[stream] += String.fromCharCode(byte);
    return bytes.length;
  };
}

Deno.stdout.writeSync = capture("stdout");
Deno.stderr.writeSync = capture("stderr");
Deno.exit = (code = 0) => {
  throw new Exit(code);
};

const before = Deno.env.toObject();

for await (const line of Deno.stdin.readable.pipeThrough(new TextLineStream())) {
  const { args, env } = JSON.parse(line) as { args: string[]; env: Record<string, string> };
  for (const name of Object.keys(Deno.env.toObject())) if (!(name in before)) Deno.env.delete(name);
  for (const [name, value] of Object.entries({ ...before, ...env })) Deno.env.set(name, value);
  streams = { stdout: "", stderr: "" };
  let code: number;
  try {
    code = await run(args);
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    code = error.code;
  }
  const answer = new TextEncoder().encode(`${JSON.stringify({ code, ...streams })}\n`);
  for (let written = 0; written < answer.length;) written += writeAnswer(answer.subarray(written));
}
