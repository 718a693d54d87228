/**
 * Endpoints looked up with `wg`'s patience, which WG_ENDPOINT_RESOLUTION_RETRIES sets.
 *
 * @module
 */

import type { EndpointText, SocketAddress } from "../core/config/endpoint.ts";
import { complain } from "./render/output.ts";

/**
 * Looks an endpoint up and says so when it has to wait.
 *
 * @throws {ValueError} If there is no such host or service, or it cannot be found out.
 */
export async function resolve(endpoint: EndpointText): Promise<SocketAddress> {
  const { resolveEndpoint } = await import("../core/client/resolve.ts");
  return await resolveEndpoint(endpoint, { retries: retries(), report: complain });
}

/** Ends the program if the variable cannot be read, as `wg` does in the middle of a file. */
function retries(): number {
  const text = Deno.env.get("WG_ENDPOINT_RESOLUTION_RETRIES");
  if (text === undefined) return 15;
  if (text === "infinity") return Infinity;
  const INT_MAX = 0x7fffffff;
  // As strtoul reads: white space, a sign, digits; nothing at all is 0.
  const number = text === "" ? 0 : /^[ \t-\r]*\+?\d+$/.test(text) ? Number(text) : NaN;
  if (number <= INT_MAX) return number;
  complain(`Unable to parse WG_ENDPOINT_RESOLUTION_RETRIES: \`${text}'`);
  Deno.exit(1);
}
