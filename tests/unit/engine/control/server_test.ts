import { deepEqual, equal, ok } from "node:assert/strict";
import type { Milliseconds } from "../../../../core/protocol/clock.ts";
import { HeapMemory, type TrieMemory } from "../../../../core/protocol/allowed_ips.ts";
import { Device, type DeviceOptions } from "../../../../core/protocol/device.ts";
import { endpointWords } from "../../../../core/protocol/endpoint.ts";
import { formatGet, parseGet } from "../../../../core/uapi/get.ts";
import { type Location, LOCATION_REQUEST, parseLocation } from "../../../../core/uapi/location.ts";
import { Connection, type Stream } from "../../../../core/engine/control/connection.ts";
import {
  applySet,
  ControlServer,
  readState,
  type SocketSettings,
} from "../../../../core/engine/control/server.ts";
import { nobleCrypto, NobleKeypairs } from "../../../noble_crypto.ts";

const now = { boot: 1 as Milliseconds, wall: 1n };
const settings: SocketSettings = { listenPort: 51820, fwmark: 0, change: (_port, _mark, done) => done(0) };

const interfaceIndex = () => 0;

/** Words that count how often they are read. */
class CountingMemory implements TrieMemory {
  looks = 0;
  readonly #words = new HeapMemory();

  get array(): Uint32Array {
    this.looks++;
    return this.#words.array;
  }

  grow(length: number): void {
    this.#words.grow(length);
  }
}

function device(options: Partial<DeviceOptions> = {}): Device {
  return new Device({
    ...options,
    crypto: nobleCrypto,
    keypairs: new NobleKeypairs(),
    random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
  });
}

/** Applies the lines of a `set`. @returns The errno and the number of steps. */
function apply(device: Device, lines: string): { errno: number; steps: number } {
  const set = applySet(lines, { device, settings, interfaceIndex, now });
  for (let steps = 1;; steps++) {
    const { done, value } = set.next();
    if (done) return { errno: value, steps };
  }
}

function set(device: Device, lines: string): void {
  equal(apply(device, lines).errno, 0);
}

function get(device: Device): string {
  return [...formatGet(readState(device, settings))].join("");
}

function hexKey(i: number): string {
  return i.toString(16).padStart(64, "0");
}

/** A `set` of peers `from` to `to`, one address each. */
function peers(from: number, to: number): string {
  const lines: string[] = [];
  for (let i = from; i < to; i++) {
    lines.push(`public_key=${hexKey(i)}`, `allowed_ip=10.${i >> 16}.${i >> 8 & 255}.${i & 255}/32`);
  }
  return lines.join("\n") + "\n";
}

Deno.test("a reply is made while it is read: the first pieces read only the first peers", () => {
  const subject = device();
  set(subject, peers(1, 2_001));
  const taken = readState(subject, settings).peers[Symbol.iterator]();
  equal(taken.next().value!.publicKey[31], 1);
  const [, , third, ...others] = subject.peers;
  subject.removePeer(third!);
  subject.setEndpoint(
    others[0]!,
    endpointWords({ family: 4, address: Uint8Array.of(192, 0, 2, 1), port: 1, scope: 0 }),
  );
  set(subject, peers(5_000, 5_001));
  const rest = [...{ [Symbol.iterator]: () => taken }];
  // All of the 2,000 except the removed ones, and not the one that was added later.
  equal(rest.length, 1_998);
  equal(rest.some(({ publicKey }) => publicKey[31] === 3 && publicKey[30] === 0), false);
  equal(rest[1]!.endpoint!.port, 1);
});

Deno.test("peers that are replaced again and again leave nothing behind", () => {
  const subject = device();
  let numbers = 0;
  for (let round = 0; round < 5; round++) {
    set(subject, `replace_peers=true\n${peers(1 + 500 * round, 1_001 + 500 * round)}`);
    equal(subject.peerCount, 1_000);
    for (const { number } of subject.peers) numbers = Math.max(numbers, number);
  }
  // Numbers are reused, and so are all tables that are indexed by number.
  equal(numbers, 1_000);
  const state = parseGet(get(subject));
  equal(state.peers.length, 1_000);
  ok(state.peers.every(({ allowedIps }) => allowedIps.length === 1));
  set(subject, "replace_peers=true\n");
  equal(subject.peerCount, 0);
  equal(get(subject), "listen_port=51820\nerrno=0\n\n");
});

Deno.test("a set that is wrong in its last line changes nothing", () => {
  const subject = device();
  set(subject, peers(1, 11));
  const before = get(subject);
  equal(apply(subject, `replace_peers=true\n${peers(20, 30)}allowed_ip=10.0.0.0\n`).errno, 22);
  equal(get(subject), before);
});

Deno.test("the cost of adding or removing a peer does not depend on their number", () => {
  const looks = (count: number, lines: (count: number) => string) => {
    const trieMemory = new CountingMemory();
    const subject = device({ trieMemory });
    set(subject, peers(1, count + 1));
    trieMemory.looks = 0;
    set(subject, lines(count));
    return trieMemory.looks / count;
  };
  const ways: Record<string, (count: number) => string> = {
    "replace by none": () => "replace_peers=true\n",
    "replace by the same": (count) => `replace_peers=true\n${peers(1, count + 1)}`,
    "move every prefix": (count) =>
      peers(count + 1, 2 * count + 1).replaceAll(/10\.(\d+\.\d+)\.\d+/g, "10.$1.0"),
    "take one by one": (count) =>
      Array.from({ length: count }, (_, i) => `public_key=${hexKey(i + 1)}\nremove=true\n`).join(""),
  };
  for (const [name, lines] of Object.entries(ways)) {
    const few = looks(1_000, lines), many = looks(16_000, lines);
    // The trie is four levels deeper. With quadratic cost it would take sixteen times as long.
    ok(many < 2 * few, `${name}: ${many} looks at nodes for each of many, ${few} of few`);
  }
});

Deno.test("a change of many peers lets packets pass, one of a few is done at once", () => {
  const subject = device();
  deepEqual(apply(subject, peers(1, 101)), { errno: 0, steps: 1 });
  const { steps } = apply(subject, `replace_peers=true\n${peers(1, 20_001)}`);
  ok(steps > 50, `${steps} steps`);
  equal(subject.peerCount, 20_000);
});

function server(device: Device, location = (): Location | undefined => undefined): ControlServer {
  const diagnostics = () => ({ features: [], drops: {}, queues: [] });
  return new ControlServer({ device, settings, diagnostics, location, interfaceIndex, now });
}

/** A connection to a server, whose stream has these requests. */
function connect(
  server: ControlServer,
  requests: string,
): { connection: Connection; stream: Stream; told: string[] } {
  const told: string[] = [];
  let unread = new TextEncoder().encode(requests);
  const stream: Stream = {
    read(into) {
      const taken = unread.subarray(0, into.length);
      unread = unread.subarray(taken.length);
      into.set(taken);
      return taken.length || -1;
    },
    write(bytes) {
      told.push(new TextDecoder().decode(bytes));
      return bytes.length;
    },
  };
  return { connection: new Connection(stream, (request) => server.respond(request)), stream, told };
}

const buffer = new Uint8Array(1 << 20);

function serveUntil(connection: Connection, state: Connection["state"]): void {
  for (let turns = 0; connection.state !== state; turns++) {
    ok(turns < 10_000, `it stays ${connection.state}`);
    connection.serve(buffer);
  }
}

Deno.test("a change whose sender disconnects is applied completely", () => {
  const subject = device();
  set(subject, peers(1, 5_001));
  const change = `set=1\nreplace_peers=true\n${peers(10_001, 15_001)}\n`;
  const { connection, stream } = connect(server(subject), change);
  while (subject.peerCount === 0 || subject.peerCount === 5_000) connection.serve(buffer);
  equal(connection.state, "working");
  stream.read = stream.write = () => -2;
  serveUntil(connection, "over");
  equal(subject.peerCount, 5_000);
  ok([...subject.peers].every(({ publicKey }) => publicKey[30]! >= 0x27));
});

Deno.test("a request for the location returns the location, or ENODEV if the interface was deleted", () => {
  const location: Location = { name: "wg.0+x", index: 7, namespace: 4_026_531_840 };
  for (const here of [location, undefined]) {
    const { connection, told } = connect(server(device(), () => here), LOCATION_REQUEST);
    connection.serve(buffer);
    deepEqual(told.map(parseLocation), [here]);
    equal(told[0]!.endsWith(`errno=${here ? 0 : 19}\n\n`), true);
  }
});

Deno.test("an invalid request gets no answer, and one with unknown keys gets EINVAL", () => {
  for (const request of ["hello\n\n", "\n\n", "set=2\n\n", "get\n\n", "GET / HTTP/1.1\r\n\n"]) {
    const { connection, told } = connect(server(device()), request);
    for (let turn = 0; turn < 3; turn++) connection.serve(buffer);
    deepEqual([connection.state, told.join()], ["over", ""], JSON.stringify(request));
  }
  for (const request of ["get=1\nhello=1\n\n", "set=1\nhello=1\n\n"]) {
    const { connection, told } = connect(server(device()), request);
    for (let turn = 0; turn < 3; turn++) connection.serve(buffer);
    const errno = request.startsWith("set") ? -22 : 22;
    deepEqual([connection.state, told], ["receiving", [`errno=${errno}\n\n`]], JSON.stringify(request));
  }
});

Deno.test("a request during a change sees the complete change", () => {
  const subject = device();
  const shared = server(subject);
  const { connection: first } = connect(shared, `set=1\n${peers(1, 5_001)}\n`);
  while (subject.peerCount === 0) first.serve(buffer);
  const { connection: second, told } = connect(shared, "get=1\n\n");
  second.serve(buffer);
  equal(second.state, "working");
  serveUntil(first, "receiving");
  serveUntil(second, "receiving");
  equal(parseGet(told.join("")).peers.length, 5_000);
});

Deno.test("a removal, an update and a found endpoint add no peer", () => {
  const subject = device();
  for (const line of ["remove=true", "update_only=true", "found_endpoint=192.0.2.1:1"]) {
    set(subject, `public_key=${hexKey(1)}\n${line}\n`);
    equal(subject.peerCount, 0, line);
  }
  set(subject, `public_key=${hexKey(1)}\n`);
  equal(subject.peerCount, 1);
});

Deno.test("a set that would make too many peers changes nothing", () => {
  const subject = device({ maxPeers: 10 });
  const refused = (lines: string) => {
    const before = get(subject);
    equal(apply(subject, lines).errno, 12, lines);
    equal(get(subject), before);
  };
  refused(peers(1, 12));
  set(subject, peers(1, 9));
  refused(`listen_port=1\n${peers(9, 12)}`);
  refused(`private_key=${hexKey(77)}\n${peers(9, 12)}`);
  // Peers that exist, are only updated or are removed do not count.
  set(subject, `${peers(1, 11)}${peers(1, 11)}`);
  set(subject, `public_key=${hexKey(11)}\nupdate_only=true\n`);
  equal(subject.peerCount, 10);
  refused(peers(11, 12));
  set(subject, `public_key=${hexKey(1)}\nremove=true\n${peers(11, 12)}`);
  refused(`${peers(12, 13)}public_key=${hexKey(2)}\nremove=true\n`);
  set(subject, `replace_peers=true\n${peers(100, 110)}`);
  refused(`replace_peers=true\n${peers(100, 111)}`);
  equal(subject.peerCount, 10);
});

Deno.test("too many peers are found in a list that takes many steps", () => {
  const subject = device({ maxPeers: 5_000 });
  set(subject, peers(1, 4_001));
  const { errno, steps } = apply(subject, peers(1, 5_002));
  equal(errno, 12);
  ok(steps > 5);
  equal(subject.peerCount, 4_000);
});
