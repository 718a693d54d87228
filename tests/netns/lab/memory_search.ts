/**
 * Searches for bytes in the memory of another process.
 *
 * @module
 */

/** Bytes read at a time. */
const PIECE = 4 << 20;

/**
 * Counts the occurrences of bytes in the writable memory of a process.
 *
 * @param process Its folder in /proc.
 * @returns For each of `needles`, how often it stands there.
 */
export function occurrences(process: string, needles: readonly Uint8Array[]): number[] {
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
  const counts = needles.map(() => 0);
  const buffer = new Uint8Array(PIECE + overlap);
  using memory = Deno.openSync(`${process}/mem`);
  for (const line of Deno.readTextFileSync(`${process}/maps`).split("\n")) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (from === undefined) continue;
    const end = Number(`0x${to}`);
    for (let at = Number(`0x${from}`); at < end; at += PIECE) {
      const piece = read(memory, at, buffer.subarray(0, end - at));
      for (const [i, needle] of needles.entries()) counts[i]! += beginningIn(piece, needle);
    }
  }
  return counts;
}

/** The bytes at an address; nothing if they cannot be read. */
function read(memory: Deno.FsFile, at: number, buffer: Uint8Array): Uint8Array {
  try {
    memory.seekSync(at, Deno.SeekMode.Start);
    return buffer.subarray(0, memory.readSync(buffer) ?? 0);
  } catch {
    return buffer.subarray(0, 0);
  }
}

/** Those that begin within a piece; the next piece begins again with the overlap. */
function beginningIn(piece: Uint8Array, needle: Uint8Array): number {
  let count = 0;
  for (let at = piece.indexOf(needle[0]!); at >= 0 && at < PIECE; at = piece.indexOf(needle[0]!, at + 1)) {
    if (needle.every((byte, i) => piece[at + i] === byte)) count++;
  }
  return count;
}
