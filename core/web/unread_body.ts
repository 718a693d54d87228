/**
 * Bodies of responses that need little memory while their clients do not read them.
 *
 * @module
 */

/** Bytes of one part. If a client reads slowly, HTTP/2 keeps one part for it. */
const PART = 16 << 10;

/**
 * A body whose bytes are not copied. `new Response(bytes)` copies them, and keeps the copy until the client has read the
 * response.
 */
export function sharedBody(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.subarray(at, at += PART));
      if (at >= bytes.length) controller.close();
    },
  }, { highWaterMark: 0 });
}

/**
 * The same response with a body that is a stream. Deno gives bytes to its HTTP library at once, which keeps them for the
 * client, and then counts the response as finished. A stream is read as fast as the client reads, so it shows which
 * responses are not finished.
 */
export function asStream(response: Response): Response {
  const reader = response.body?.getReader();
  if (!reader) return response;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return new Response(body, response);
}
