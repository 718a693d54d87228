/**
 * Secrets at rest.
 *
 * @module
 */

import { deepEqual, equal, notEqual, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import { KEY_FILE, Seal, SealError } from "../../../core/web/sign_in/seal.ts";

const seal = new Seal(new Uint8Array(32).fill(7));

Deno.test("Seal: a sealed text opens only for its place and with its key", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.string(), (text, place) => {
      const sealed = seal.seal(text, place);
      equal(seal.open(sealed, place), text);
      throws(() => seal.open(sealed, `${place}.`), SealError);
      throws(() => new Seal(new Uint8Array(32)).open(sealed, place), SealError);
    }),
  );
  notEqual(seal.seal("same", "a"), seal.seal("same", "a"));
});

Deno.test("Seal: nothing but a sealed text opens", () => {
  const sealed = seal.seal("secret", "place");
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.slice(0, i) + (sealed[i] === "B" ? "C" : "B") + sealed.slice(i + 1);
    throws(() => seal.open(changed, "place"), SealError, `${i}`);
  }
  fc.assert(fc.property(fc.string(), (text) => throws(() => seal.open(text, "place"), SealError)));
});

Deno.test("Seal.open(): concurrent calls get the same key, and leave no other files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const seals = await Promise.all(Array.from({ length: 20 }, () => Seal.open(folder)));
    const sealed = seals[0]!.seal("secret", "place");
    for (const seal of seals) equal(seal.open(sealed, "place"), "secret");
    deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), [KEY_FILE]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Seal.open() makes the key once, readable only by its owner, and refuses a key that others can read", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const sealed = (await Seal.open(folder)).seal("secret", "place");
    equal((await Deno.stat(`${folder}/${KEY_FILE}`)).mode! & 0o777, 0o600);
    equal((await Seal.open(folder)).open(sealed, "place"), "secret");
    await Deno.chmod(`${folder}/${KEY_FILE}`, 0o640);
    await rejects(Seal.open(folder), /others may read/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
