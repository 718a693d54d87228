import { deepEqual, equal, throws } from "node:assert/strict";
import { ValueError } from "../../../core/config/values.ts";
import {
  isLoopback,
  readCredentials,
  readForward,
  readListening,
  readTarget,
} from "../../../core/proxy/rules.ts";

Deno.test("readListening() is on loopback unless it says otherwise", () => {
  deepEqual(readListening("1080"), { hostname: "127.0.0.1", port: 1_080 });
  deepEqual(readListening("0.0.0.0:1080"), { hostname: "0.0.0.0", port: 1_080 });
  deepEqual(readListening("[::1]:1080"), { hostname: "::1", port: 1_080 });
  for (const text of ["", "0", "65536", "host:1080", ":1080", "1080:", "::1:1080", "127.0.0.1"]) {
    throws(() => readListening(text), ValueError, text);
  }
});

Deno.test("readForward() and readTarget() read names and addresses", () => {
  deepEqual(readForward("5432=db.internal:5433"), {
    from: { hostname: "127.0.0.1", port: 5_432 },
    to: { host: "db.internal", port: 5_433 },
  });
  deepEqual(readTarget("[fd00::1]:443"), { host: "fd00::1", port: 443 });
  for (const text of ["5432", "5432=", "=a:1", "5432=a", "5432=a:1=b", "5432=a:0"]) {
    throws(() => readForward(text), ValueError, text);
  }
});

Deno.test("readCredentials() takes the first line, and quotes no secret", () => {
  deepEqual(readCredentials("anna:se:cret\n"), { user: "anna", password: "se:cret" });
  throws(
    () => readCredentials("secret"),
    (error: ValueError) => !`${error.message}${error.advice}`.includes("secret"),
  );
});

Deno.test("isLoopback() knows who is reached by this machine alone", () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) equal(isLoopback(host), true);
  for (const host of ["0.0.0.0", "::", "192.0.2.1"]) equal(isLoopback(host), false);
});
