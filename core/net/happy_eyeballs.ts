/**
 * Happy Eyeballs: a name with several addresses is tried at all of them, a little one after the other, and the first
 * connection that opens wins (RFC 8305).
 *
 * @module
 */

/** Milliseconds between the beginnings of two attempts (RFC 8305 §5). */
const ATTEMPT_DELAY = 250;

/** IPv6 first, and then in turns (RFC 8305 §4). */
export function interleave<T>(v6: readonly T[], v4: readonly T[]): T[] {
  const order: T[] = [];
  for (let i = 0; i < Math.max(v6.length, v4.length); i++) {
    if (i < v6.length) order.push(v6[i]!);
    if (i < v4.length) order.push(v4[i]!);
  }
  return order;
}

/**
 * Tries all addresses until one of them works.
 *
 * @param attempt Tries one; it gives up when the signal says so.
 * @param discard Ends what came too late.
 * @returns What the first that worked has made.
 * @throws The error of the last one, if none worked; the signal's reason if it was aborted.
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
      // What fails need not be waited for.
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
