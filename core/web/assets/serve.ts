/**
 * Serves the page.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import type { PageFile, PageFiles } from "./files.ts";

/**
 * What the page may do: its own code and style, its own server, nothing that is made of text while it runs, and no frame
 * around it.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** Names with a hash in them never mean something else. */
const FOR_EVER = "public, max-age=31536000, immutable";

/** Where there are other things than screens. */
const NO_SCREEN = /^\/(api|assets|sign-in)\//;

/**
 * Answers requests for the page's files, and for its screens, which all are the one page.
 *
 * @returns Undefined if the request is for something else.
 */
export function servePage(request: Request, files: PageFiles): Response | undefined {
  if (request.method !== "GET" && request.method !== "HEAD") return undefined;
  const { pathname } = new URL(request.url);
  if (Object.hasOwn(files, pathname)) return respond(request, files[pathname]!, pathname !== "/");
  const page = files["/"];
  return !page || NO_SCREEN.test(pathname) ? undefined : respond(request, page, false);
}

function respond(request: Request, { type, gzip }: PageFile, forEver: boolean): Response {
  const packed = Buffer.from(gzip, "base64");
  const takesGzip = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
  const body = takesGzip ? packed : gunzipSync(packed);
  return new Response(request.method === "HEAD" ? null : new Uint8Array(body), {
    headers: {
      "content-type": type,
      "content-length": String(body.length),
      "cache-control": forEver ? FOR_EVER : "no-cache",
      "content-security-policy": POLICY,
      vary: "accept-encoding",
      ...(takesGzip && { "content-encoding": "gzip" }),
    },
  });
}
