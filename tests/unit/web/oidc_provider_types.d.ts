/** Of npm's oidc-provider, which has no types, what the tests use. */
import type { RequestListener } from "node:http";

export default class Provider {
  constructor(issuer: string, configuration: Record<string, unknown>);
  callback(): RequestListener;
}
