import { deepEqual, equal, match } from "node:assert/strict";
import fc from "fast-check";
import { HttpProxy } from "../../../core/proxy/http.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data);

Deno.test("HttpProxy opens a tunnel by CONNECT", () => {
  for (
    const [authority, host, port] of [
      ["db.test:5432", "db.test", 5_432],
      ["10.0.0.1:443", "10.0.0.1", 443],
      ["[fd00::1]:443", "fd00::1", 443],
    ] as const
  ) {
    const proxy = new HttpProxy();
    const step = proxy.push(bytes(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\nearly`));
    deepEqual(step.request, { kind: "connect", target: { host, port }, first: bytes("early") });
    match(text(proxy.granted({ host, port })), /^HTTP\/1\.1 200 /);
    match(text(proxy.refused("timed out")), /^HTTP\/1\.1 504 /);
  }
});

Deno.test("HttpProxy forwards a request with an absolute URL in the form for its server", () => {
  const proxy = new HttpProxy();
  const { request } = proxy.push(bytes(
    "POST http://web.test:8080/a/b?c=d HTTP/1.1\r\nHost: other.test\r\nX-Own: 1\r\nConnection: keep-alive, X-Own\r\n" +
      "Proxy-Authorization: Basic eA==\r\nProxy-Connection: keep-alive\r\nContent-Length: 4\r\n\r\nbody",
  ));
  deepEqual(request?.target, { host: "web.test", port: 8_080 });
  equal(
    text(request?.first),
    "POST /a/b?c=d HTTP/1.1\r\nHost: web.test:8080\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
  );
  equal(proxy.granted({ host: "", port: 0 }).length, 0, "wgd adds no response of its own");
});

Deno.test("HttpProxy requires the configured user and password", () => {
  const credentials = { user: "anna", password: "se:cret" };
  const ask = (header: string) =>
    new HttpProxy(credentials).push(bytes(`CONNECT a.test:1 HTTP/1.1\r\n${header}\r\n`));
  const basic = (value: string) => `Proxy-Authorization: Basic ${btoa(value)}\r\n`;
  equal(ask(basic("anna:se:cret")).request?.target.host, "a.test");
  for (const header of ["", basic("anna:wrong"), basic("anna"), "Proxy-Authorization: Basic !\r\n"]) {
    const step = ask(header);
    equal(step.over, true);
    match(text(step.reply), /^HTTP\/1\.1 407 [^]*Proxy-Authenticate: Basic/);
  }
});

Deno.test("HttpProxy refuses a request that is not for a proxy", () => {
  for (
    const request of [
      "GET / HTTP/1.1\r\n\r\n",
      "GET https://a.test/ HTTP/1.1\r\n\r\n",
      "GET http://user:password@a.test/ HTTP/1.1\r\n\r\n",
      "CONNECT https://a.test HTTP/1.1\r\n\r\n",
      "CONNECT a.test:99999 HTTP/1.1\r\n\r\n",
      "CONNECT a.test:0 HTTP/1.1\r\n\r\n",
      "GET http://a.test/ HTTP/2\r\n\r\n",
      "GET http://a.test/ x HTTP/1.1\r\n\r\n",
      "GET http://a.test/ HTTP/1.1\r\n folded\r\n\r\n",
      "GET http://a.test/ HTTP/1.1\r\nBad name: 1\r\n\r\n",
      "\x16\x03\x01\n\n",
    ]
  ) {
    const step = new HttpProxy().push(bytes(request));
    match(text(step.reply), /^HTTP\/1\.1 400 /, request);
    equal(step.over, true);
  }
  match(text(new HttpProxy().push(new Uint8Array(70_000).fill(65)).reply), /^HTTP\/1\.1 431 /);
});

Deno.test("HttpProxy connects to port 443 if CONNECT has no port, as wireproxy does", () => {
  for (const [url, host] of [["a.test", "a.test"], ["10.0.0.1", "10.0.0.1"], ["[fd00::1]", "fd00::1"]]) {
    const { request } = new HttpProxy().push(bytes(`CONNECT ${url} HTTP/1.1\r\n\r\n`));
    deepEqual(request?.target, { host, port: 443 });
  }
});

Deno.test("HttpProxy says what to do about likely mistakes", () => {
  const said = (request: string) => text(new HttpProxy().push(bytes(`${request} HTTP/1.1\r\n\r\n`)).reply);
  match(said("GET https://a.test/"), /\n\r\nhttps URLs need CONNECT/);
  match(said("GET /"), /\n\r\nthis is an HTTP proxy, not a web server/);
  match(
    said("CONNECT https://a.test"),
    /\n\r\nCONNECT needs a host and a port, such as server\.internal:443\n$/,
  );
});

Deno.test("HttpProxy gives the same result however its input is split", () => {
  const talk = bytes("GET http://a.test/x HTTP/1.1\r\nA: b\r\n\r\nbody");
  const whole = text(new HttpProxy().push(talk).request?.first);
  for (let cut = 0; cut < talk.length - 4; cut++) {
    const proxy = new HttpProxy();
    deepEqual(proxy.push(talk.subarray(0, cut)), {}, `${cut}`);
    equal(text(proxy.push(talk.subarray(cut)).request?.first), whole);
  }
});

Deno.test("HttpProxy accepts any bytes without an exception", () => {
  const piece = fc.constantFrom(
    "GET ",
    "CONNECT ",
    "http://",
    "a.test",
    ":",
    "443",
    " HTTP/1.1",
    "\r\n",
    "\n",
    "\0",
    "%",
    "[",
    "é",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      new HttpProxy().push(bytes(pieces.join("")));
    }),
    { numRuns: 5_000 },
  );
});
