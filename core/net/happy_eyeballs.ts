/**
 * Happy Eyeballs (RFC 8305): tries all addresses of a name, each a little later than the one before, and uses the first
 * connection that opens.
 *
 * @module
 */

/** Milliseconds between the beginnings of two attempts (RFC 8305 §5). */
const ATTEMPT_DELAY = 250;

/** Orders the addresses of two families: one of the first family, then alternating (RFC 8305 §4). */
export function interleave<T>(first: readonly T[], second: readonly T[]): T[] {
  const order: T[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    if (i < first.length) order.push(first[i]!);
    if (i < second.length) order.push(second[i]!);
  }
  return order;
}

/**
 * Tries all addresses until one of them works.
 *
 * @param attempt Tries one address until the signal is aborted.
 * @param discard Closes a connection that came too late.
 * @returns The result of the first attempt that succeeded.
 * @throws The error of the last attempt if all failed; the signal's reason if it was aborted.
 */
export async function firstOf<Address, Result>(
  addresses: readonly Address[],
  attempt: (address: Address, signal: AbortSignal) => Promise<Result>,
  discard: (result: Result) => void,
  signal?: AbortSignal,
  delay: number = ATTEMPT_DELAY,
): Promise<Result> {
  signal?.throwIfAborted();
  const others = new AbortController();
  const any = signal ? AbortSignal.any([signal, others.signal]) : others.signal;
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  let next = 0;
  let running = 0;
  let won = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const begin = () => {
    clearTimeout(timer);
    if (won || next >= addresses.length) return;
    running++;
    attempt(addresses[next++]!, any).then((result) => {
      if (won) return discard(result);
      won = true;
      resolve(result);
    }, (error) => {
      running--;
      // After a failure the next attempt begins at once.
      if (next < addresses.length && !any.aborted) begin();
      else if (running === 0) reject(error);
    });
    timer = setTimeout(begin, delay);
  };
  const aborted = () => reject(signal!.reason);
  signal?.addEventListener("abort", aborted, { once: true });
  try {
    begin();
    return await promise;
  } finally {
    won = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", aborted);
    others.abort();
  }
}
