/**
 * Why the configuration of an OpenID provider cannot be read, as a text of the page.
 *
 * @module
 */

import { code } from "../english.ts";
import { connectionFault, detailOf, type Fault } from "./fault.ts";

/** A provider's configuration lacks something that every sign-in needs. */
export class MissingMetadataError extends Error {
  override name = "MissingMetadataError";
  constructor(readonly field: string) {
    super(`it names no ${field}`);
  }
}

/** Why an attempt to read a configuration failed. */
export function discoveryFault(error: unknown, issuer: URL): Fault {
  if (error instanceof MissingMetadataError) {
    return code("fault", "incomplete-provider", { field: error.field });
  }
  const { code: kind, cause } = error as { code?: unknown; cause?: unknown };
  const address = `${issuer.href.replace(/\/$/, "")}/.well-known/openid-configuration`;
  switch (kind) {
    case "OAUTH_RESPONSE_IS_NOT_CONFORM":
      if (cause instanceof Response) {
        return code("fault", "status", { address, status: String(cause.status) });
      }
      break;
    case "OAUTH_RESPONSE_IS_NOT_JSON":
    case "OAUTH_PARSE_ERROR":
      return code("fault", "no-json", { address });
    case "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED":
      return code("fault", "other-issuer", { issuer: issuer.href, other: issuerIn(cause) });
  }
  const port = Number(issuer.port) || (issuer.protocol === "https:" ? 443 : 80);
  return connectionFault(error, { host: issuer.hostname.replace(/^\[|\]$/g, ""), port }) ??
    code("fault", "provider", { detail: detailOf(error) });
}

function issuerIn(cause: unknown): string {
  const { issuer } = (cause as { body?: { issuer?: unknown } } | undefined)?.body ?? {};
  return String(issuer);
}
