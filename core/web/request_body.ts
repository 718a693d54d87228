/**
 * Reads the bodies of requests. Anybody can send them to a public route, so these are few, short and fast.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { NetworkCounts } from "./network_counts.ts";
import { ApiError, type Audience } from "./routing.ts";
import { networkOf } from "./sign_in/budgets.ts";

/** Longest body in bytes. */
const LONGEST = { public: 16 << 10, user: 256 << 10, admin: 256 << 10 } as const;
/** Milliseconds in which a body has to arrive. */
const TIME = { public: 5_000, user: 30_000, admin: 30_000 } as const;
/** Bodies of public routes that are read at the same time, from one IPv4 address or one /64 of IPv6, and in total. */
const FROM_NETWORK = 64;
const IN_TOTAL = 1_024;

/** The bodies that are being read. */
export class RequestBodies {
  readonly #counts = new NetworkCounts();

  /**
   * Reads a body as JSON.
   *
   * @param address The client's address.
   * @throws {ApiError} If it is not JSON, too long, too slow or incomplete, or if too many are being read.
   */
  async read(request: Request, audience: Audience, address: string): Promise<unknown> {
    const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (type !== "application/json") {
      throw new ApiError(415, "not-json", "send JSON, with the header Content-Type: application/json");
    }
    const bytes = audience === "public"
      ? await this.#fromAnybody(request, networkOf(address))
      : await readAll(request, audience);
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      throw new ApiError(400, "not-json", "the request is not JSON");
    }
  }

  async #fromAnybody(request: Request, network: string): Promise<Uint8Array> {
    if (this.#counts.of(network) >= FROM_NETWORK || this.#counts.total >= IN_TOTAL) {
      throw new ApiError(503, "busy", "too many requests arrive at the same time", undefined, undefined, {
        "retry-after": "5",
      });
    }
    this.#counts.add(network);
    try {
      return await readAll(request, "public");
    } finally {
      this.#counts.remove(network);
    }
  }
}

/** @throws {ApiError} If the body is too long or too slow, or the connection ends before the body is complete. */
async function readAll({ body }: Request, audience: Audience): Promise<Uint8Array> {
  if (!body) return new Uint8Array();
  const reader = body.getReader();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new ApiError(408, "too-slow", "the request did not arrive in time")),
    TIME[audience],
  );
  const chunks: Uint8Array[] = [];
  try {
    for (let length = 0;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) return Buffer.concat(chunks);
      length += value.length;
      if (length > LONGEST[audience]) throw new ApiError(413, "too-long", "the request is too long");
      chunks.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    if (error instanceof ApiError) throw error;
    // The client has closed the connection. Anybody can do that, so it is not logged.
    throw new ApiError(400, "cut-off", "the request is not complete");
  } finally {
    clearTimeout(timer);
  }
}
