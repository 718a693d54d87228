/**
 * Encodes ASN.1 values in DER (ITU-T X.690) for certificates.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** An encoded value. */
export type Der = Uint8Array;

const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;

/** A value of any tag. */
export function tagged(tag: number, ...parts: readonly Uint8Array[]): Der {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const size: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) size.unshift(rest & 0xff);
  const head = length < 128 ? [tag, length] : [tag, 0x80 | size.length, ...size];
  return Buffer.concat([Uint8Array.from(head), ...parts]);
}

/** A SEQUENCE. */
export function sequence(...parts: readonly Der[]): Der {
  return tagged(SEQUENCE, ...parts);
}

/** A SET of one value. */
export function setOf(part: Der): Der {
  return tagged(SET, part);
}

/** An INTEGER that is not negative, from its bytes, the highest first. */
export function integer(bytes: Uint8Array): Der {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const sign = bytes[from]! >= 0x80 ? [0] : [];
  return tagged(INTEGER, Uint8Array.from([...sign, ...bytes.subarray(from)]));
}

/** TRUE. */
export function isTrue(): Der {
  return tagged(BOOLEAN, Uint8Array.of(0xff));
}

/** An OBJECT IDENTIFIER, from its text as `2.5.29.19`. */
export function oid(text: string): Der {
  const [first, second, ...rest] = text.split(".").map(Number);
  const bytes: number[] = [];
  for (const number of [40 * first! + second!, ...rest]) {
    const septets = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) septets.unshift(left & 0x7f | 0x80);
    bytes.push(...septets);
  }
  return tagged(OBJECT_IDENTIFIER, Uint8Array.from(bytes));
}

/** A UTF8String. */
export function utf8(text: string): Der {
  return tagged(UTF8_STRING, new TextEncoder().encode(text));
}

/** An OCTET STRING. */
export function octets(bytes: Uint8Array): Der {
  return tagged(OCTET_STRING, bytes);
}

/** A BIT STRING. @param unused Bits of the last byte that do not count. */
export function bits(bytes: Uint8Array, unused = 0): Der {
  return tagged(BIT_STRING, Uint8Array.of(unused), bytes);
}

/** A time as certificates have it: two digits for years before 2050 (RFC 5280, section 4.1.2.5). */
export function time(date: Date): Der {
  const text = `${date.toISOString().replace(/\D/g, "").slice(0, 14)}Z`;
  const isLate = date.getUTCFullYear() >= 2050;
  return tagged(
    isLate ? GENERALIZED_TIME : UTC_TIME,
    new TextEncoder().encode(isLate ? text : text.slice(2)),
  );
}
