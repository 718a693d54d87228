/**
 * The four messages on the wire (whitepaper §5.4.2, §5.4.3, §5.4.6, §5.4.7): types, sizes, where each field is.
 *
 * @module
 */

/** Type of a handshake initiation. */
export const MESSAGE_INITIATION = 1;
/** Type of a handshake response. */
export const MESSAGE_RESPONSE = 2;
/** Type of a cookie reply. */
export const MESSAGE_COOKIE_REPLY = 3;
/** Type of transport data. */
export const MESSAGE_DATA = 4;

/** Bytes of a handshake initiation. */
export const INITIATION_LENGTH = 148;
/** Bytes of a handshake response. */
export const RESPONSE_LENGTH = 92;
/** Bytes of a cookie reply. */
export const COOKIE_REPLY_LENGTH = 64;
/** Bytes that a data message has beyond the padded packet in it: its header and the authentication tag. */
export const DATA_OVERHEAD = 32;
/** Bytes of a keepalive: a data message without content. */
export const KEEPALIVE_LENGTH = DATA_OVERHEAD;

/** Bytes of an authentication tag, of either kind of MAC, and of a cookie. */
export const TAG_LENGTH = 16;
/** Bytes of a TAI64N timestamp. */
export const TIMESTAMP_LENGTH = 12;

/** A field's first byte and the byte after its last. */
export type Field = readonly [start: number, end: number];

/** Fields of a handshake initiation; the sender's index is at 4. */
export const Initiation = {
  sender: 4,
  ephemeral: [8, 40],
  static: [40, 88],
  timestamp: [88, 116],
} as const;

/** Fields of a handshake response; the sender's index is at 4, the receiver's at 8. */
export const Response = {
  sender: 4,
  receiver: 8,
  ephemeral: [12, 44],
  nothing: [44, 60],
} as const;

/** Fields of a cookie reply; the receiver's index is at 4. */
export const CookieReply = {
  receiver: 4,
  nonce: [8, 32],
  cookie: [32, 64],
} as const;

/**
 * The first four bytes as one little-endian number. This is a message's type if it is one of ours: the three reserved
 * bytes must be zero, so any other value gives another number.
 *
 * @param message At least four bytes.
 */
export function messageType(message: Uint8Array): number {
  return readIndex(message, 0);
}

/** Whether a datagram has the type and the exact length of an initiation, a response or a cookie reply. */
export function isHandshakeMessage(datagram: Uint8Array): boolean {
  switch (datagram.length) {
    case INITIATION_LENGTH:
      return messageType(datagram) === MESSAGE_INITIATION;
    case RESPONSE_LENGTH:
      return messageType(datagram) === MESSAGE_RESPONSE;
    case COOKIE_REPLY_LENGTH:
      return messageType(datagram) === MESSAGE_COOKIE_REPLY;
    default:
      return false;
  }
}

/** Reads a little-endian u32, as indices and types are. */
export function readIndex(message: Uint8Array, at: number): number {
  return (message[at]! | message[at + 1]! << 8 | message[at + 2]! << 16 | message[at + 3]! << 24) >>> 0;
}

/** Writes a little-endian u32, as indices and types are. */
export function writeIndex(message: Uint8Array, at: number, value: number): void {
  message[at] = value;
  message[at + 1] = value >>> 8;
  message[at + 2] = value >>> 16;
  message[at + 3] = value >>> 24;
}

/** A view of one field. */
export function field(message: Uint8Array, [start, end]: Field): Uint8Array {
  return message.subarray(start, end);
}

/** A view of the bytes that mac1 covers: all before it (whitepaper §5.4.4). */
export function beforeMac1(message: Uint8Array): Uint8Array {
  return message.subarray(0, message.length - 2 * TAG_LENGTH);
}

/** A view of mac1, the second to last 16 bytes of an initiation or response. */
export function mac1(message: Uint8Array): Uint8Array {
  return message.subarray(message.length - 2 * TAG_LENGTH, message.length - TAG_LENGTH);
}

/** A view of the bytes that mac2 covers: all before it, mac1 included (whitepaper §5.4.4). */
export function beforeMac2(message: Uint8Array): Uint8Array {
  return message.subarray(0, message.length - TAG_LENGTH);
}

/** A view of mac2, the last 16 bytes of an initiation or response. */
export function mac2(message: Uint8Array): Uint8Array {
  return message.subarray(message.length - TAG_LENGTH);
}
