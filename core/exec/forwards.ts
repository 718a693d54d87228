/**
 * Forwards ports into an enclosure: a process inside accepts connections on sockets that were made outside.
 *
 * @module
 */

import { createServer, Socket } from "node:net";
import { closeListener, openInheritedListener } from "../../ffi/linux/tcp_listener.ts";
import { parseAddress } from "../config/address.ts";
import { formatTarget, type PortForward, readTarget } from "../config/proxy_rules.ts";

/** Listening sockets, until the process that serves them has been started. */
export class ForwardListeners implements Disposable {
  readonly #fds: number[] = [];
  /** The target of each socket, for `serveForwards`. */
  readonly text: string;

  /** @throws {SystemError} If one cannot listen. */
  constructor(forwards: readonly PortForward[]) {
    try {
      for (const { from: { hostname, port } } of forwards) {
        const address = parseAddress(hostname === "localhost" ? "127.0.0.1" : hostname)!;
        this.#fds.push(openInheritedListener(address, port, `${hostname} port ${port}`));
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    this.text = forwards.map(({ to }, index) => `${this.#fds[index]}=${formatTarget(to)}`).join(" ");
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds.splice(0)) closeListener(fd);
  }
}

/** Serves the listening sockets that this process inherited, until it is killed. */
export function serveForwards(text: string): void {
  for (const forward of text.split(" ")) {
    const [fd, place] = forward.split("=") as [string, string];
    const { host, port } = readTarget(place);
    const server = createServer({ allowHalfOpen: true }, (outside) => {
      const inside = new Socket({ allowHalfOpen: true });
      outside.on("error", () => inside.destroy());
      inside.on("error", () => outside.destroy());
      inside.connect(port, host);
      outside.pipe(inside).pipe(outside);
    });
    server.listen({ fd: Number(fd) });
  }
}
