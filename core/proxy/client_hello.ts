/**
 * The server name in the first message of a TLS connection, the ClientHello (RFC 8446 §4.1.2, RFC 6066 §3). Pure: bytes
 * come in, a name goes out.
 *
 * @module
 */

/**
 * A longer ClientHello is invalid, with the headers of its records. Those of browsers have about 2 KiB; BoringSSL
 * accepts 16 KiB.
 */
export const MAX_CLIENT_HELLO = 16_384;

/** What a client has sent: `garbage` is not a ClientHello, and `null` is an incomplete one. */
export type ServerName = { readonly name: string } | "no name" | "garbage" | null;

/** RFC 8446 §5.1: type, version and length. */
const RECORD_HEADER = 5;
const HANDSHAKE_RECORD = 22;
const MAX_RECORD = 16_384;
/** RFC 8446 §4: type and length. */
const MESSAGE_HEADER = 4;
const CLIENT_HELLO = 1;
const VERSION_AND_RANDOM = 2 + 32;
const SERVER_NAME = 0;
const HOST_NAME = 0;
const MAX_NAME = 253;
/** Letters, digits, hyphens and underscores between single dots. */
const NAME = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;

const latin1 = new TextDecoder("latin1");

/** Reads a ClientHello that arrives in any number of parts. */
export class ClientHelloReader {
  #bytes = new Uint8Array(2_048);
  #length = 0;
  /** Where the first incomplete record begins. */
  #record = 0;
  /** Bytes of the message in the complete records. */
  #payload = 0;
  #found: ServerName = null;

  /** All bytes until now, for the server. */
  get received(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Handles bytes of the client. */
  push(bytes: Uint8Array): ServerName {
    this.#add(bytes);
    this.#found ??= this.#read();
    if (this.#found === null && this.#length > MAX_CLIENT_HELLO) this.#found = "garbage";
    return this.#found;
  }

  /** Doubles the buffer when it is full, so that single bytes cost no more than long parts. */
  #add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.received);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  /** Continues at the first incomplete record, so that a part costs no more than its length. */
  #read(): ServerName {
    const bytes = this.received;
    for (;;) {
      const [type, major, , high = 0, low = 0] = bytes.subarray(this.#record, this.#record + RECORD_HEADER);
      if (type !== undefined && type !== HANDSHAKE_RECORD || major !== undefined && major !== 3) {
        return "garbage";
      }
      const left = bytes.length - this.#record - RECORD_HEADER;
      const length = high << 8 | low;
      if (left < 0) return null;
      if (length === 0 || length > MAX_RECORD) return "garbage";
      if (left < length) return null;
      this.#record += RECORD_HEADER + length;
      this.#payload += length;
      if (this.#payload < MESSAGE_HEADER) continue;
      const [kind, ...size] = payloadOf(bytes, MESSAGE_HEADER);
      const message = size.reduce((value, byte) => value << 8 | byte, 0);
      if (kind !== CLIENT_HELLO || message > MAX_CLIENT_HELLO) return "garbage";
      if (this.#payload < MESSAGE_HEADER + message) continue;
      return serverName(payloadOf(bytes, MESSAGE_HEADER + message).subarray(MESSAGE_HEADER));
    }
  }
}

/** The first bytes of a message, without the headers of its records. @param length No more than it has. */
function payloadOf(records: Uint8Array, length: number): Uint8Array {
  const payload = new Uint8Array(length);
  for (let at = 0, filled = 0; filled < length;) {
    const size = records[at + 3]! << 8 | records[at + 4]!;
    at += RECORD_HEADER;
    payload.set(records.subarray(at, at + Math.min(size, length - filled)), filled);
    at += size;
    filled += size;
  }
  return payload;
}

function serverName(hello: Uint8Array): Exclude<ServerName, null> {
  const fields = new Fields(hello);
  fields.take(VERSION_AND_RANDOM);
  for (const lengthBytes of [1, 2, 1]) fields.list(lengthBytes); // session, cipher suites, compression
  if (fields.isBroken) return "garbage";
  if (fields.isAtEnd) return "no name"; // A client before TLS 1.3 may have no extensions.
  const extensions = fields.list(2);
  let found: ServerName = "no name";
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const data = extensions.list(2);
    if (extensions.isBroken) break;
    if (type !== SERVER_NAME) continue;
    if (found !== "no name") return "garbage"; // RFC 8446 §4.2: at most once.
    found = hostName(data);
  }
  return fields.isBroken || extensions.isBroken || !fields.isAtEnd ? "garbage" : found;
}

function hostName(extension: Fields): Exclude<ServerName, null> {
  const names = extension.list(2);
  let name: string | undefined;
  while (!names.isAtEnd) {
    const type = names.number(1);
    const text = names.list(2).rest;
    if (names.isBroken) return "garbage";
    if (type !== HOST_NAME) continue;
    if (name !== undefined) return "garbage"; // RFC 6066 §3: at most one of a type.
    name = latin1.decode(text);
  }
  if (names.isBroken || !extension.isAtEnd || name === undefined) return "garbage";
  return name.length <= MAX_NAME && NAME.test(name) ? { name } : "garbage";
}

/** Fields one after the other. After a field that is longer than what is left, all are empty. */
class Fields {
  #at = 0;
  #broken: boolean;

  constructor(readonly bytes: Uint8Array, broken = false) {
    this.#broken = broken;
  }

  /** Whether a field was longer than what was left. */
  get isBroken(): boolean {
    return this.#broken;
  }

  get isAtEnd(): boolean {
    return this.#broken || this.#at === this.bytes.length;
  }

  /** What is left. */
  get rest(): Uint8Array {
    return this.bytes.subarray(this.#at);
  }

  take(length: number): Uint8Array {
    if (this.#at + length > this.bytes.length) this.#broken = true;
    if (this.#broken) return new Uint8Array();
    this.#at += length;
    return this.bytes.subarray(this.#at - length, this.#at);
  }

  number(length: number): number {
    return this.take(length).reduce((value, byte) => value << 8 | byte, 0);
  }

  /** A field after its length. */
  list(lengthBytes: number): Fields {
    const inner = this.take(this.number(lengthBytes));
    return new Fields(inner, this.#broken);
  }
}
