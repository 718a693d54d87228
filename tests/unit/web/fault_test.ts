/**
 * What is wrong with a directory or a provider, in the words of the page: every kind of failure, in both languages.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import {
  AdminLimitExceededError,
  BusyError,
  InsufficientAccessError,
  InvalidCredentialsError,
  InvalidSyntaxError,
  NoSuchObjectError,
  ProtocolError,
  SizeLimitExceededError,
  StrongAuthRequiredError,
} from "ldapts";
import { code } from "../../../core/web/english.ts";
import { MESSAGES as GERMAN } from "../../../core/web/page/messages/de.ts";
import { MESSAGES as ENGLISH } from "../../../core/web/page/messages/en.ts";
import type { Fault, FaultCode } from "../../../core/web/sign_in/fault.ts";
import { Directory } from "../../../core/web/sign_in/ldap.ts";
import { DirectoryError } from "../../../core/web/sign_in/ldap_connection.ts";
import { directoryFault, type Question } from "../../../core/web/sign_in/ldap_fault.ts";
import { findGroups } from "../../../core/web/sign_in/ldap_groups.ts";
import { completeLdapSettings } from "../../../core/web/sign_in/ldap_settings.ts";
import { OidcDiscoveryError, OidcProvider } from "../../../core/web/sign_in/oidc.ts";
import { discoveryFault } from "../../../core/web/sign_in/oidc_fault.ts";
import { World } from "./world.ts";

const LANGUAGES: Record<string, Record<string, unknown>> = { en: ENGLISH, de: GERMAN };
const PLACE = { host: "ldap.example.org", port: 636 };
const ISSUER = new URL("https://id.example.org");
const BIND = { what: "bind", account: "cn=wgd" } as const;
const SEARCH = { what: "search", base: "dc=example" } as const;

function ofDirectory(error: Error, question: Question = BIND): Fault {
  return directoryFault(error, PLACE, question);
}

function withCode(name: string, message = "x"): Error {
  return Object.assign(new Error(message), { code: name });
}

/** An error of Deno's `fetch`. */
function fetchError(words: string): Error {
  return new TypeError("fetch failed", {
    cause: new Error(`error sending request for url (${ISSUER}): client error (Connect): ${words}`),
  });
}

/** What a provider's answer for its configuration leads to. */
async function ofProvider(answer: (issuer: string) => Response): Promise<Fault> {
  let issuer = "";
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => answer(issuer));
  issuer = `http://127.0.0.1:${server.addr.port}`;
  return await faultFrom(OidcProvider.discover({ issuer, clientId: "wgd" }, "secret"));
}

async function faultFrom(attempt: Promise<unknown>): Promise<Fault> {
  try {
    await attempt;
  } catch (error) {
    ok(error instanceof DirectoryError || error instanceof OidcDiscoveryError, String(error));
    return error.fault;
  }
  throw new Error("it did not fail");
}

async function openDirectory(url: string, more: object = {}): Promise<void> {
  const settings = completeLdapSettings({
    url,
    shape: "openldap",
    baseDn: "dc=example",
    bindDn: "cn=wgd",
    ...more,
  });
  await using _ = await Directory.open(settings, "secret", Date.now);
}

/** A server that does as a test says with each connection. */
async function listen(serve: (socket: Socket) => void) {
  const server = createServer((socket) => serve(socket.on("error", () => {})));
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

/** A failure for each code. The compiler refuses a table without one of them. */
const FAILURES: Record<FaultCode, () => Fault | Promise<Fault>> = {
  "secret-lost": () => code("fault", "secret-lost"),
  "failed": () => code("fault", "failed"),
  "refused": () => ofDirectory(withCode("ECONNREFUSED")),
  "unreachable": () => ofDirectory(withCode("EHOSTUNREACH")),
  "no-name": () => ofDirectory(withCode("ENOTFOUND")),
  "no-answer": () => ofDirectory(new Error("ExtendedRequest: Operation timed out")),
  "lost": () => ofDirectory(new Error("the connection was lost")),
  "certificate-expired": () => ofDirectory(withCode("CERT_HAS_EXPIRED")),
  "certificate-name": () => ofDirectory(withCode("ERR_TLS_CERT_ALTNAME_INVALID")),
  "certificate-authority": () => ofDirectory(withCode("UNABLE_TO_VERIFY_LEAF_SIGNATURE")),
  "no-tls": () => discoveryFault(fetchError("received corrupt message of type InvalidContentType"), ISSUER),
  "no-start-tls": () => ofDirectory(new ProtocolError(), { what: "start-tls" }),
  "tls-required": () => ofDirectory(new StrongAuthRequiredError()),
  "no-password": async () => {
    const settings = completeLdapSettings({
      url: "ldaps://ldap.example.org",
      shape: "openldap",
      baseDn: "dc=example",
      bindDn: "cn=wgd",
    });
    return await faultFrom(Directory.open(settings, "", Date.now));
  },
  "wrong-account": () => ofDirectory(new InvalidCredentialsError()),
  "no-base": () => ofDirectory(new NoSuchObjectError(), SEARCH),
  "no-rights": () => ofDirectory(new InsufficientAccessError(), SEARCH),
  "limited": () => ofDirectory(new SizeLimitExceededError(), SEARCH),
  "busy": () => ofDirectory(new BusyError(), SEARCH),
  "members-in-parts": async () => {
    const settings = completeLdapSettings({
      url: "ldaps://ldap.example.org",
      shape: "openldap",
      baseDn: "dc=example",
    });
    const search = () => Promise.resolve([{ dn: "cn=staff", "member;range=0-1499": ["cn=anna"] }]);
    return await faultFrom(findGroups(search, settings, ["staff"]));
  },
  "directory": () => ofDirectory(new InvalidSyntaxError(), SEARCH),
  "issuer": () => faultFrom(OidcProvider.discover({ issuer: "http://id.example.org", clientId: "x" }, "s")),
  "status": () => ofProvider(() => new Response("no", { status: 404 })),
  "no-json": () => ofProvider(() => new Response("<html>", { headers: { "content-type": "text/html" } })),
  "other-issuer": () => ofProvider(() => Response.json({ issuer: "https://other.example" })),
  "incomplete-provider": () => ofProvider((issuer) => Response.json({ issuer })),
  "provider": () => discoveryFault(new Error("nobody foresaw this"), ISSUER),
};

Deno.test("faults: every kind of failure has a text in both languages, and all of its values", async () => {
  for (const [name, fail] of Object.entries(FAILURES)) {
    const fault = await fail();
    equal(fault.code, name);
    for (const [language, messages] of Object.entries(LANGUAGES)) {
      const text = messages[`fault.${name}`];
      ok(typeof text === "string" && text.length > 10, `${language}: ${name}`);
      const used = [...text.matchAll(/\{(\w+)\}/g)].map(([, value]) => value!);
      deepEqual(Object.keys(fault.values).sort(), [...new Set(used)].sort(), `${language}: ${name}`);
      for (const value of used) ok(!["", "undefined"].includes(fault.values[value]!), `${name}: ${value}`);
    }
  }
});

Deno.test("faults: no code is also the code of another text that the server chooses", () => {
  for (const name of Object.keys(FAILURES)) {
    for (const section of ["sync", "try"]) ok(!Object.hasOwn(ENGLISH, `${section}.${name}`), name);
  }
});

Deno.test("faults: the same failure has the same code, whichever library reports it", () => {
  for (
    const [name, error] of [
      ["refused", fetchError("tcp connect error: Connection refused (os error 111)")],
      ["unreachable", fetchError("tcp connect error: No route to host (os error 113)")],
      ["unreachable", fetchError("tcp connect error: Network is unreachable (os error 101)")],
      ["no-name", fetchError("dns error: failed to lookup address information: Name or service not known")],
      ["no-answer", withCode("OAUTH_TIMEOUT", "operation timed out")],
      ["lost", fetchError("tls handshake eof")],
      ["certificate-authority", fetchError("invalid peer certificate: UnknownIssuer")],
      [
        "certificate-name",
        fetchError('invalid peer certificate: certificate not valid for name "id.example.org"'),
      ],
      [
        "certificate-expired",
        fetchError("invalid peer certificate: certificate expired: verification time 1 (UNIX)"),
      ],
    ] as const
  ) equal(discoveryFault(error, ISSUER).code, name);
  equal(
    ofDirectory(new NoSuchObjectError()).code,
    "wrong-account",
    "Active Directory's answer to some names",
  );
  equal(ofDirectory(new AdminLimitExceededError(), SEARCH).code, "limited");
});

Deno.test("faults: a directory over LDAPS that refuses, or closes, is told apart", async () => {
  let port: number;
  {
    await using closing = await listen((socket) => socket.destroy());
    port = closing.port;
    equal((await faultFrom(openDirectory(`ldaps://127.0.0.1:${port}`))).code, "lost");
  }
  deepEqual(await faultFrom(openDirectory(`ldaps://127.0.0.1:${port}`)), {
    code: "refused",
    values: { server: `127.0.0.1:${port}` },
  });
  equal((await faultFrom(openDirectory("ldaps://no-such.invalid"))).code, "no-name");
});

Deno.test("faults: the API says it in English, with the code for other languages", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  const add = async (kind: string, settings: unknown) =>
    (await admin.post("/providers", { kind, name: kind, settings, secret: "secret" })).body.id;
  const ldap = await add("ldap", {
    url: "ldaps://127.0.0.1:1",
    shape: "openldap",
    baseDn: "dc=x",
    bindDn: "cn=x",
  });
  const { decision } = (await admin.post(`/providers/${ldap}/try`, { name: "anna" })).body;
  equal(decision.code, "refused");
  deepEqual(decision.values, { server: "127.0.0.1:1" });
  match(decision.text, /^The directory refuses the account that searches: .*ECONNREFUSED.*\.$/);
});
