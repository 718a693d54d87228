/**
 * Serves the page.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { sharedBody } from "../unread_body.ts";
import type { PageFile, PageFiles } from "./files.ts";

/**
 * The page's policy: only its own code, styles and server, no code or HTML from text, and no frames.
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

/** The content of a name with a hash never changes. */
const FOR_EVER = "public, max-age=31536000, immutable";

/** Paths that are not screens. */
const NO_SCREEN = /^\/(api|assets|sign-in)\//;

/**
 * Answers requests for the page's files and its screens. All screens are the same page.
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

function respond(request: Request, file: PageFile, forEver: boolean): Response {
  const takesGzip = /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
  const body = takesGzip ? packed(file) : plain(file);
  return new Response(request.method === "HEAD" ? null : sharedBody(body), {
    headers: {
      "content-type": file.type,
      "content-length": String(body.length),
      "cache-control": forEver ? FOR_EVER : "no-cache",
      "content-security-policy": POLICY,
      vary: "accept-encoding",
      ...(takesGzip && { "content-encoding": "gzip" }),
    },
  });
}

/** The bytes of a file, decoded once. */
const packed = once(({ gzip }) => new Uint8Array(Buffer.from(gzip, "base64")));
/** Few clients do not support gzip. */
const plain = once((file) => new Uint8Array(gunzipSync(packed(file))));

type Bytes = Uint8Array<ArrayBuffer>;

function once(decode: (file: PageFile) => Bytes): (file: PageFile) => Bytes {
  const decoded = new WeakMap<PageFile, Bytes>();
  return (file) => {
    let bytes = decoded.get(file);
    if (!bytes) decoded.set(file, bytes = decode(file));
    return bytes;
  };
}
