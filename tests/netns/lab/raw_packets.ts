/**
 * Raw packets into and out of an interface, past the host's own network stack. It runs inside a host, by itself:
 *
 *     raw_packets.ts send INTERFACE FILE       sends each packet of the file, as it is
 *     raw_packets.ts receive INTERFACE FILE    writes what arrives to the file, virtio headers first, until TERM
 *     raw_packets.ts gro INTERFACE             makes the interface join what it receives
 *
 * In a file each packet has its length before it, 32 bits, little-endian.
 *
 * @module
 */

const AF_INET = 2, AF_PACKET = 17, SOCK_DGRAM = 2, SOCK_RAW = 3;
const SOL_PACKET = 263, PACKET_VNET_HDR = 15, SOL_SOCKET = 1, SO_RCVBUFFORCE = 33, SO_RCVTIMEO = 20;
const ETH_P_IP = 0x0800, ETH_P_IPV6 = 0x86dd, ETH_P_ALL = 0x0003;
/** linux/sockios.h, linux/ethtool.h */
const SIOCETHTOOL = 0x8946, ETHTOOL_STSO = 0x1f, ETHTOOL_SGRO = 0x2c;
const PACKET_OUTGOING = 4;
const VIRTIO_HEADER = 10;
/** Packets sent before the next pause, so that a queue on the way does not run over. */
const BURST = 48;

const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },
}).symbols;

function must(result: number | bigint, what: string): number {
  if (result < 0) throw new Error(`${what} failed`);
  return Number(result);
}

/** struct sockaddr_ll */
function address(protocol: number, index: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, protocol);
  view.setInt32(4, index, true);
  return bytes;
}

function indexOf(name: string): number {
  return Number(Deno.readTextFileSync(`/sys/class/net/${name}/ifindex`));
}

function swap(protocol: number): number {
  return protocol << 8 & 0xff00 | protocol >> 8;
}

async function send(name: string, file: string): Promise<void> {
  const bytes = await Deno.readFile(file);
  const view = new DataView(bytes.buffer);
  const socket = must(libc.socket(AF_PACKET, SOCK_DGRAM, 0), "socket");
  const index = indexOf(name);
  let sent = 0;
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, true);
    const packet = bytes.subarray(at + 4, at + 4 + length);
    const to = address(packet[0]! >> 4 === 6 ? ETH_P_IPV6 : ETH_P_IP, index);
    must(libc.sendto(socket, packet, BigInt(length), 0, to, to.length), `sending packet ${sent}`);
    at += 4 + length;
    if (++sent % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  console.log(`sent ${sent}`);
}

function receive(name: string, file: string): void {
  const socket = must(libc.socket(AF_PACKET, SOCK_RAW, swap(ETH_P_ALL)), "socket");
  must(libc.setsockopt(socket, SOL_PACKET, PACKET_VNET_HDR, new Int32Array([1]), 4), "PACKET_VNET_HDR");
  must(libc.setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, new Int32Array([64 << 20]), 4), "SO_RCVBUFFORCE");
  must(
    libc.setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, new BigInt64Array([0n, 100_000n]), 16),
    "SO_RCVTIMEO",
  );
  const own = address(ETH_P_ALL, indexOf(name));
  must(libc.bind(socket, own, own.length), "bind");
  using output = Deno.openSync(file, { write: true, create: true });
  console.log("ready");
  const packet = new Uint8Array(VIRTIO_HEADER + 65_536);
  const from = new Uint8Array(20);
  // A signal ends it; between two packets there is a tenth of a second in which it can.
  for (;;) {
    const length = Number(
      libc.recvfrom(socket, packet, BigInt(packet.length), 0, from, new Uint32Array([20])),
    );
    if (length <= 0 || from[10] === PACKET_OUTGOING) continue;
    output.writeSync(new Uint8Array(new Uint32Array([length]).buffer));
    output.writeSync(packet.subarray(0, length));
  }
}

/** A veth joins what it receives only if its other end does not segment TCP (veth.c, veth_skb_is_eligible_for_gro). */
function gro(name: string): void {
  const socket = must(libc.socket(AF_INET, SOCK_DGRAM, 0), "socket");
  for (const [command, on] of [[ETHTOOL_STSO, 0], [ETHTOOL_SGRO, 1]] as const) {
    const value = new Uint32Array([command, on]);
    const request = new Uint8Array(40);
    request.set(new TextEncoder().encode(name));
    const pointer = Deno.UnsafePointer.value(Deno.UnsafePointer.of(value));
    new DataView(request.buffer).setBigUint64(16, BigInt(pointer), true);
    must(libc.ioctl(socket, BigInt(SIOCETHTOOL), request), `ethtool ${command}`);
  }
}

const [command, name, file] = Deno.args;
if (command === "send") await send(name!, file!);
else if (command === "receive") receive(name!, file!);
else gro(name!);
