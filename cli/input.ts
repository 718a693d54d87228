/**
 * Files as users name them: pipes and standard input count as files, and not every file is UTF-8.
 *
 * @module
 */

/** The text of a file, and how to write parts of it out again. */
export interface Text {
  readonly text: string;
  /** Turns text that quotes the file back into the file's bytes. */
  encode(text: string): Uint8Array;
}

/**
 * Reads a file to its end, be it a pipe or a device.
 *
 * @throws {Error} As Deno does if it cannot be opened or read.
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

/** Reads bytes as UTF-8; if they are not, each byte as one character, so that messages still quote them right. */
export function decodeText(bytes: Uint8Array): Text {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), encode: encodeUtf8 };
  } catch {
    return { text: decodeLatin1(bytes), encode: encodeLatin1 };
  }
}

/** One character for each byte. (TextDecoder's "latin1" is windows-1252, which moves 0x80 to 0x9f.) */
export function decodeLatin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) {
    text += String.fromCharCode.apply(null, [...bytes.subarray(i, i + 4096)]);
  }
  return text;
}

/** One byte for each character. */
export function encodeLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function encodeUtf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
