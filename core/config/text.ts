/**
 * The text of files: UTF-8, or any other bytes, which are written back unchanged.
 *
 * @module
 */

/** The text of a file, and a function that converts parts of it back to bytes. */
export interface Text {
  /** The text. */
  readonly text: string;
  /** Encodes text in the file's encoding: a part of the file, or its new text. */
  encode(text: string): Uint8Array;
}

/** Reads bytes as UTF-8; if they are not UTF-8, each byte is one character. */
export function decodeText(bytes: Uint8Array): Text {
  try {
    // A byte order mark stays in the text, so that it is written again.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { text, encode: (text) => new TextEncoder().encode(text) };
  } catch {
    // A UTF-8 file with a mark, to which another program added other bytes.
    const text = decodeLatin1(bytes).replace(/^\xef\xbb\xbf/, "\ufeff");
    return { text, encode: (text) => encodeLatin1(text.replace(/[^\0-\xff]/gu, utf8)) };
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

/** One character for each byte of a character's UTF-8, for characters above U+00FF. */
function utf8(character: string): string {
  return decodeLatin1(new TextEncoder().encode(character));
}

/** One byte for each character. */
export function encodeLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
