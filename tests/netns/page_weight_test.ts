/**
 * The amount of data that the page loads, measured in a browser.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { Page } from "playwright-core";
import { Browser, BROWSER_PROGRAMS } from "./lab/browser.ts";
import { rootTest } from "./lab/rooted.ts";
import { ADMIN, PAGE, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

/** The most bytes of the first visit, headers included. */
const FIRST_VISIT = 60_000;
/** The most requests until somebody can sign in. */
const MOST_REQUESTS = 8;

await rootTest(
  "the first visit of the page loads less than 60 kB in few requests, and the next one only what has changed",
  { programs: [...WEB_PROGRAMS, ...BROWSER_PROGRAMS] },
  async () => {
    await using lab = await WebLab.start();
    await using browser = await Browser.start(lab.phone);
    await lab.publish();
    await using visit = await browser.visit();
    const { page } = visit;
    const admin = lab.browser("admin");
    equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
    const settings = { issuer: "https://id.example.org", clientId: "wgd" };
    equal((await admin("POST", "/providers", { kind: "oidc", name: "ID", settings })).status, 201);
    await page.addInitScript(`
      globalThis.moved = 0;
      new PerformanceObserver((list) => {
        for (const { value } of list.getEntries()) moved += value;
      }).observe({ type: "layout-shift", buffered: true });
    `);
    const printed: string[] = [];
    page.on("console", (message) => printed.push(message.text()));
    const loaded = await count(page);

    await page.goto(`${PAGE}/`);
    await page.getByLabel("Name").waitFor();
    await page.waitForLoadState("networkidle");
    const first = loaded();
    console.log(`until somebody can sign in: ${tell(first)}`);
    ok(first.length <= MOST_REQUESTS, tell(first));
    equal(await page.evaluate("moved"), 0, "what is shown does not move");
    deepEqual(printed, [], "the browser's console, which tells of each failed request");

    await page.getByLabel("Name").fill(ADMIN.name);
    await page.getByLabel("Password").fill(ADMIN.password);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Devices", exact: true }).waitFor();
    await page.locator(".empty").waitFor();
    const both = [...first, ...loaded()];
    console.log(`until the devices are shown: ${tell(both)}`);
    ok(bytesOf(both) < FIRST_VISIT, tell(both));
    deepEqual(
      both.filter(({ url }) => new URL(url).origin !== PAGE),
      [],
      "nothing comes from another origin",
    );

    await page.reload();
    await page.getByRole("heading", { name: "Devices", exact: true }).waitFor();
    await page.locator(".empty").waitFor();
    const again = loaded();
    console.log(`the next visit: ${tell(again)}`);
    deepEqual(again.filter(({ url }) => url.includes("/assets/")), []);
  },
);

interface Loaded {
  readonly url: string;
  /** Bytes on the wire. */
  bytes: number;
}

/** Counts what a page loads. @returns A function that returns the bytes received since its last call. */
async function count(page: Page): Promise<() => Loaded[]> {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  let all = new Map<string, Loaded>();
  session.on("Network.responseReceived", ({ requestId, response }) => {
    all.set(requestId, { url: response.url, bytes: response.encodedDataLength });
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const loaded = all.get(requestId);
    if (loaded) loaded.bytes = encodedDataLength;
  });
  return () => {
    const loaded = [...all.values()].filter(({ bytes }) => bytes > 0);
    all = new Map();
    return loaded;
  };
}

function bytesOf(loaded: readonly Loaded[]): number {
  return loaded.reduce((sum, { bytes }) => sum + bytes, 0);
}

function tell(loaded: readonly Loaded[]): string {
  const each = loaded.map(({ url, bytes }) => `${new URL(url).pathname} ${bytes}`);
  return `${loaded.length} requests, ${bytesOf(loaded)} bytes (${each.join(", ")})`;
}
