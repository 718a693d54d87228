/**
 * Encodes and decodes netlink messages and attributes, as used by `rtnetlink` and all generic netlink families
 * (https://docs.kernel.org/userspace-api/netlink/intro.html). Numbers are in the machine's byte order, which is
 * little-endian on all machines that wgd supports.
 *
 * @module
 */

import {
  GENLMSGHDR,
  NLA_F_NESTED,
  NLA_TYPE_MASK,
  NLATTR,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_MIN_TYPE,
  NLMSGHDR,
} from "../../ffi/linux/constants.ts";
import { Errno } from "../uapi/errno.ts";
import { UapiError } from "../uapi/lines.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Headers, attributes and messages start at multiples of four bytes. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** The bytes that an attribute takes. @param length Bytes of its value. */
export function attributeSize(length: number): number {
  return aligned(NLATTR.size + length);
}

/** Writes one message. */
export class MessageWriter {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #length: number;

  /**
   * @param capacity The most bytes that the message may have.
   * @param type The message type; for generic netlink, the family's number.
   * @param flags `NLM_F_…`.
   * @param header The bytes before the attributes.
   */
  constructor(capacity: number, type: number, flags: number, header: Uint8Array) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
    this.#view.setUint16(NLMSGHDR.type, type, true);
    this.#view.setUint16(NLMSGHDR.flags, flags, true);
    this.#bytes.set(header, NLMSGHDR.size);
    this.#length = aligned(NLMSGHDR.size + header.length);
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  /** Adds an attribute of bytes. */
  bytes(type: number, value: Uint8Array): void {
    this.#bytes.set(value, this.#attribute(type, value.length));
  }

  /** Adds an attribute of text, with a final zero. */
  string(type: number, value: string): void {
    this.bytes(type, encoder.encode(`${value}\0`));
  }

  /** Adds an attribute of 8 bits. */
  u8(type: number, value: number): void {
    this.#view.setUint8(this.#attribute(type, 1), value);
  }

  /** Adds an attribute of 16 bits. */
  u16(type: number, value: number): void {
    this.#view.setUint16(this.#attribute(type, 2), value, true);
  }

  /** Adds an attribute of 32 bits. */
  u32(type: number, value: number): void {
    this.#view.setUint32(this.#attribute(type, 4), value, true);
  }

  /** Begins a nested attribute. @returns The argument for `end`. */
  begin(type: number): number {
    return this.#attribute(type | NLA_F_NESTED, 0) - NLATTR.size;
  }

  /** Ends a nested attribute. */
  end(at: number): void {
    this.#view.setUint16(at + NLATTR.length, this.#length - at, true);
  }

  /** The complete message, except for its sequence number. */
  finish(): Uint8Array<ArrayBuffer> {
    this.#view.setUint32(NLMSGHDR.length, this.#length, true);
    return this.#bytes.subarray(0, this.#length);
  }

  /** @returns Where the value goes. */
  #attribute(type: number, length: number): number {
    const at = this.#length;
    this.#view.setUint16(at + NLATTR.length, NLATTR.size + length, true);
    this.#view.setUint16(at + NLATTR.type, type, true);
    this.#length = at + attributeSize(length);
    return at + NLATTR.size;
  }
}

/** The header of a generic netlink message. */
export function genericHeader(command: number, version: number): Uint8Array {
  const header = new Uint8Array(GENLMSGHDR.size);
  header[GENLMSGHDR.command] = command;
  header[GENLMSGHDR.version] = version;
  return header;
}

/** The kernel's answer to one request. */
export class Reply {
  /** Whether the answer is complete. */
  ended = false;
  /** Whether something changed during a dump, so that its parts may be inconsistent. */
  interrupted = false;

  /** @param sequence The request's number; other messages are ignored. */
  constructor(readonly sequence: number) {}

  /**
   * Reads the messages of one datagram.
   *
   * @returns The payload of each, after its netlink header.
   * @throws {UapiError} With the error that the kernel reports; `EPROTO` if this is not netlink.
   */
  *read(datagram: Uint8Array): Generator<Uint8Array, void> {
    const view = viewOf(datagram);
    for (let at = 0; at < datagram.length && !this.ended;) {
      const left = datagram.length - at;
      const length = left < NLMSGHDR.size ? 0 : view.getUint32(at + NLMSGHDR.length, true);
      if (length < NLMSGHDR.size || length > left) throw truncated("message");
      const payload = datagram.subarray(at + NLMSGHDR.size, at + length);
      if (view.getUint32(at + NLMSGHDR.sequence, true) === this.sequence) {
        const type = view.getUint16(at + NLMSGHDR.type, true);
        this.interrupted ||= (view.getUint16(at + NLMSGHDR.flags, true) & NLM_F_DUMP_INTR) !== 0;
        if (type === NLMSG_ERROR || type === NLMSG_DONE) this.#end(type, payload);
        else if (type >= NLMSG_MIN_TYPE) yield payload;
      }
      at += aligned(length);
    }
  }

  /** Both kinds of final message begin with an errno, which is 0 or negative. */
  #end(type: number, payload: Uint8Array): void {
    this.ended = true;
    if (payload.length < 4) {
      if (type === NLMSG_ERROR) throw truncated("error");
      return;
    }
    const errno = -viewOf(payload).getInt32(0, true);
    if (errno !== 0) throw new UapiError(errno, `the kernel reports errno ${errno}`);
  }
}

/**
 * Iterates over attributes.
 *
 * @param bytes The bytes after a message's header, or the value of a nested attribute.
 * @throws {UapiError} `EPROTO` if the last one does not end where the bytes end.
 */
export function* attributes(bytes: Uint8Array): Generator<Attribute, void> {
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length;) {
    const left = bytes.length - at;
    const length = left < NLATTR.size ? 0 : view.getUint16(at + NLATTR.length, true);
    if (length < NLATTR.size || length > left) throw truncated("attribute");
    const type = view.getUint16(at + NLATTR.type, true) & NLA_TYPE_MASK;
    yield new Attribute(type, bytes.subarray(at + NLATTR.size, at + length));
    at += aligned(length);
  }
}

/** An attribute: a number and a value. Its readers throw `EPROTO` if the value has another size. */
export class Attribute {
  /**
   * @param type Its number, without flags.
   * @param value Its bytes, still in the datagram.
   */
  constructor(readonly type: number, readonly value: Uint8Array) {}

  /** A copy of the value, which must have this number of bytes. */
  bytes(length: number): Uint8Array {
    this.#sized(length);
    return this.value.slice();
  }

  /** 8 bits. */
  u8(): number {
    return this.#sized(1).getUint8(0);
  }

  /** 16 bits. */
  u16(): number {
    return this.#sized(2).getUint16(0, true);
  }

  /** 32 bits. */
  u32(): number {
    return this.#sized(4).getUint32(0, true);
  }

  /** 64 bits; not exact above 2^53. */
  u64(): number {
    return Number(this.#sized(8).getBigUint64(0, true));
  }

  /** Text, up to the zero that ends it. */
  string(): string {
    const zero = this.value.indexOf(0);
    return decoder.decode(zero < 0 ? this.value : this.value.subarray(0, zero));
  }

  #sized(length: number): DataView {
    if (this.value.length !== length) {
      const wrong = `attribute ${this.type} with ${this.value.length} bytes, not ${length}`;
      throw new UapiError(Errno.EPROTO, `the kernel's answer has an ${wrong}`);
    }
    return viewOf(this.value);
  }
}

/** A `DataView` of bytes that may be a part of a buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function truncated(what: string): UapiError {
  return new UapiError(Errno.EPROTO, `the kernel's answer ends inside a netlink ${what}`);
}
