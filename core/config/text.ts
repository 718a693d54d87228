/**
 * Text as files hold it: mostly UTF-8, and whatever else it is, it comes out again as it went in.
 *
 * @module
 */

/** The text of a file, and how to write parts of it out again. */
export interface Text {
  /** What it says. */
  readonly text: string;
  /** Turns text that quotes the file, or is a new one for it, into bytes as the file has them. */
  encode(text: string): Uint8Array;
}

/** Reads bytes as UTF-8; if they are not, each byte as one character. */
export function decodeText(bytes: Uint8Array): Text {
  try {
    // A byte order mark stays in the text: it is written out again.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return { text, encode: (text) => new TextEncoder().encode(text) };
  } catch {
    // The mark of a UTF-8 file that somebody else wrote into.
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

/** What no single byte stands for, as the characters of its bytes in UTF-8. */
function utf8(character: string): string {
  return decodeLatin1(new TextEncoder().encode(character));
}

/** One byte for each character. */
export function encodeLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
