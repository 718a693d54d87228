/**
 * The first start through the whole API.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { newSetupToken } from "../../../core/web/setup.ts";
import { World } from "./world.ts";

Deno.test("setup: a weak password is refused, and the link can be used again", async () => {
  await using world = await World.start();
  await world.store.database.run("DELETE FROM users");
  const token = await newSetupToken(world.store);
  const network = { name: "wg0", address: "10.8.0.1/24", endpoint: "vpn.example" };
  const set = (password: string) =>
    world.browser().post("/setup", { token, admin: { name: "anna-the-first", password }, network });
  for (const password of ["short", "aaaaaaaaaaaa", "Anna-The-First"]) {
    const { status, body } = await set(password);
    equal(status, 400, password);
    equal(body.error.code, "weak-password");
    equal(body.error.field, "password");
  }
  equal((await set("a long password")).status, 200);
});
