/**
 * Reads files that users name, including pipes, standard input, and files that are not UTF-8.
 *
 * @module
 */

export { decodeLatin1, decodeText, encodeLatin1, type Text } from "../core/config/text.ts";

/**
 * Reads a file to its end; it may be a pipe or a device.
 *
 * @throws {Error} Deno's error, if it cannot be opened or read.
 */
export async function readBytes(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const piece = new Uint8Array(1 << 16);
    const read = await file.read(piece);
    if (read === null) break;
    pieces.push(piece.subarray(0, read));
    length += read;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
