import { deepEqual, equal } from "node:assert/strict";
import type { BoundSockets, Opening, Refusal, SocketFactory } from "../../../core/engine/doors.ts";
import { UdpPort } from "../../../core/engine/udp_port.ts";

/** Sockets of a system that opens them asynchronously, as `node:dgram` does. */
class SlowFactory implements SocketFactory {
  readonly asked: { port: number; mark: number; opening: Opening }[] = [];
  readonly open_: BoundSockets[] = [];

  open(port: number, mark: number, opening: Opening): void {
    this.asked.push({ port, mark, opening });
  }

  /** The oldest pending attempt succeeds. */
  answer(): void {
    const { port, mark, opening } = this.asked.shift()!;
    const socket = { errors: 0, memory: { drops: 0 } } as BoundSockets["v4"];
    const sockets = {
      port: port || 40_000,
      mark,
      v4: socket,
      v6: null,
      setMark: (mark: number) => void (sockets.mark = mark),
      close: () => void this.open_.splice(this.open_.indexOf(sockets), 1),
    };
    this.open_.push(sockets);
    opening.opened(sockets);
  }
}

function slowPort() {
  const factory = new SlowFactory();
  const refusals: Refusal[] = [];
  const port = new UdpPort(factory, {
    opened() {},
    refused: (refusal) => void refusals.push(refusal),
    replaced() {},
    changed() {},
    readable() {},
  });
  const change = (listenPort: number | undefined, fwmark: number | undefined) => {
    let errno: number | undefined;
    port.change(listenPort, fwmark, (result) => errno = result);
    while (errno === undefined) factory.answer();
    equal(errno, 0);
  };
  /** Port and mark of all open sockets after every attempt has ended. */
  const settle = () => {
    while (factory.asked.length > 0) factory.answer();
    deepEqual(refusals, []);
    return factory.open_.map((sockets) => [sockets.port, (sockets as BoundSockets & { mark: number }).mark]);
  };
  return { factory, port, change, settle };
}

Deno.test("a mark that is set while sockets are opening is on them", () => {
  const { port, change, settle } = slowPort();
  change(51820, undefined);
  port.open();
  change(undefined, 7);
  deepEqual(settle(), [[51820, 7]]);
  equal(port.fwmark, 7);
});

Deno.test("a port that is set while the interface goes down and up during an opening is the one that is used", () => {
  const { factory, port, settle } = slowPort();
  port.change(51820, undefined, () => {});
  factory.answer();
  port.open();
  port.close();
  const first = factory.asked.shift()!;
  port.change(51821, undefined, () => {});
  factory.answer();
  port.open();
  factory.asked.unshift(first);
  deepEqual(settle(), [[51821, 0]]);
  equal(port.listenPort, 51821);
});

Deno.test("sockets that open after the interface went down are closed", () => {
  const { port, settle } = slowPort();
  port.open();
  port.close();
  deepEqual(settle(), []);
});
