import { deepEqual } from "node:assert/strict";
import { noble } from "../../lab.ts";
import vectors from "../../vectors/handshake.json" with { type: "json" };
import { transcript } from "../../vectors/handshake.ts";
import { wasm } from "../../wasm_backend.ts";

// The file was made on noble. wireguard-go ecfc5a8d5446 takes in its initiations, answers them with the same bytes and
// derives the same keys, when its randomness is replaced by the file's.
for (const [name, backend] of Object.entries({ noble, wasm })) {
  Deno.test(`the handshake on ${name} is that of tests/vectors/handshake.json to the byte`, () => {
    for (const expected of vectors) {
      const presharedKey = Uint8Array.fromHex(expected.presharedKey);
      deepEqual(transcript(backend, presharedKey.some((byte) => byte !== 0) ? presharedKey : null), expected);
    }
  });
}
