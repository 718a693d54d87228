/**
 * ClientHellos for tests: written from their fields, and recorded from Deno's own client.
 *
 * @module
 */

/** The fields of a ClientHello. */
export interface Hello {
  readonly session?: Uint8Array;
  readonly ciphers?: Uint8Array;
  /** Type and data of each extension; undefined if it ends before them. */
  readonly extensions?: readonly (readonly [type: number, data: Uint8Array])[] | undefined;
}

const encoder = new TextEncoder();

/** Concatenates bytes. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A field after its length. */
export function list(lengthBytes: number, data: Uint8Array): Uint8Array {
  const length = Array.from(
    { length: lengthBytes },
    (_, i) => data.length >> 8 * (lengthBytes - 1 - i) & 0xff,
  );
  return concat(Uint8Array.from(length), data);
}

/** The data of the extension server_name. */
export function serverNames(...names: readonly (readonly [type: number, name: string])[]): Uint8Array {
  return list(
    2,
    concat(...names.map(([type, name]) => concat(Uint8Array.of(type), list(2, encoder.encode(name))))),
  );
}

/** The message. */
export function clientHello(
  { session = new Uint8Array(32), ciphers = Uint8Array.of(0x13, 1), extensions = [] }: Hello,
): Uint8Array {
  const body = concat(
    Uint8Array.of(3, 3),
    new Uint8Array(32).fill(7),
    list(1, session),
    list(2, ciphers),
    list(1, new Uint8Array(1)),
    extensions
      ? list(
        2,
        concat(
          ...extensions.map(([type, data]) => concat(Uint8Array.of(type >> 8, type & 0xff), list(2, data))),
        ),
      )
      : new Uint8Array(),
  );
  return concat(Uint8Array.of(1), list(3, body));
}

/** The records of a message. @param cuts Where a record ends, besides the last one. */
export function records(message: Uint8Array, cuts: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const places = [...new Set([0, ...cuts, message.length])].sort((a, b) => a - b);
  return concat(
    ...places.slice(1).map((end, i) =>
      concat(Uint8Array.of(22, 3, 1), list(2, message.subarray(places[i], end)))
    ),
  );
}

/** What Deno's own client sends first. */
export async function recordedHello(hostname: string): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const connecting = Deno.connect({ hostname: "127.0.0.1", port }).then((conn) =>
    Deno.startTls(conn, { hostname })
  );
  // It fails, because nobody answers it.
  const failed = connecting.then((conn) => conn.handshake()).catch(() => {});
  using conn = await listener.accept();
  const buffer = new Uint8Array(16_384);
  const length = await conn.read(buffer);
  conn.close();
  await failed;
  return buffer.slice(0, length!);
}
