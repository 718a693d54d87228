import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { formatHexKey } from "../../../core/config/key.ts";
import { parsePrefix } from "../../../core/config/prefix.ts";
import { formatGet, GetReader, parseGet, type PeerState } from "../../../core/uapi/get.ts";
import { formatErrno, UapiError } from "../../../core/uapi/lines.ts";
import { type DeviceChange, formatSet, parseSet, parseSetReply } from "../../../core/uapi/set.ts";
import { deviceState, key, prefix } from "../../cli/arbitraries.ts";

const K = "ab".repeat(32);
const ZERO = "0".repeat(64);

const change: fc.Arbitrary<DeviceChange> = fc.record({
  privateKey: key,
  listenPort: fc.nat(65535),
  fwmark: fc.nat(0xffffffff),
  replacePeers: fc.boolean(),
  peers: fc.array(
    fc.record({
      publicKey: key,
      remove: fc.constant(false),
      updateOnly: fc.boolean(),
      presharedKey: key,
      endpoint: fc.tuple(prefix, fc.nat(65535)).map(([{ family, address }, port]) => ({
        family,
        address,
        port,
        scope: 0,
      })),
      endpointName: fc.constantFrom("", "vpn.example:51820", "[fd00::1]:domain"),
      persistentKeepalive: fc.nat(65535),
      replaceAllowedIps: fc.boolean(),
      allowedIps: fc.array(fc.record({ remove: fc.boolean(), prefix })),
    }, { requiredKeys: ["publicKey", "remove", "updateOnly", "replaceAllowedIps", "allowedIps"] }),
  ),
}, { requiredKeys: ["replacePeers", "peers"] });

Deno.test("parseSet() reads back what formatSet() wrote", () => {
  fc.assert(fc.property(change, (value) => {
    const text = [...formatSet(value)].join("");
    ok(text.startsWith("set=1\n") && text.endsWith("\n\n"));
    deepEqual(parseSet(text.slice("set=1\n".length)), value);
  }));
});

Deno.test("parseGet() reads back what formatGet() wrote", () => {
  fc.assert(fc.property(deviceState, (state) => {
    const text = [...formatGet(state)].join("");
    ok(text.endsWith("errno=0\n\n"));
    deepEqual(parseGet(text), state);
  }));
});

Deno.test("GetReader reads a reply in pieces that end anywhere", () => {
  fc.assert(fc.property(deviceState, fc.array(fc.nat(200)), (state, lengths) => {
    const text = [...formatGet(state)].join("");
    const peers: PeerState[] = [];
    const reader = new GetReader((peer) => peers.push(peer));
    let at = 0;
    for (const length of [...lengths, text.length]) {
      reader.read(text.slice(at, at + length));
      at += length;
    }
    deepEqual({ ...reader.end(), peers }, state);
  }));
});

Deno.test("formatGet() writes the keys in wireguard-go's order", () => {
  const text = [...formatGet({
    listenPort: 5,
    fwmark: 7,
    peers: [{
      publicKey: new Uint8Array(32).fill(0xab),
      endpoint: { family: 4, address: Uint8Array.of(1, 2, 3, 4), port: 9, scope: 0 },
      lastHandshake: { seconds: 1, nanoseconds: 2 },
      txBytes: 3,
      rxBytes: 4,
      persistentKeepalive: 5,
      allowedIps: [parsePrefix("10.0.0.0/8")!],
    }],
  })].join("");
  deepEqual(text.split("\n"), [
    "listen_port=5",
    "fwmark=7",
    `public_key=${K}`,
    `preshared_key=${ZERO}`,
    "protocol_version=1",
    "endpoint=1.2.3.4:9",
    "last_handshake_time_sec=1",
    "last_handshake_time_nsec=2",
    "tx_bytes=3",
    "rx_bytes=4",
    "persistent_keepalive_interval=5",
    "allowed_ip=10.0.0.0/8",
    "errno=0",
    "",
    "",
  ]);
});

Deno.test("parseSet() refuses unknown keys and values with EINVAL", () => {
  const P = `public_key=${K}\n`;
  const lines = [
    "unknown=1",
    "PRIVATE_KEY=" + K,
    "private_key=",
    "private_key=" + K.slice(1),
    "listen_port=65536",
    "listen_port=-1",
    "listen_port=",
    "listen_port=+1",
    "listen_port= 1",
    "fwmark=4294967296",
    "fwmark=0x1",
    "fwmark=off",
    "replace_peers=false",
    "replace_peers=1",
    "replace_peers=",
    "public_key=" + K + "00",
    "preshared_key=" + K,
    "allowed_ip=1.2.3.4/32",
    `${P}private_key=${K}`,
    `${P}listen_port=1`,
    `${P}preshared_key=x`,
    `${P}endpoint=1.2.3.4`,
    `${P}endpoint=example.com:1`,
    `${P}endpoint=::1:1`,
    `${P}endpoint=[::1]:65536`,
    `${P}persistent_keepalive_interval=65536`,
    `${P}persistent_keepalive_interval=off`,
    `${P}replace_allowed_ips=`,
    `${P}allowed_ip=1.2.3.4`,
    `${P}allowed_ip=1.2.3.4/33`,
    `${P}allowed_ip=+1.2.3.4/32`,
    `${P}allowed_ip=--1.2.3.4/32`,
    `${P}allowed_ip=`,
    `${P}remove=false`,
    `${P}update_only=no`,
    `${P}protocol_version=2`,
    `${P}last_handshake_time_sec=1`,
    "=",
  ];
  for (const text of lines) {
    throws(() => parseSet(text), (error: UapiError) => error.errno === 22, text);
  }
});

Deno.test("the name of an endpoint is written and read back, and is host:port or empty", () => {
  const state = parseGet(`public_key=${K}\nendpoint=192.0.2.1:5\nendpoint_name=vpn.example:5\nerrno=0\n\n`);
  equal(state.peers[0]!.endpointName, "vpn.example:5");
  ok([...formatGet(state)].join("").includes("\nendpoint=192.0.2.1:5\nendpoint_name=vpn.example:5\n"));
  const long = `${"a".repeat(300)}:5`;
  for (const name of ["vpn.example", "a b:5", "vpn.example:", "a\tb:5", "[::1:5", "a\u202eb:5", long]) {
    throws(
      () => parseSet(`public_key=${K}\nendpoint_name=${name}\n`),
      { name: "UapiError", errno: 22 },
      name,
    );
  }
});

Deno.test("parseSet() refuses lines without a key and value with EPROTO", () => {
  for (const text of ["listen_port", `public_key=${K}\nremove`, " \nlisten_port=1"]) {
    throws(() => parseSet(text), (error: UapiError) => error.errno === 71, text);
  }
});

Deno.test("parseSet() ends at an empty line or at the end", () => {
  equal(parseSet("listen_port=1\n\ngarbage").listenPort, 1);
  equal(parseSet("listen_port=1").listenPort, 1);
  deepEqual(parseSet("\n"), { replacePeers: false, peers: [] });
  deepEqual(parseSet(""), { replacePeers: false, peers: [] });
});

Deno.test("parseSet(): replace_allowed_ips removes earlier allowed IPs", () => {
  const { peers } = parseSet(
    `public_key=${K}\nallowed_ip=1.0.0.0/8\nreplace_allowed_ips=true\nallowed_ip=-2.0.0.0/8`,
  );
  deepEqual(peers[0]!.allowedIps, [{ remove: true, prefix: parsePrefix("2.0.0.0/8")! }]);
});

Deno.test("errors do not quote secrets", () => {
  for (const line of [`private_key=${K}x`, `public_key=${K}\npreshared_key=${K}x`, `private_key ${K}`]) {
    throws(() => parseSet(line), (error: UapiError) => !error.message.includes(K));
  }
});

Deno.test("parseSet() throws only UapiError for any input", () => {
  const words = fc.constantFrom(
    "private_key",
    "public_key",
    "endpoint",
    "allowed_ip",
    "remove",
    "=",
    "\n",
    K,
    "true",
    "1",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.array(words).map((list) => list.join("")),
  );
  fc.assert(
    fc.property(text, (lines) => {
      for (const parse of [parseSet, parseGet]) {
        try {
          parse(lines);
        } catch (error) {
          ok(error instanceof UapiError && [22, 71].includes(error.errno), String(error));
        }
      }
    }),
    { numRuns: Deno.env.get("WGD_TEST_FULL") === "1" ? 200_000 : 5000 },
  );
});

Deno.test("errno is negative after set and positive after get, as wg prints them right", () => {
  equal(formatErrno("set", 22), "errno=-22\n\n");
  equal(formatErrno("get", 22), "errno=22\n\n");
  equal(formatErrno("set", 0), "errno=0\n\n");
});

Deno.test("parseSetReply() takes either sign, and EPROTO for no answer", () => {
  equal(parseSetReply("errno=0\n\n"), 0);
  equal(parseSetReply("errno=-98\n\n"), 98);
  equal(parseSetReply("errno=98\n\n"), 98);
  for (const text of ["", "\n", "errno=0\n", "errno=\n\n", "errno=x\n\n", "what\n\n"]) {
    equal(parseSetReply(text), 71, text);
  }
});

Deno.test("parseGet() reports the error that the reply holds", () => {
  throws(() => parseGet("errno=13\n\n"), (error: UapiError) => error.errno === 13);
  throws(() => parseGet("listen_port=1\nerrno=0\n"), (error: UapiError) => error.errno === 71);
  throws(() => parseGet("listen_port=1\n\n"), (error: UapiError) => error.errno === 71);
});

Deno.test("a hundred thousand peers are written in small pieces and read in linear time", () => {
  const peers = Array.from({ length: 100_000 }, (_, i) => {
    const publicKey = new Uint8Array(32);
    new DataView(publicKey.buffer).setUint32(0, i);
    return {
      publicKey,
      lastHandshake: { seconds: 0, nanoseconds: 0 },
      txBytes: 0,
      rxBytes: 0,
      persistentKeepalive: 0,
      allowedIps: [parsePrefix(`10.${i >> 16}.${i >> 8 & 255}.${i & 255}`)!],
    };
  });
  const pieces = [...formatGet({ listenPort: 0, fwmark: 0, peers })];
  ok(Math.max(...pieces.map((piece) => piece.length)) < 20_000);
  const state = parseGet(pieces.join(""));
  equal(state.peers.length, 100_000);
  equal(formatHexKey(state.peers[99_999]!.publicKey), formatHexKey(peers[99_999]!.publicKey));
});

Deno.test("the removal of a hundred thousand peers is written in small pieces", () => {
  const [publicKey] = parseSet(`public_key=${K}\n`).peers.map((peer) => peer.publicKey);
  const peers = new Array(100_000).fill({ publicKey: publicKey!, remove: true, allowedIps: [] });
  let removed = 0;
  for (const piece of formatSet({ replacePeers: false, peers })) {
    ok(piece.length < 20_000, `a piece of ${piece.length} characters`);
    removed += piece.split("remove=true\n").length - 1;
  }
  equal(removed, peers.length);
});

Deno.test("parseSet() erases the keys that it does not return", () => {
  /** Every key that is read while `lines` are. */
  const keysOf = (lines: string) => {
    const keys: Uint8Array[] = [];
    const { ArrayBuffer } = globalThis;
    // Secrets are read into buffers of their own (secretBytes).
    globalThis.ArrayBuffer = class extends ArrayBuffer {
      constructor(length: number) {
        super(length);
        keys.push(new Uint8Array(this));
      }
    } as typeof ArrayBuffer;
    try {
      parseSet(lines);
    } catch (error) {
      ok(error instanceof UapiError);
    } finally {
      globalThis.ArrayBuffer = ArrayBuffer;
    }
    return keys.map((key) => key.toHex());
  };
  const peer = (name: string) => `public_key=${name.repeat(32)}\npreshared_key=${K}\n`;
  deepEqual(keysOf(`private_key=${K}\n${peer("01")}${peer("02")}`), [K, K, K], "all keys are returned");
  deepEqual(keysOf(`private_key=${K}\n${peer("01")}${peer("02")}nonsense=1\n`), [ZERO, ZERO, ZERO]);
  deepEqual(keysOf(`private_key=${K}\nnonsense\n`), [ZERO]);
  deepEqual(
    keysOf(`private_key=${K}\nprivate_key=${K}\n`),
    [ZERO, K],
    "the first key is erased when the second replaces it",
  );
  deepEqual(keysOf(`${peer("01")}preshared_key=${K}\n`), [ZERO, K]);
});
