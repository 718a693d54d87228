/**
 * A small certificate authority, so that the page is encrypted from the first start. Only the keeper has its key, so
 * that an attacker who has taken over the web process cannot sign with it.
 *
 * @module
 */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { parseAddress } from "../../config/address.ts";
import { writeDurably } from "../../durable_file.ts";
import { bits, type Der, integer, isTrue, octets, oid, sequence, setOf, tagged, time, utf8 } from "./der.ts";

const DAY = 86_400_000;
/** Ten years. */
const AUTHORITY_LIFE = 3_650 * DAY;
/** Browsers refuse certificates that are valid for more than 398 days. */
const LIFE = 397 * DAY;
/** Clocks differ. */
const EARLIER = DAY;

/** OIDs of RFC 5280 and RFC 5758. */
const OID = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const;

/** A certificate with its key, both in PEM. */
export interface Certificate {
  /** The certificate, followed by those that signed it. */
  readonly chain: string;
  readonly key: string;
}

/** The authority of one server. */
export class Authority {
  readonly #key: KeyObject;

  private constructor(
    key: KeyObject,
    /** Its certificate in PEM, for browsers and systems to trust. */
    readonly certificate: string,
  ) {
    this.#key = key;
  }

  /**
   * Reads the authority's files, or makes them.
   *
   * @param keyPath For root alone.
   * @param certificatePath For everybody.
   */
  static async open(keyPath: string, certificatePath: string, now: number): Promise<Authority> {
    try {
      const key = createPrivateKey(await Deno.readTextFile(keyPath));
      return new Authority(key, await Deno.readTextFile(certificatePath));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    // The authorities of two servers must have different names, or browsers would confuse them.
    const name = `wgd ${randomBytes(4).toString("hex")}`;
    const certificate = makeCertificate(privateKey, {
      subject: name,
      issuer: name,
      publicKey: createPublicKey(privateKey),
      issuerKey: createPublicKey(privateKey),
      from: now - EARLIER,
      to: now + AUTHORITY_LIFE,
      extensions: [
        extension(OID.basicConstraints, sequence(isTrue(), integer(Uint8Array.of(0))), true),
        // keyCertSign and cRLSign.
        extension(OID.keyUsage, bits(Uint8Array.of(0x06), 1), true),
      ],
    });
    const encode = (text: string) => new TextEncoder().encode(text);
    await writeDurably(keyPath, encode(privateKey.export({ type: "pkcs8", format: "pem" }) as string), {
      mode: 0o600,
    });
    await writeDurably(certificatePath, encode(certificate), { mode: 0o644 });
    return new Authority(privateKey, certificate);
  }

  /**
   * Makes a certificate for a server, with a new key.
   *
   * @param names Host names and IP addresses; at least one.
   */
  issue(names: readonly string[], now: number): Certificate {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const issuer = new X509Certificate(this.certificate).subject.replace(/^CN=/, "");
    const certificate = makeCertificate(this.#key, {
      subject: names[0]!,
      issuer,
      publicKey: createPublicKey(privateKey),
      issuerKey: createPublicKey(this.#key),
      from: now - EARLIER,
      to: now + LIFE,
      extensions: [
        extension(OID.basicConstraints, sequence(), true),
        // digitalSignature.
        extension(OID.keyUsage, bits(Uint8Array.of(0x80), 7), true),
        extension(OID.extKeyUsage, sequence(oid(OID.serverAuth))),
        extension(OID.subjectAltName, sequence(...names.map(generalName))),
      ],
    });
    return {
      chain: certificate + this.certificate,
      key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    };
  }
}

/** How long before it expires a certificate is renewed. */
const RENEW_BEFORE = 30 * DAY;

/** Whether a certificate must be renewed. */
export function isDue(pem: string, now: number): boolean {
  return new X509Certificate(pem).validToDate.getTime() - now < RENEW_BEFORE;
}

/** The fingerprint of the first certificate in a PEM text, as browsers show it (SHA-256). */
export function fingerprint(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}

interface Contents {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly issuerKey: KeyObject;
  readonly from: number;
  readonly to: number;
  readonly extensions: readonly Der[];
}

/** A certificate of version 3 (RFC 5280, section 4.1) in PEM. */
function makeCertificate(signingKey: KeyObject, contents: Contents): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const publicKey = contents.publicKey.export({ type: "spki", format: "der" });
  const body = sequence(
    tagged(0xa0, integer(Uint8Array.of(2))),
    // At most 20 bytes, positive (section 4.1.2.2).
    integer(randomBytes(16)),
    algorithm,
    distinguishedName(contents.issuer),
    sequence(time(new Date(contents.from)), time(new Date(contents.to))),
    distinguishedName(contents.subject),
    publicKey,
    tagged(
      0xa3,
      sequence(
        ...contents.extensions,
        extension(OID.subjectKeyIdentifier, octets(keyIdentifier(contents.publicKey))),
        extension(OID.authorityKeyIdentifier, sequence(tagged(0x80, keyIdentifier(contents.issuerKey)))),
      ),
    ),
  );
  const signature = sign("sha256", body, { key: signingKey, dsaEncoding: "der" });
  return pem(sequence(body, algorithm, bits(signature)));
}

function distinguishedName(commonName: string): Der {
  // X.520 allows 64 characters.
  return sequence(setOf(sequence(oid(OID.commonName), utf8(commonName.slice(0, 64)))));
}

function extension(id: string, value: Der, isCritical = false): Der {
  return sequence(oid(id), ...(isCritical ? [isTrue()] : []), octets(value));
}

function generalName(name: string): Der {
  const address = parseAddress(name);
  return address ? tagged(0x87, address) : tagged(0x82, new TextEncoder().encode(name));
}

function keyIdentifier(key: KeyObject): Uint8Array {
  return createHash("sha1").update(key.export({ type: "spki", format: "der" })).digest();
}

function pem(der: Der): string {
  const lines = der.toBase64().match(/.{1,64}/g)!.join("\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
