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

import { LARGEST, PacketSocket } from "./packet_socket.ts";

const AF_INET = 2, SOCK_DGRAM = 2;
/** linux/sockios.h, linux/ethtool.h */
const SIOCETHTOOL = 0x8946, ETHTOOL_STSO = 0x1f, ETHTOOL_SGRO = 0x2c;
/** Packets sent before the next pause, so that a queue on the way does not run over. */
const BURST = 48;

async function send(name: string, file: string): Promise<void> {
  const bytes = await Deno.readFile(file);
  const view = new DataView(bytes.buffer);
  const socket = PacketSocket.sending(name, false);
  let sent = 0;
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, true);
    socket.send(bytes.subarray(at + 4, at + 4 + length), 0);
    at += 4 + length;
    if (++sent % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  console.log(`sent ${sent}`);
}

function receive(name: string, file: string): void {
  const socket = PacketSocket.receiving(name);
  using output = Deno.openSync(file, { write: true, create: true });
  console.log("ready");
  const packet = new Uint8Array(LARGEST);
  // A signal ends it; between two packets there is a tenth of a second in which it can.
  for (;;) {
    const length = socket.receive(packet);
    if (length === 0) {
      socket.wait(100);
      continue;
    }
    output.writeSync(new Uint8Array(new Uint32Array([length]).buffer));
    output.writeSync(packet.subarray(0, length));
  }
}

/** A veth joins what it receives only if its other end does not segment TCP (veth.c, veth_skb_is_eligible_for_gro). */
function gro(name: string): void {
  const libc = Deno.dlopen("libc.so.6", {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
  }).symbols;
  const socket = libc.socket(AF_INET, SOCK_DGRAM, 0);
  for (const [command, on] of [[ETHTOOL_STSO, 0], [ETHTOOL_SGRO, 1]] as const) {
    const value = new Uint32Array([command, on]);
    const request = new Uint8Array(40);
    request.set(new TextEncoder().encode(name));
    const pointer = Deno.UnsafePointer.value(Deno.UnsafePointer.of(value));
    new DataView(request.buffer).setBigUint64(16, BigInt(pointer), true);
    if (libc.ioctl(socket, BigInt(SIOCETHTOOL), request) < 0) throw new Error(`ethtool ${command} failed`);
  }
}

const [command, name, file] = Deno.args;
if (command === "send") await send(name!, file!);
else if (command === "receive") receive(name!, file!);
else gro(name!);
