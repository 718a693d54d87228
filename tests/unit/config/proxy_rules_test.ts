import { deepEqual, equal, throws } from "node:assert/strict";
import { ValueError } from "../../../core/config/values.ts";
import {
  formatListening,
  isLocal,
  readCredentials,
  readForward,
  readListening,
  readPortForward,
  readReverse,
  readTarget,
  readUdpReverse,
} from "../../../core/config/proxy_rules.ts";

Deno.test("readListening() defaults to loopback", () => {
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

Deno.test("Unix sockets are accepted for listeners, and for targets of connections from the tunnel", () => {
  deepEqual(readListening("unix:/run/p.sock"), { path: "/run/p.sock" });
  deepEqual(readForward("unix:/run/a=b=db.internal:5432"), {
    from: { path: "/run/a=b" },
    to: { host: "db.internal", port: 5_432 },
  });
  deepEqual(readReverse("80=unix:/run/web=1.sock"), { port: 80, to: { path: "/run/web=1.sock" } });
  for (const text of ["unix:", "unix:p.sock", "unix:/run/", `unix:/${"x".repeat(107)}`]) {
    throws(() => readListening(text), ValueError, text);
  }
  for (const text of ["1080", "[fd00::1]:1080", "unix:/run/p.sock"]) {
    deepEqual(readListening(formatListening(readListening(text))), readListening(text));
  }
});

Deno.test("readReverse(), readPortForward() and readUdpReverse() read the forms in the manual", () => {
  deepEqual(readReverse("80=127.0.0.1:3000"), { port: 80, to: { host: "127.0.0.1", port: 3_000 } });
  deepEqual(readPortForward("5353=10.0.0.1:53"), {
    from: { hostname: "127.0.0.1", port: 5_353 },
    to: { host: "10.0.0.1", port: 53 },
  });
  deepEqual(readUdpReverse("53=localhost:5353"), { port: 53, to: { host: "localhost", port: 5_353 } });
  for (const text of ["80", "80=", "=a:1", "0=a:1", "10.0.0.1:80=a:1", "65536=a:1", "80=unix:x"]) {
    throws(() => readReverse(text), ValueError, text);
  }
  for (const text of ["unix:/run/p.sock=a:1", "53=unix:/run/p.sock"]) {
    throws(() => readPortForward(text), ValueError, text);
    throws(() => readUdpReverse(text), ValueError, text);
  }
});

Deno.test("readCredentials() reads the first line, and its errors contain no secret", () => {
  deepEqual(readCredentials("anna:se:cret\n"), { user: "anna", password: "se:cret" });
  throws(
    () => readCredentials("secret"),
    (error: ValueError) => !`${error.message}${error.advice}`.includes("secret"),
  );
});

Deno.test("isLocal() recognizes addresses that only this machine can reach", () => {
  for (const text of ["127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "localhost:1", "unix:/p"]) {
    equal(isLocal(readListening(text)), true, text);
  }
  for (const text of ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"]) equal(isLocal(readListening(text)), false, text);
});
