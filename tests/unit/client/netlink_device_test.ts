import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  GENLMSGHDR,
  NLMSGHDR,
  WGALLOWEDIP_A_FLAGS,
  WGDEVICE_A_FLAGS,
  WGDEVICE_A_IFNAME,
  WGDEVICE_A_PEERS,
  WGPEER_A_ALLOWEDIPS,
  WGPEER_A_FLAGS,
  WGPEER_A_LAST_HANDSHAKE_TIME,
  WGPEER_A_PUBLIC_KEY,
  WGPEER_A_RX_BYTES,
  WGPEER_A_TX_BYTES,
  WGPEER_F_REMOVE_ME,
  WGPEER_F_REPLACE_ALLOWEDIPS,
  WGPEER_F_UPDATE_ONLY,
} from "../../../ffi/linux/constants.ts";
import { formatHexKey } from "../../../core/config/key.ts";
import { parsePrefix } from "../../../core/config/prefix.ts";
import { toChange, toConfig } from "../../../core/uapi/convert.ts";
import type { DeviceState } from "../../../core/uapi/get.ts";
import { UapiError } from "../../../core/uapi/lines.ts";
import type { DeviceChange } from "../../../core/uapi/set.ts";
import { attributes, MessageWriter, viewOf } from "../../../core/client/netlink.ts";
import { formatGetDevice, formatSetDevice, readDevice } from "../../../core/client/netlink_device.ts";
import { deviceState } from "../../cli/arbitraries.ts";

const FAMILY = 27;
const LIMIT = 32_768;

const payloadOf = (message: Uint8Array) => message.subarray(NLMSGHDR.size);
const attributesOf = (message: Uint8Array) => attributes(payloadOf(message).subarray(GENLMSGHDR.size));

function nothing(): DeviceState {
  return { listenPort: 0, fwmark: 0, peers: [] };
}

/** A key that nothing else has. */
function key(number: number): Uint8Array {
  const bytes = new Uint8Array(32).fill(9);
  viewOf(bytes).setUint32(0, number, true);
  return bytes;
}

function changeOf(state: DeviceState): DeviceChange {
  return toChange(toConfig(state), state.peers.map(({ endpoint }) => endpoint), "set");
}

/** What the flags of each peer of each message are. */
function peerFlags(messages: readonly Uint8Array[]): { peer: string; flags: number; allowedIps: number }[][] {
  return messages.map((message) =>
    [...attributesOf(message)].filter(({ type }) => type === WGDEVICE_A_PEERS).flatMap(({ value }) =>
      [...attributes(value)].map(({ value }) => {
        const parts = [...attributes(value)];
        const part = (wanted: number) => parts.find(({ type }) => type === wanted);
        return {
          peer: formatHexKey(part(WGPEER_A_PUBLIC_KEY)!.value),
          flags: part(WGPEER_A_FLAGS)?.u32() ?? 0,
          allowedIps: [...attributes(part(WGPEER_A_ALLOWEDIPS)?.value ?? new Uint8Array())].length,
        };
      })
    )
  );
}

Deno.test("readDevice() reads what formatSetDevice() wrote", () => {
  fc.assert(fc.property(deviceState, (state) => {
    const seen = new Set<string>();
    const peers = state.peers.filter(({ publicKey }) => seen.size < seen.add(formatHexKey(publicKey)).size);
    const read = nothing();
    for (const message of formatSetDevice(FAMILY, "wg0", changeOf({ ...state, peers }))) {
      ok(message.length <= LIMIT);
      readDevice(read, payloadOf(message));
    }
    // What only the kernel says.
    const told = { lastHandshake: { seconds: 0, nanoseconds: 0 }, txBytes: 0, rxBytes: 0 };
    deepEqual(read, { ...state, peers: peers.map((peer) => ({ ...peer, ...told })) });
  }));
});

Deno.test("a change of thousands of peers and allowed IPs goes in parts that can be put together", () => {
  const allowedIps = (number: number) =>
    Array.from(
      { length: number },
      (_, i) => parsePrefix(`fd00::${(i >> 8).toString(16)}:${(i & 255).toString(16)}/128`)!,
    );
  const state: DeviceState = {
    ...nothing(),
    listenPort: 5,
    peers: Array.from({ length: 1_500 }, (_, i) => ({
      publicKey: key(i),
      presharedKey: key(1_000_000 + i),
      endpoint: { family: 6, address: new Uint8Array(16).fill(i), port: i, scope: i % 3 },
      lastHandshake: { seconds: 0, nanoseconds: 0 },
      txBytes: 0,
      rxBytes: 0,
      persistentKeepalive: i,
      allowedIps: allowedIps(i === 700 ? 5_000 : i % 10),
    })),
  };
  const messages = [...formatSetDevice(FAMILY, "wg0", changeOf(state))];
  ok(messages.length > 10);
  const read = nothing();
  for (const message of messages) {
    ok(message.length <= LIMIT);
    readDevice(read, payloadOf(message));
  }
  deepEqual(read, state);
});

Deno.test("only the first message replaces peers, only a peer's first part its allowed IPs; update-only is in all", () => {
  const prefixes = Array.from({ length: 3_000 }, (_, i) => parsePrefix(`10.0.${i >> 8}.${i & 255}`)!);
  const messages = [...formatSetDevice(FAMILY, "wg0", {
    privateKey: key(0),
    listenPort: 1,
    fwmark: 2,
    replacePeers: true,
    peers: [
      {
        publicKey: key(1),
        remove: true,
        updateOnly: false,
        replaceAllowedIps: true,
        allowedIps: [],
        persistentKeepalive: 5,
      },
      {
        publicKey: key(2),
        remove: false,
        updateOnly: true,
        replaceAllowedIps: true,
        allowedIps: prefixes.map((prefix) => ({ remove: false, prefix })),
      },
    ],
  })];
  const [first, ...rest] = messages.map((message) => [...attributesOf(message)].map(({ type }) => type));
  ok(rest.length > 1);
  ok(first!.includes(WGDEVICE_A_FLAGS));
  for (const types of rest) deepEqual(types, [WGDEVICE_A_IFNAME, WGDEVICE_A_PEERS]);
  const [[removed, begun] = [], ...continued] = peerFlags(messages);
  deepEqual([removed!.flags, begun!.flags], [
    WGPEER_F_REMOVE_ME,
    WGPEER_F_UPDATE_ONLY | WGPEER_F_REPLACE_ALLOWEDIPS,
  ]);
  let total = begun!.allowedIps;
  for (const [part, ...others] of continued) {
    equal(others.length, 0);
    deepEqual([part!.peer, part!.flags], [begun!.peer, WGPEER_F_UPDATE_ONLY]);
    total += part!.allowedIps;
  }
  equal(total, prefixes.length);
});

Deno.test("an allowed IP to remove has a flag, and one to add has none", () => {
  const prefix = parsePrefix("10.0.0.0/8")!;
  const [message] = formatSetDevice(FAMILY, "wg0", {
    replacePeers: false,
    peers: [{
      publicKey: key(1),
      remove: false,
      updateOnly: false,
      replaceAllowedIps: false,
      allowedIps: [{ remove: true, prefix }, { remove: false, prefix }],
    }],
  });
  const inside = (bytes: Uint8Array, wanted: number) =>
    [...attributes(bytes)].find(({ type }) => type === wanted)!.value;
  const [peer] = attributes([...attributesOf(message!)].find(({ type }) => type === WGDEVICE_A_PEERS)!.value);
  const flags = [...attributes(inside(peer!.value, WGPEER_A_ALLOWEDIPS))].map(({ value }) =>
    [...attributes(value)].find(({ type }) => type === WGALLOWEDIP_A_FLAGS)?.u32()
  );
  deepEqual(flags, [1, undefined]);
});

Deno.test("readDevice() reads handshakes and counters, and ignores unknown attributes", () => {
  const timespec = new Uint8Array(16);
  viewOf(timespec).setBigInt64(0, 1_700_000_000n, true);
  viewOf(timespec).setBigInt64(8, 999_999_999n, true);
  const count = (number: bigint) => {
    const bytes = new Uint8Array(8);
    viewOf(bytes).setBigUint64(0, number, true);
    return bytes;
  };
  const writer = new MessageWriter(1024, FAMILY, 0, new Uint8Array(GENLMSGHDR.size));
  writer.u32(99, 1);
  const peers = writer.begin(WGDEVICE_A_PEERS);
  const peer = writer.begin(0);
  writer.u32(98, 1);
  writer.bytes(WGPEER_A_PUBLIC_KEY, key(1));
  writer.bytes(WGPEER_A_LAST_HANDSHAKE_TIME, timespec);
  writer.bytes(WGPEER_A_RX_BYTES, count(2n ** 53n));
  writer.bytes(WGPEER_A_TX_BYTES, count(5n));
  writer.end(peer);
  writer.end(peers);
  const state = nothing();
  readDevice(state, payloadOf(writer.finish()));
  deepEqual(state, {
    ...nothing(),
    peers: [{
      publicKey: key(1),
      lastHandshake: { seconds: 1_700_000_000, nanoseconds: 999_999_999 },
      rxBytes: 2 ** 53,
      txBytes: 5,
      persistentKeepalive: 0,
      allowedIps: [],
    }],
  });
});

Deno.test("readDevice() throws only UapiError for any broken answer", () => {
  const broken = fc.record({
    state: deviceState,
    changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
    cut: fc.option(fc.nat()),
  });
  let refused = 0;
  fc.assert(
    fc.property(broken, ({ state, changes, cut }) => {
      const [message] = formatSetDevice(FAMILY, "wg0", changeOf(state));
      const payload = payloadOf(message!).slice();
      for (const [at, value] of changes) payload[at % payload.length] = value;
      try {
        readDevice(nothing(), cut === null ? payload : payload.subarray(0, cut % payload.length));
      } catch (error) {
        if (!(error instanceof UapiError)) throw error;
        refused++;
      }
    }),
    { numRuns: 2_000 },
  );
  ok(refused > 100, `${refused} refused`);
});

Deno.test("a name that no interface can have is refused as the kernel refuses it", () => {
  const refused = (name: string) => {
    throws(() => formatGetDevice(FAMILY, name), (error: UapiError) => error.errno === 22);
    throws(
      () => [...formatSetDevice(FAMILY, name, changeOf(nothing()))],
      (error: UapiError) => error.errno === 22,
    );
  };
  refused("x".repeat(16));
  refused("é".repeat(8));
  refused("x".repeat(100_000));
  for (const name of ["", "x".repeat(15)]) {
    const [attribute] = attributesOf(formatGetDevice(FAMILY, name));
    equal(attribute!.string(), name);
  }
});
