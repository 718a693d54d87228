/**
 * Whether an endpoint has a name.
 *
 * @module
 */

import { parseIPv4, parseIPv6 } from "../config/address.ts";
import { type EndpointText, parseScopedIPv6 } from "../config/endpoint.ts";
import { interfaceIndex } from "./system.ts";

/** Whether an endpoint is given by a name, whose address may change. */
export function isNamed({ host }: EndpointText): boolean {
  return !parseIPv4(host) && !parseIPv6(host) &&
    !(host.includes(":") && parseScopedIPv6(host, interfaceIndex));
}
