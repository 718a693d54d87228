/**
 * The handshake's timestamp (whitepaper §5.1): TAI64N, 12 bytes whose order is the order in time. Format:
 * https://cr.yp.to/libtai/tai64.html.
 *
 * @module
 */

/** TAI64's 2^62 for 1970, and the 10 seconds by which TAI was ahead of UTC. Later leap seconds are left out. */
const EPOCH = 0x400000000000000an;
const SECOND = 1_000_000_000n;

/**
 * Nanoseconds between two different timestamps: 2^24, the largest power of two within the 20 ms that must pass between
 * initiations. Finer timestamps would tell others about our clock (the kernel's noise.c).
 */
export const TIMESTAMP_GRAIN = 1n << 24n;

/**
 * Writes the timestamp of a time.
 *
 * @param out 12 bytes.
 * @param wall Nanoseconds since 1970.
 */
export function writeTimestamp(out: Uint8Array, wall: bigint): void {
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  const nanoseconds = wall % SECOND;
  view.setBigUint64(0, EPOCH + wall / SECOND);
  view.setUint32(8, Number(nanoseconds - nanoseconds % TIMESTAMP_GRAIN));
}

/** Whether timestamp `a` is later than `b`. Compares their bytes in order, without interpreting them. */
export function isLater(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return a[i]! > b[i]!;
  }
  return false;
}
