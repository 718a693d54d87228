/**
 * QR codes: for a terminal, as SVG, as PNG.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";
import { encode } from "uqr";

/** Width of the light margin that the standard requires around a code, in modules (ISO/IEC 18004, 5.3.8). */
const QUIET_ZONE = 4;

/** Bytes that the largest code holds (version 40, error correction L). */
const CAPACITY = 2953;

/** A text that does not fit into a QR code. */
export class QrError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "QrError";

  /**
   * The message does not quote the text.
   *
   * @param message What is wrong.
   * @param hint What to do about it.
   */
  constructor(message: string, readonly hint: string) {
    super(message);
  }
}

/** A QR code with its margin: rows of modules. Dark ones are true. */
export type QrCode = readonly (readonly boolean[])[];

/**
 * Makes the QR code of a text, as small as possible (error correction L, the default of `qrencode`).
 *
 * @throws {QrError} If the text is longer than 2953 bytes.
 */
export function qrCode(text: string): QrCode {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > CAPACITY) {
    throw new QrError(
      `too long for a QR code: ${bytes.length} bytes, and the largest holds ${CAPACITY}`,
      "use fewer peers or allowed IPs, or send the file itself, which the apps can import too",
    );
  }
  return encode([...bytes], { ecc: "L", border: QUIET_ZONE }).data;
}

/** Renders a code for a terminal with any colours, two rows per line, as `qrencode -t ansiutf8` does. */
export function qrToTerminal(code: QrCode): string {
  let text = "";
  for (let y = 0; y < code.length; y += 2) {
    // Bright white on black. Only light modules are drawn, so a missing row after the last one counts as dark.
    text += "\x1b[40;37;1m";
    for (let x = 0; x < code.length; x++) {
      const upper = !code[y]![x];
      const lower = code[y + 1]?.[x] === false;
      text += upper ? lower ? "█" : "▀" : lower ? "▄" : " ";
    }
    text += "\x1b[0m\n";
  }
  return text;
}

/** Renders a code as an SVG picture. A module is one unit. */
export function qrToSvg(code: QrCode): string {
  const size = code.length;
  let path = "";
  code.forEach((row, y) => row.forEach((dark, x) => dark && (path += `M${x} ${y}h1v1h-1z`)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size} ${size}" shape-rendering="crispEdges">` +
    `<path fill="#fff" d="M0 0h${size}v${size}H0z"/><path d="${path}"/></svg>\n`;
}

/**
 * Renders a code as a PNG picture: black and white, one bit per pixel (RFC 2083).
 *
 * @param scale Pixels per module.
 */
export function qrToPng(code: QrCode, scale = 8): Uint8Array {
  const size = code.length * scale;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header[8] = 1; // one bit a pixel, grey; compression, filter and interlace have but one value here: 0
  // A row is one byte that names its filter (none), then its pixels from the highest bit on; a set bit is white.
  const stride = 1 + Math.ceil(size / 8);
  const pixels = Buffer.alloc(stride * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const dark = code[Math.floor(y / scale)]![Math.floor(x / scale)];
      if (!dark) pixels[y * stride + 1 + (x >> 3)]! |= 0x80 >> (x & 7);
    }
  }
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk("IHDR", header),
    pngChunk("IDAT", deflateSync(pixels)),
    pngChunk("IEND", Buffer.alloc(0)),
  ]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, "latin1");
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}
