import { deepEqual, rejects } from "node:assert/strict";
import { parseConfig } from "../../../core/config/format.ts";
import { parseKey } from "../../../core/config/key.ts";
import { parsePrefix } from "../../../core/config/prefix.ts";
import { ValueError } from "../../../core/config/values.ts";
import type { DeviceState } from "../../../core/uapi/get.ts";
import { completeUpdate, configurationChange } from "../../../core/client/update.ts";

const TEXT = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const publicKey = parseKey(TEXT)!;
const peer = { publicKey, remove: false, updateOnly: false, replaceAllowedIps: false, allowedIps: [] };

Deno.test("an update changes only what it names", async () => {
  deepEqual(await completeUpdate({}), { replacePeers: false, peers: [] });
  deepEqual(await completeUpdate({ listenPort: 1, peers: [{ publicKey }] }), {
    replacePeers: false,
    listenPort: 1,
    peers: [peer],
  });
});

Deno.test("text in an update has the format of a configuration file", async () => {
  const prefix = parsePrefix("10.0.0.0/24")!;
  const { peers: [text] } = await completeUpdate({
    peers: [{
      publicKey: TEXT,
      endpoint: "[fd00::1]:51820",
      allowedIps: ["10.0.0.0/24", "-10.0.0.0/24", prefix, { remove: true, prefix }],
    }],
  });
  deepEqual(text, {
    ...peer,
    endpoint: { family: 6, address: parsePrefix("fd00::1")!.address, port: 51820, scope: 0 },
    allowedIps: [false, true, false, true].map((remove) => ({ remove, prefix })),
  });
});

Deno.test("text that is wrong is refused with advice", async () => {
  for (
    const wrong of [
      { publicKey: "abc" },
      { publicKey, endpoint: "192.0.2.1" },
      { publicKey, endpoint: "192.0.2.1:70000" },
      { publicKey, allowedIps: ["10.0.0.0/33"] },
    ]
  ) {
    await rejects(
      completeUpdate({ peers: [wrong] }),
      (error) => error instanceof ValueError && error.advice !== "",
    );
  }
});

Deno.test("a configuration is converted to the difference from the interface, or applied as a whole", async () => {
  const config = parseConfig(`[Interface]\nListenPort = 51820\n[Peer]\nPublicKey = ${TEXT}\n`);
  const gone = parseKey("4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=")!;
  const state: DeviceState = {
    listenPort: 1,
    fwmark: 0,
    peers: [gone, publicKey].map((publicKey) => ({
      publicKey,
      lastHandshake: { seconds: 0, nanoseconds: 0 },
      txBytes: 0,
      rxBytes: 0,
      persistentKeepalive: 0,
      allowedIps: [],
    })),
  };
  const change = async (mode: "sync" | "set" | "add") => {
    const { replacePeers, peers, privateKey } = await configurationChange(
      config,
      mode,
      () => Promise.resolve(state),
    );
    return {
      replacePeers,
      reset: privateKey !== undefined,
      peers: peers.map(({ publicKey, remove }) => [publicKey, remove]),
    };
  };
  const own = [publicKey, false];
  deepEqual(await change("sync"), { replacePeers: false, reset: true, peers: [[gone, true], own] });
  deepEqual(await change("set"), { replacePeers: true, reset: true, peers: [own] });
  deepEqual(await change("add"), { replacePeers: false, reset: false, peers: [own] });
});
