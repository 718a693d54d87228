/**
 * Writes DNS questions and reads answers (RFC 1035, RFC 3596, RFC 2782, RFC 8659, RFC 3403).
 *
 * Answers come from outside, so every length and offset in them is checked.
 *
 * @module
 */

import { formatAddress } from "../../config/address.ts";

/** The supported types of records and their numbers. */
export const RECORD_TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  CAA: 257,
} as const;

/** A type of record. */
export type RecordType = keyof typeof RECORD_TYPES;

const TYPE_NAMES = new Map<number, RecordType>(
  Object.entries(RECORD_TYPES).map(([name, number]) => [number, name as RecordType]),
);

/** One record of an answer: `data` has the shape that `Deno.resolveDns` gives to its type. */
export interface DnsRecord {
  /** Its name, in lower case and without the final dot. */
  readonly name: string;
  readonly type: RecordType;
  /** Seconds for which it may be cached. */
  readonly ttl: number;
  readonly data: unknown;
}

/** An answer to a question. */
export interface DnsAnswer {
  /** The answer did not fit, so the question must be repeated over TCP. */
  readonly truncated: boolean;
  /** RFC 1035 §4.1.1: 0 means no error, 3 means "no such name". */
  readonly code: number;
  readonly records: readonly DnsRecord[];
  /** Seconds for which the absence of the record may be cached (RFC 2308 §5). */
  readonly negativeTtl: number;
}

/** A malformed message. */
export class DnsFormatError extends Error {
  override readonly name = "DnsFormatError";
}

const HEADER = 12;
const CLASS_IN = 1;
const TYPE_OPT = 41;
const RESPONSE = 0x8000;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const OPCODE = 0x7800;
const MAX_NAME = 253;
const MAX_LABEL = 63;
/** The largest UDP answer that we accept, in bytes (RFC 9715 §3.1: no fragments on any path). */
export const UDP_PAYLOAD = 1_232;
/** A longer TTL is reduced to this (RFC 8767 §4). */
const MAX_TTL = 604_800;
/** The most records in one answer. */
const MAX_RECORDS = 512;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Whether a text is a valid name: labels of 1 to 63 bytes, 253 bytes in all.
 *
 * @param name With or without a final dot.
 */
export function isDnsName(name: string): boolean {
  const text = name.endsWith(".") ? name.slice(0, -1) : name;
  const labels = text.split(".").map((label) => encoder.encode(label).length);
  return text.length > 0 && encoder.encode(text).length <= MAX_NAME &&
    labels.every((length) => length > 0 && length <= MAX_LABEL);
}

/**
 * Writes a question.
 *
 * @param id 16 random bits.
 * @param name As {@linkcode isDnsName} takes it.
 */
export function writeQuestion(id: number, name: string, type: RecordType): Uint8Array<ArrayBuffer> {
  const labels = (name.endsWith(".") ? name.slice(0, -1) : name).split(".").map((label) =>
    encoder.encode(label)
  );
  const nameLength = labels.reduce((sum, label) => sum + 1 + label.length, 1);
  const bytes = new Uint8Array(HEADER + nameLength + 4 + 11);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, RECURSION_DESIRED);
  view.setUint16(4, 1);
  view.setUint16(10, 1);
  let at = HEADER;
  for (const label of labels) {
    bytes[at] = label.length;
    bytes.set(label, at + 1);
    at += 1 + label.length;
  }
  view.setUint16(at + 1, RECORD_TYPES[type]);
  view.setUint16(at + 3, CLASS_IN);
  // EDNS: how long an answer may be (RFC 6891 §6.1.2). Its name is the root, an empty one.
  view.setUint16(at + 6, TYPE_OPT);
  view.setUint16(at + 8, UDP_PAYLOAD);
  return bytes;
}

/**
 * Reads the answer to a question.
 *
 * @returns Null if its id, name or type is not that of the question. It may be forged.
 * @throws {DnsFormatError} If it is malformed.
 */
export function readAnswer(
  bytes: Uint8Array,
  asked: { readonly id: number; readonly name: string; readonly type: RecordType },
): DnsAnswer | null {
  const reader = new Reader(bytes);
  const id = reader.u16();
  const flags = reader.u16();
  const [questions, answers, authorities] = [reader.u16(), reader.u16(), reader.u16()];
  reader.u16();
  if (id !== asked.id || !(flags & RESPONSE) || flags & OPCODE || questions !== 1) return null;
  const name = reader.name();
  const [type, dnsClass] = [reader.u16(), reader.u16()];
  if (name !== normalName(asked.name) || type !== RECORD_TYPES[asked.type] || dnsClass !== CLASS_IN) {
    return null;
  }
  const truncated = (flags & TRUNCATED) !== 0;
  const records: DnsRecord[] = [];
  let negativeTtl = 0;
  // A truncated message may end inside a record.
  if (!truncated) {
    if (answers + authorities > MAX_RECORDS) throw new DnsFormatError("too many records");
    for (let i = 0; i < answers; i++) {
      const record = readRecord(reader);
      if (record) records.push(record);
    }
    for (let i = 0; i < authorities; i++) {
      const record = readRecord(reader);
      if (record?.type !== "SOA") continue;
      negativeTtl = Math.min(record.ttl, (record.data as Deno.SoaRecord).minimum);
    }
  }
  return { truncated, code: flags & 15, records, negativeTtl };
}

/** A name in the form in which names are compared: in lower case and without the final dot. */
export function normalName(name: string): string {
  const text = name.toLowerCase();
  return text.endsWith(".") ? text.slice(0, -1) : text;
}

function readRecord(reader: Reader): DnsRecord | null {
  const name = reader.name();
  const [type, dnsClass] = [TYPE_NAMES.get(reader.u16()), reader.u16()];
  const ttl = reader.u32();
  const end = reader.u16() + reader.at;
  if (end > reader.length) throw new DnsFormatError("a record extends beyond the end of the message");
  const data = type && dnsClass === CLASS_IN ? readData(reader, type, end) : null;
  reader.at = end;
  return type && data !== null ? { name, type, ttl: Math.min(ttl, MAX_TTL), data } : null;
}

function readData(reader: Reader, type: RecordType, end: number): unknown {
  const data = readDataOf(reader, type, end);
  // The data must end where the record ends, or bytes of the next record would be read as its data.
  if (reader.at !== end) {
    throw new DnsFormatError(`the data of a record of type ${type} has the wrong length`);
  }
  return data;
}

function readDataOf(reader: Reader, type: RecordType, end: number): unknown {
  switch (type) {
    case "A":
      return formatAddress(reader.bytes(4));
    case "AAAA":
      return formatAddress(reader.bytes(16));
    case "CNAME":
    case "NS":
    case "PTR":
      return reader.name();
    case "MX":
      return { preference: reader.u16(), exchange: reader.name() };
    case "SRV":
      return { priority: reader.u16(), weight: reader.u16(), port: reader.u16(), target: reader.name() };
    case "SOA":
      return {
        mname: reader.name(),
        rname: reader.name(),
        serial: reader.u32(),
        refresh: reader.u32(),
        retry: reader.u32(),
        expire: reader.u32(),
        minimum: reader.u32(),
      };
    case "TXT": {
      const texts: string[] = [];
      while (reader.at < end) texts.push(reader.text());
      return texts;
    }
    case "CAA": {
      const flags = reader.u8();
      const tag = reader.text();
      return {
        critical: (flags & 0x80) !== 0,
        tag,
        value: decoder.decode(reader.bytes(Math.max(0, end - reader.at))),
      };
    }
    case "NAPTR":
      return {
        order: reader.u16(),
        preference: reader.u16(),
        flags: reader.text(),
        services: reader.text(),
        regexp: reader.text(),
        replacement: reader.name(),
      };
  }
}

/** Reads a message from its beginning. */
class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  u8(): number {
    return this.bytes(1)[0]!;
  }

  u16(): number {
    const bytes = this.bytes(2);
    return bytes[0]! << 8 | bytes[1]!;
  }

  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  bytes(length: number): Uint8Array {
    const from = this.at;
    this.at += length;
    if (this.at > this.#bytes.length) throw new DnsFormatError("the message is cut off");
    return this.#bytes.subarray(from, this.at);
  }

  /** A text that follows its length. */
  text(): string {
    return decoder.decode(this.bytes(this.u8()));
  }

  /** A name. It may continue elsewhere (RFC 1035 §4.1.4), but only nearer to the front, so that it ends. */
  name(): string {
    const labels: string[] = [];
    let length = 0;
    let at = this.at;
    let end: number | undefined;
    let before = at;
    for (;;) {
      const size = this.#byte(at);
      if (size >= 0xc0) {
        end ??= at + 2;
        at = (size & 0x3f) << 8 | this.#byte(at + 1);
        if (at >= before) throw new DnsFormatError("a compressed name does not point backwards");
        before = at;
      } else if (size > MAX_LABEL) {
        throw new DnsFormatError("a name has a label of an unknown kind");
      } else if (size === 0) {
        this.at = end ?? at + 1;
        return labels.join(".");
      } else {
        length += 1 + size;
        if (length > MAX_NAME + 1) throw new DnsFormatError("a name is too long");
        if (at + 1 + size > this.#bytes.length) throw new DnsFormatError("the message is cut off");
        labels.push(decoder.decode(this.#bytes.subarray(at + 1, at + 1 + size)).toLowerCase());
        at += 1 + size;
      }
    }
  }

  #byte(at: number): number {
    const byte = this.#bytes[at];
    if (byte === undefined) throw new DnsFormatError("the message is cut off");
    return byte;
  }
}
