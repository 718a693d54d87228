/**
 * Makes `handshake.json`: two handshakes to the byte, with everything in them fixed, so that another implementation
 * can check itself against them. Run it to print the file anew: `deno run tests/vectors/handshake.ts`.
 *
 * @module
 */

import type { Milliseconds, Now } from "../../core/protocol/clock.ts";
import { Device } from "../../core/protocol/device.ts";
import { address4, type Backend, handleHandshake, noble } from "../lab.ts";

/** A transcript; all byte strings are hexadecimal. */
export interface Transcript {
  description: string;
  initiatorPrivate: string;
  initiatorPublic: string;
  responderPrivate: string;
  responderPublic: string;
  presharedKey: string;
  /** As drawn, not clamped. */
  initiatorEphemeral: string;
  /** As drawn, not clamped. */
  responderEphemeral: string;
  initiatorIndex: number;
  responderIndex: number;
  /** Nanoseconds since 1970. */
  wall: string;
  initiation: string;
  response: string;
  /** What the initiator seals with, and the responder opens with. */
  initiatorSendKey: string;
  /** What the responder seals with, and the initiator opens with. */
  responderSendKey: string;
}

const fill = (start: number, length = 32) => Uint8Array.from({ length }, (_, i) => start + i & 0xff);
const WALL = 1_700_000_000_123_456_789n;

/** Runs the handshake of a transcript on a backend. */
export function transcript(backend: Backend, presharedKey: Uint8Array | null): Transcript {
  const now: Now = { boot: 1_000_000 as Milliseconds, wall: WALL };
  const keys: { send: string; receive: string }[] = [];
  const make = (privateKey: Uint8Array, ephemeral: Uint8Array, index: number) => {
    const device = new Device({
      crypto: backend.crypto,
      keypairs: {
        install(sendKey, receiveKey) {
          return keys.push({ send: sendKey.toHex(), receive: receiveKey.toHex() });
        },
        forget() {},
      },
      random(out) {
        if (out.length === 32) out.set(ephemeral);
        else if (out.length === 4) new DataView(out.buffer, out.byteOffset).setUint32(0, index, true);
        else out.fill(0);
      },
    });
    device.setPrivateKey(privateKey, now);
    device.up(now);
    return device;
  };
  const initiator = make(fill(0x01), fill(0x41), 0x11223344);
  const responder = make(fill(0x81), fill(0xc1), 0xaabbccdd);
  const toResponder = initiator.addPeer(responder.publicKey!)!;
  const toInitiator = responder.addPeer(initiator.publicKey!)!;
  initiator.setPresharedKey(toResponder, presharedKey);
  responder.setPresharedKey(toInitiator, presharedKey);
  const [here, there] = [address4([192, 0, 2, 1], 51820), address4([192, 0, 2, 2], 51820)];
  initiator.setEndpoint(toResponder, there);

  initiator.sessions.sendingKeypair(toResponder, now);
  const initiation = message(initiator);
  handleHandshake(responder, initiation, here, false, now);
  const response = message(responder);
  handleHandshake(initiator, response, there, false, now);
  const [responderKeys, initiatorKeys] = keys;
  return {
    description: `Noise_IKpsk2 ${presharedKey ? "with" : "without"} a preshared key`,
    initiatorPrivate: initiator.privateKey!.toHex(),
    initiatorPublic: initiator.publicKey!.toHex(),
    responderPrivate: responder.privateKey!.toHex(),
    responderPublic: responder.publicKey!.toHex(),
    presharedKey: (presharedKey ?? new Uint8Array(32)).toHex(),
    initiatorEphemeral: fill(0x41).toHex(),
    responderEphemeral: fill(0xc1).toHex(),
    initiatorIndex: 0x11223344,
    responderIndex: 0xaabbccdd,
    wall: `${WALL}`,
    initiation: initiation.toHex(),
    response: response.toHex(),
    initiatorSendKey: initiatorKeys!.send,
    responderSendKey: responderKeys!.send,
  };
}

function message(device: Device): Uint8Array {
  const output = device.poll();
  if (output?.kind !== "handshake") throw new Error("no handshake message came out");
  return output.bytes;
}

if (import.meta.main) {
  console.log(JSON.stringify([transcript(noble, null), transcript(noble, fill(0xa0))], null, 2));
}
