/**
 * Looks endpoints up with the retries of `wg`, which WG_ENDPOINT_RESOLUTION_RETRIES sets.
 *
 * @module
 */

import type { EndpointText, SocketAddress } from "../core/config/endpoint.ts";
import { complain } from "./render/output.ts";

/**
 * Looks an endpoint up, and reports each retry.
 *
 * @throws {ValueError} If there is no such host or service, or the lookup fails.
 */
export async function resolve(endpoint: EndpointText): Promise<SocketAddress> {
  const { resolveEndpoint } = await import("../core/client/resolve.ts");
  return await resolveEndpoint(endpoint, { retries: retries(), report: complain });
}

/** Ends the program if the variable is invalid, as `wg` does. */
function retries(): number {
  const text = Deno.env.get("WG_ENDPOINT_RESOLUTION_RETRIES");
  if (text === undefined) return 15;
  if (text === "infinity") return Infinity;
  const INT_MAX = 0x7fffffff;
  // Parses like strtoul: white space, a sign, digits. An empty text is 0.
  const number = text === "" ? 0 : /^[ \t-\r]*\+?\d+$/.test(text) ? Number(text) : NaN;
  if (number <= INT_MAX) return number;
  complain(`Unable to parse WG_ENDPOINT_RESOLUTION_RETRIES: \`${text}'`);
  Deno.exit(1);
}

/** Whether names of endpoints are looked up again. A file can also turn this off. */
export function resolvesEndpoints(): boolean {
  return Deno.env.get("WGD_RESOLVE_ENDPOINTS") !== "off";
}
