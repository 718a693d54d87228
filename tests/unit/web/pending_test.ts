/**
 * Changes that are stored while the keeper is away: the answer says so, and the interface follows.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { openApi } from "../../../core/web/openapi.ts";
import { routes } from "../../../core/web/routes/mod.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { type Answer, type Browser, World } from "./world.ts";

interface Scene {
  readonly world: World;
  readonly admin: Browser;
  readonly anna: string;
  readonly device: string;
  readonly publicKey: string;
}

interface Change {
  readonly request: (scene: Scene) => Promise<Answer>;
  /** Whether the store has it. */
  readonly isStored: (scene: Scene) => Promise<boolean>;
  /** It does not cut the device off. */
  readonly keepsDevice?: boolean;
}

async function staff({ world }: Scene): Promise<string | undefined> {
  return (await world.store.groups.list()).find(({ name }) => name === "staff")?.id;
}

/** By routes; each is requested while the keeper answers nothing, or nothing any more. */
const CHANGES: Readonly<Record<string, Change>> = {
  "PATCH /devices/:id": {
    request: ({ admin, device }) => admin.patch(`/devices/${device}`, { disabled: true }),
    isStored: async ({ world, device }) => (await world.store.devices.find(device))!.disabledAt !== null,
  },
  "PATCH /users/:id": {
    request: ({ admin, anna }) => admin.patch(`/users/${anna}`, { disabled: true }),
    isStored: async ({ world, anna }) => (await world.store.users.find(anna))!.disabledAt !== null,
  },
  "PATCH /groups/:id": {
    request: async (scene) => await scene.admin.patch(`/groups/${await staff(scene)}`, { networks: [] }),
    isStored: async (scene) =>
      (await scene.world.store.groups.find((await staff(scene))!))!.networks.length === 0,
  },
  "DELETE /groups/:id": {
    request: async (scene) => await scene.admin.delete(`/groups/${await staff(scene)}`),
    isStored: async (scene) => await staff(scene) === undefined,
  },
  "POST /networks": {
    request: ({ admin, world }) => {
      world.keeper.away = false;
      world.keeper.awayAfter = "makeNetwork";
      return admin.post("/networks", { name: "wg1", address: "10.9.0.1/24", endpoint: "vpn.example" });
    },
    isStored: async ({ world }) => await world.store.networks.find("wg1") !== undefined,
    keepsDevice: true,
  },
  "DELETE /networks/:id": {
    request: ({ admin, world }) => {
      world.keeper.away = false;
      world.keeper.awayAfter = "unsettle";
      return admin.delete("/networks/wg0");
    },
    isStored: async ({ world }) => await world.store.networks.find("wg0") === undefined,
    keepsDevice: true,
  },
};

for (const [name, { request, isStored, keepsDevice }] of Object.entries(CHANGES)) {
  Deno.test(`${name}: while the keeper is away it is stored, the answer says so, and it is applied later`, async () => {
    await using world = await World.start();
    const admin = await world.signedIn();
    const anna = await world.addUser(admin, "anna");
    const { publicKey } = generateKeys();
    const added = await admin.post("/devices", { network: "wg0", name: "phone", publicKey, owner: anna });
    const scene = { world, admin, anna, device: added.body.id, publicKey };
    await world.peers.sync();
    ok(world.hasPeer(publicKey));
    world.keeper.away = true;
    const { status, body } = await request(scene);
    equal(status, 202, JSON.stringify(body));
    equal(body.pending.code, "keeper");
    match(
      body.pending.message,
      /^the change is stored, but .* away\. wgd web repeats that until it succeeds$/,
    );
    ok(await isStored(scene));
    if (keepsDevice) return;
    ok(world.hasPeer(publicKey));
    equal((await admin.get("/me")).body.settled, false);
    world.keeper.away = false;
    await eventually("the peer to be removed", () => !world.hasPeer(publicKey));
    await eventually("the interfaces to be settled", async () => (await admin.get("/me")).body.settled);
  });
}

Deno.test("the description of the API has the answer 202 where it may be given", () => {
  const { paths, components } = openApi(routes) as {
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
    components: { responses: Record<string, unknown> };
  };
  ok(components.responses["Pending"]);
  const found = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).filter(([, { responses }]) => "202" in responses)
      .map(([method]) =>
        `${method.toUpperCase()} ${path.replace("/api/v1", "").replace(/\{(\w+)\}/g, ":$1")}`
      )
  );
  const others = ["PATCH /me/devices/:id", "DELETE /users/:id", "DELETE /providers/:id"];
  deepEqual(found.sort(), [...Object.keys(CHANGES), ...others].sort());
});
