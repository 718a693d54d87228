/**
 * Text to the standard streams, whole and in order.
 *
 * @module
 */

const encoder = new TextEncoder();

/** Writes to standard output. A reader that has gone ends the program, as SIGPIPE ends any other. */
export function print(text: string): void {
  printBytes(encoder.encode(text));
}

/** Writes bytes to standard output, as `print` does. */
export function printBytes(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stdout, bytes);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(128 + SIGPIPE);
    throw error;
  }
}

/** Writes a line to standard error. */
export function complain(line: string): void {
  complainBytes(encoder.encode(`${line}\n`));
}

/** Writes bytes to standard error; for messages that quote a file which is not UTF-8. */
export function complainBytes(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stderr, bytes);
  } catch {
    // There is nowhere to report this.
  }
}

/** Writes many pieces to standard output in few calls. */
export function printAll(pieces: Iterable<string>): void {
  let text = "";
  for (const piece of pieces) {
    text += piece;
    if (text.length < BUFFERED) continue;
    print(text);
    text = "";
  }
  if (text !== "") print(text);
}

const SIGPIPE = 13;
const BUFFERED = 1 << 16;

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
}
