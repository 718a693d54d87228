/**
 * A proxy for TLS that needs no settings in programs: it connects to the server that the ClientHello names, at port 443,
 * and passes everything on unchanged. So the program speaks TLS with that server.
 *
 * @module
 */

import { ClientHelloReader } from "./client_hello.ts";
import type { ProxyHandshake, ProxyStep, Refusal, Target } from "./handshake.ts";

const HTTPS = 443;

/** RFC 8446 §6. */
const ACCESS_DENIED = 49;
const INTERNAL_ERROR = 80;
const MISSING_EXTENSION = 109;
const UNRECOGNIZED_NAME = 112;

/** The handshake with a program that uses TLS. */
export class SniProxy implements ProxyHandshake {
  readonly #hello = new ClientHelloReader();
  #over = false;

  push(bytes: Uint8Array): ProxyStep {
    if (this.#over) return {};
    const found = this.#hello.push(bytes);
    if (found === null) return {};
    this.#over = true;
    // A client with another protocol gets no reply.
    if (found === "garbage") return { over: true };
    if (found === "no name") return { reply: alert(MISSING_EXTENSION), over: true };
    const target = { host: found.name, port: HTTPS };
    return { request: { kind: "connect", target, first: this.#hello.received } };
  }

  granted(_bound: Target): Uint8Array {
    return new Uint8Array();
  }

  refused(why: Refusal): Uint8Array {
    if (why === "unknown host") return alert(UNRECOGNIZED_NAME);
    return alert(why === "not allowed" ? ACCESS_DENIED : INTERNAL_ERROR);
  }
}

/** A fatal alert, with which a program ends its handshake. */
function alert(description: number): Uint8Array {
  return Uint8Array.of(21, 3, 3, 0, 2, 2, description);
}
