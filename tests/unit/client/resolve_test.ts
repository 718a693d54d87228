import { deepEqual, equal, rejects } from "node:assert/strict";
import { splitEndpoint } from "../../../core/config/endpoint.ts";
import { formatSocketAddress } from "../../../core/config/endpoint.ts";
import { resolveEndpoint, type ResolveOptions } from "../../../core/client/resolve.ts";

const AGAIN = -3001;
const NONAME = -3008;

/** A name server that fails this many times, and a clock that only records the pauses. */
function lab(failures: number, errno: number) {
  const waits: number[] = [];
  const reports: string[] = [];
  const options: ResolveOptions = {
    wait: (milliseconds) => {
      waits.push(milliseconds);
      return Promise.resolve();
    },
    report: (message) => reports.push(message),
    lookupHost: () =>
      failures-- > 0 ? Promise.reject(Object.assign(new Error(), { errno })) : Promise.resolve("192.0.2.7"),
  };
  return { waits, reports, options };
}

async function resolve(text: string, options: ResolveOptions): Promise<string> {
  const endpoint = splitEndpoint(text);
  if (typeof endpoint === "string") throw new Error(endpoint);
  return formatSocketAddress(await resolveEndpoint(endpoint, options));
}

Deno.test("numeric endpoints are not looked up", async () => {
  const { options } = lab(Infinity, NONAME);
  equal(await resolve("1.2.3.4:5", options), "1.2.3.4:5");
  equal(await resolve("[fd00::1]:5", options), "[fd00::1]:5");
  equal(await resolve("::1:5", options), "[::1]:5");
});

Deno.test("a temporary failure is retried 15 times, after pauses that grow by 1.2 up to 20 s", async () => {
  const { waits, reports, options } = lab(Infinity, AGAIN);
  await rejects(resolve("h:5", options), { message: "Temporary failure in name resolution: `h:5'" });
  equal(waits.length, 15);
  deepEqual(reports.slice(0, 3), [
    "Temporary failure in name resolution: `h:5'. Trying again in 1.00 seconds...",
    "Temporary failure in name resolution: `h:5'. Trying again in 1.20 seconds...",
    "Temporary failure in name resolution: `h:5'. Trying again in 1.44 seconds...",
  ]);
  // As wg printed it: microseconds, rounded down each time.
  equal(reports[14], "Temporary failure in name resolution: `h:5'. Trying again in 12.84 seconds...");
});

Deno.test("retries can be turned off or unlimited", async () => {
  const none = lab(1, AGAIN);
  await rejects(resolve("h:5", { ...none.options, retries: 0 }), /Temporary failure/);
  deepEqual(none.waits, []);
  const endless = lab(100, AGAIN);
  equal(await resolve("h:5", { ...endless.options, retries: Infinity }), "192.0.2.7:5");
  equal(endless.waits.length, 100);
  equal(Math.max(...endless.waits), 20_000);
});

Deno.test("an answer that there is no such host is final", async () => {
  const { waits, options } = lab(1, NONAME);
  await rejects(resolve("h:5", options), { message: "Name or service not known: `h:5'" });
  deepEqual(waits, []);
});

Deno.test("an unknown service is final, and is detected before the host is looked up", async () => {
  const { options } = lab(Infinity, AGAIN);
  await rejects(resolve("h:no-such-service", options), {
    message: "Servname not supported for ai_socktype: `h:no-such-service'",
  });
});
