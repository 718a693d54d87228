/**
 * Writes text to the standard streams, completely and in order.
 *
 * @module
 */

import { FileError } from "../../core/file_error.ts";

const encoder = new TextEncoder();

/**
 * Writes to standard output. If the reader has closed it, the program ends as by SIGPIPE.
 *
 * @throws {FileError} If it cannot be written, for example on a full disk.
 */
export function print(text: string): void {
  printBytes(encoder.encode(text));
}

/** Writes bytes to standard output, as `print` does. */
export function printBytes(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stdout, bytes);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(128 + SIGPIPE);
    throw new FileError("write", "/dev/stdout", error);
  }
}

/** Writes a line to standard error. */
export function complain(line: string): void {
  complainBytes(encoder.encode(`${line}\n`));
}

/** Writes bytes to standard error, for messages that quote a file that is not UTF-8. */
export function complainBytes(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stderr, Deno.stderr.isTerminal() ? visible(bytes) : bytes);
  } catch {
    // There is no place to report this.
  }
}

/**
 * Shows control characters as `\x1b`. A message may quote another user's file, which must not control the terminal.
 *
 * @param bytes Mostly UTF-8. Line feeds and tabs stay.
 */
export function visible(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    // U+0080 to U+009F are control characters too; UTF-8 writes them as 0xc2 and the character itself.
    const c1 = byte === 0xc2 && bytes[i + 1]! >= 0x80 && bytes[i + 1]! < 0xa0;
    if (c1 || byte < 0x20 && byte !== 0x09 && byte !== 0x0a || byte === 0x7f) {
      const control = c1 ? bytes[++i]! : byte;
      out.push(...encoder.encode(`\\x${control.toString(16).padStart(2, "0")}`));
    } else out.push(byte);
  }
  return Uint8Array.from(out);
}

/** Writes many pieces of text to standard output with few calls. */
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
