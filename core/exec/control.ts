/**
 * Sends changes to an engine in this process, over the client's end of a connection (`ffi/linux/control_line.ts`).
 *
 * @module
 */

import { Socket } from "node:net";
import { interfaceName } from "../client/system.ts";
import { UapiError } from "../uapi/lines.ts";
import { type DeviceChange, formatSet, parseSetReply } from "../uapi/set.ts";

/** The client's end. Requests are sent one after the other. */
export class ControlClient {
  readonly #socket: Socket;
  #last: Promise<unknown> = Promise.resolve();

  /** @param fd The end; it is closed with this. */
  constructor(fd: number) {
    this.#socket = new Socket({ fd, readable: true, writable: true });
    this.#socket.setEncoding("utf8");
    // Rejects the pending requests.
    this.#socket.on("error", () => {});
  }

  /**
   * Changes the interface.
   *
   * @throws {UapiError} If it refuses.
   */
  async tell(change: DeviceChange): Promise<void> {
    const reply = this.#last.then(() => this.#ask(formatSet(change, interfaceName)));
    this.#last = reply.catch(() => {});
    const errno = parseSetReply(await reply);
    if (errno !== 0) throw new UapiError(errno, `the tunnel refuses the change (errno ${errno})`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(request: Iterable<string>): Promise<string> {
    const socket = this.#socket;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let reply = "";
    const take = (text: string) => {
      reply += text;
      if (reply.endsWith("\n\n")) resolve(reply);
    };
    const ended = () => reject(new Error("the engine has ended"));
    socket.on("data", take);
    socket.on("close", ended);
    for (const chunk of request) socket.write(chunk);
    return promise.finally(() => {
      socket.off("data", take);
      socket.off("close", ended);
    });
  }
}
