/**
 * Stores the certificate of the page, so that it is the same after a restart. People compare its fingerprint, and
 * browsers remember it.
 *
 * @module
 */

import { createPublicKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { writeDurably } from "../../durable_file.ts";
import type { Authority, Certificate } from "./certificates.ts";
import { isDue } from "./certificates.ts";

/** The certificate in a file with its key, which only root can read. */
export class KeptCertificate {
  readonly #path: string;
  readonly #authority: Authority;

  /** @param authority The authority that signs. */
  constructor(path: string, authority: Authority) {
    this.#path = path;
    this.#authority = authority;
  }

  /** The certificate for some names; a new one if there is none, if it lacks a name, or if it must be renewed. */
  async get(names: readonly string[], now: number): Promise<Certificate> {
    const kept = await this.#read();
    if (kept && this.#isFor(kept, names, now)) return kept;
    const made = this.#authority.issue(names, now);
    await writeDurably(this.#path, new TextEncoder().encode(JSON.stringify(made)), { mode: 0o600 });
    return made;
  }

  #isFor({ chain }: Certificate, names: readonly string[], now: number): boolean {
    const x509 = new X509Certificate(chain);
    return x509.verify(createPublicKey(this.#authority.certificate)) && !isDue(chain, now) &&
      names.every((name) => (isIP(name) ? x509.checkIP(name) : x509.checkHost(name)) !== undefined);
  }

  /** An unreadable certificate is replaced. */
  async #read(): Promise<Certificate | undefined> {
    try {
      return JSON.parse(await Deno.readTextFile(this.#path));
    } catch {
      return undefined;
    }
  }
}
