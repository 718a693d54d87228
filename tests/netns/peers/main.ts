/**
 * Sets up everything that the tests in namespaces need, and says what it does. A second run finds it all and is quick.
 *
 * @module
 */

import { ensurePrograms, PACKAGED, peer, PEERS, PeerUnavailable } from "./mod.ts";
import { say } from "./cache.ts";

let missing = 0;
for (
  const [name, make] of [
    ["programs", () => ensurePrograms(...PACKAGED)],
    ...PEERS.map((name) => [name, () => peer(name)] as const),
  ] as const
) {
  try {
    await make();
    say(`${name}: ready`);
  } catch (error) {
    if (!(error instanceof PeerUnavailable)) throw error;
    missing++;
    say(`${name}: not to be had, its tests will be skipped: ${error.message}`);
  }
}
Deno.exitCode = missing === 0 ? 0 : 3;
