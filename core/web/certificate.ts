/**
 * The certificate that is served, and its renewal.
 *
 * @module
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { type Certificate, fingerprint } from "./keeper/certificates.ts";

/** Milliseconds between two checks. */
const EVERY = 3_600_000;

/** Returns the certificate to serve. @param present The current one, which it may return again. */
export type CertificateSource = (present: Certificate | undefined) => Promise<Certificate>;

/** The certificate that is served. */
export class ServedCertificate implements Disposable {
  readonly #source: CertificateSource;
  readonly #log: (text: string) => void;
  #current: Certificate;
  #problem: string | undefined;
  #isFollowing = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(current: Certificate, source: CertificateSource, log: (text: string) => void) {
    this.#current = current;
    this.#source = source;
    this.#log = log;
  }

  /**
   * Loads the first one from a source.
   *
   * @throws {unknown} What the source throws.
   */
  static async from(source: CertificateSource, log: (text: string) => void): Promise<ServedCertificate> {
    return new ServedCertificate(await source(undefined), source, log);
  }

  /** In PEM, with its chain and its key. */
  get current(): Certificate {
    return this.#current;
  }

  /** Its SHA-256 fingerprint, as browsers show it. */
  get fingerprint(): string {
    return fingerprint(this.#current.chain);
  }

  /** When it expires, in milliseconds since 1970. */
  get expiresAt(): number {
    return new X509Certificate(this.#current.chain).validToDate.getTime();
  }

  /** Why the last check found no certificate that can be used. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Checks for a new one every hour. @param take Serves it. */
  watch(take: (certificate: Certificate) => void | Promise<void>): void {
    const timer = setInterval(() => void this.follow(take), EVERY);
    Deno.unrefTimer(Number(timer));
    this.#timer = timer;
  }

  /** Checks for a new one now. If it cannot be used, this is logged and the current one stays. */
  async follow(take: (certificate: Certificate) => void | Promise<void>): Promise<void> {
    // Serving a new certificate may have to wait for the port.
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    try {
      const next = await this.#source(this.#current);
      this.#problem = undefined;
      if (next.chain === this.#current.chain) return;
      requirePair(next);
      await take(next);
      this.#current = next;
      this.#log(`a new certificate is served; its fingerprint (SHA-256) is ${this.fingerprint}`);
    } catch (error) {
      this.#problem = (error as Error).message;
      this.#log(`the certificate could not be renewed: ${this.#problem}`);
    } finally {
      this.#isFollowing = false;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Files may be replaced one after the other. */
function requirePair({ chain, key }: Certificate): void {
  if (new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))) return;
  throw new Error("the key does not belong to the certificate");
}
