/**
 * The dialog in which an administrator changes a device: networks behind it, and what others change meanwhile.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { Browser, BROWSER_PROGRAMS, type Visit } from "./lab/browser.ts";
import { rootTest } from "./lab/rooted.ts";
import { findings, signIn, tabTo } from "./lab/screen.ts";
import { ADMIN, PAGE, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

await rootTest(
  "the page changes a device: networks behind it, and nothing that was not changed there",
  { programs: [...WEB_PROGRAMS, ...BROWSER_PROGRAMS] },
  async (context) => {
    await using lab = await WebLab.start();
    await using browser = await Browser.start(lab.phone);
    await lab.publish();
    const router = await lab.addDevice("router");
    const other = await lab.addDevice("other");
    await using visit = await browser.visit({ bypassCSP: true });
    await signIn(visit.page, PAGE, ADMIN);
    const steps: [name: string, step: () => Promise<void>][] = [
      [
        "networks are set by the keyboard alone, and reach the interface and the routes",
        () => byKeyboard(lab, visit.page, router.id),
      ],
      [
        "a network that cannot be there is named at the field, with the reason",
        () => refused(visit.page, other.id),
      ],
      ["in German too, and on a phone", () => inGerman(browser, other.id)],
      [
        "a host name without a place to break is not wider than a phone",
        () => longName(lab, browser, other.id),
      ],
      ["what somebody else changes while the dialog is open is kept", () => kept(lab, visit.page, other.id)],
      ["the longest address is shown completely", () => longAddress(lab, browser)],
      ["an address that is no device's says so", () => noDevice(visit.page)],
      ["nothing on a device's page moves while it loads", () => still(browser, other.id)],
      ["what loads slowly is announced, and nothing else is", () => slow(browser, other.id)],
      ["a user's own dialog has no such field", () => asUser(lab, browser)],
    ];
    for (const [name, step] of steps) {
      const passed = await context.step(name, async () => {
        await step();
        deepEqual(visit.faults, []);
      });
      if (passed) continue;
      await visit[Symbol.asyncDispose]();
      console.log(`The page:\n${browser.account}\nwgd web said:\n${lab.process.output()}`);
      return;
    }
  },
);

/** Opens the dialog of a device. */
async function openDialog(page: Page, id: string, button = "Edit"): Promise<Locator> {
  await page.goto(`${PAGE}/devices/${id}`);
  await page.getByRole("button", { name: button, exact: true }).click();
  return page.getByRole("dialog");
}

/** What a screen reader says of a field besides its label. */
async function described(page: Page, field: Locator): Promise<string> {
  const ids = (await field.getAttribute("aria-describedby"))?.split(" ") ?? [];
  return (await Promise.all(ids.map((id) => page.locator(`[id="${id}"]`).innerText()))).join(" ");
}

async function byKeyboard({ server }: WebLab, page: Page, id: string) {
  await page.goto(`${PAGE}/devices/${id}`);
  await page.getByRole("button", { name: "Edit" }).waitFor();
  await tabTo(page, /^Edit$/);
  await page.keyboard.press("Enter");
  await tabTo(page, /^Networks behind it/);
  match(await described(page, page.locator(":focus")), /^One on each line, such as 192\.168\.7\.0\/24\./);
  await page.keyboard.type("192.168.7.9/24");
  await page.keyboard.press("Enter");
  await page.keyboard.type("fd07::/64");
  deepEqual(await findings(page), []);
  await tabTo(page, /^Save$/);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByText("192.168.7.0/24, fd07::/64", { exact: true }).waitFor();
  match(
    await server.ok("wg", "show", "wg0", "allowed-ips"),
    /192\.168\.7\.0\/24 fd07::\/64|fd07::\/64 192\.168\.7\.0\/24/,
  );
  match(await server.ok("ip", "route", "show", "dev", "wg0"), /^192\.168\.7\.0\/24 /m);
}

async function refused(page: Page, id: string) {
  const dialog = await openDialog(page, id);
  const field = dialog.getByLabel("Networks behind it");
  for (
    const [networks, reason] of [
      ["172.16.0.0/16\nhere", "here is not a network."],
      ["8.0.0.0/7", "8.0.0.0/7 is too large."],
      ["172.16.0.0/16\n169.254.169.254/32", "169.254.169.254/32 is reserved."],
      ["172.16.0.0/16\n172.16.3.0/24", "172.16.3.0/24 overlaps 172.16.0.0/16, which is also in this list."],
      ["192.168.7.128/25", "192.168.7.128/25 overlaps 192.168.7.0/24, which is behind the device router."],
      ["10.8.0.0/16", "10.8.0.0/16 overlaps 10.8.0.1/24, which belongs to this server’s network wg0."],
      [
        Array.from({ length: 17 }, (_, at) => `${at + 11}.0.0.0/8`).join("\n"),
        "These networks together are too large",
      ],
      [Array.from({ length: 65 }, (_, at) => `172.16.${at}.0/24`).join("\n"), "Enter up to 64 networks"],
    ] as const
  ) {
    await field.fill(networks);
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByRole("alert").getByText(reason).waitFor();
    equal(await field.getAttribute("aria-invalid"), "true");
    match(await described(page, field), new RegExp(RegExp.escape(reason)));
    equal(await field.inputValue(), networks);
  }
  deepEqual(await findings(page), []);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
}

async function inGerman(browser: Browser, id: string) {
  await using visit = await browser.visit({ locale: "de-DE", width: 320, height: 640, bypassCSP: true });
  const { page } = visit;
  await page.goto(`${PAGE}/`);
  await page.getByLabel("Name").fill(ADMIN.name);
  await page.getByLabel("Passwort").fill(ADMIN.password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Geräte", exact: true }).waitFor();
  const dialog = await openDialog(page, id, "Bearbeiten");
  await dialog.getByLabel("Netze dahinter").fill("192.168.7.0/24");
  await dialog.getByRole("button", { name: "Speichern" }).click();
  const reason = "192.168.7.0/24 überschneidet sich mit 192.168.7.0/24, das hinter dem Gerät router ist.";
  await dialog.getByRole("alert").getByText(reason).waitFor();
  deepEqual(await findings(page), []);
  equal(await dialog.evaluate((element) => element.scrollWidth > element.clientWidth), false);
}

async function longName(lab: WebLab, browser: Browser, id: string) {
  const admin = lab.browser("admin");
  equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
  const { body: [network] } = await admin("GET", "/networks");
  const endpoint = `${"gateway".repeat(8)}.example.org:51820`;
  equal((await admin("PATCH", `/networks/${network.id}`, { endpoint })).status, 200);
  await using visit = await browser.visit({ width: 320, height: 640 });
  const { page } = visit;
  await signIn(page, PAGE, ADMIN);
  for (const path of ["/network", `/devices/${id}`]) {
    await page.goto(PAGE + path);
    await page.getByText(endpoint).waitFor();
    equal(await page.evaluate("document.documentElement.scrollWidth > innerWidth"), false, path);
  }
  equal((await admin("PATCH", `/networks/${network.id}`, { endpoint: network.endpoint })).status, 200);
}

async function kept(lab: WebLab, page: Page, id: string) {
  const dialog = await openDialog(page, id);
  await dialog.getByLabel("Name of the device").fill("renamed");
  // The seconds would be lost if the dialog sent what it shows.
  const expiresAt = "2096-01-02T03:04:05.000Z";
  equal((await lab.call("PATCH", `/devices/${id}`, { expiresAt })).status, 200);
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "renamed" }).waitFor();
  const device = (await lab.call("GET", `/devices/${id}`)).body;
  deepEqual([device.name, device.expiresAt], ["renamed", expiresAt]);

  const admin = lab.browser("admin");
  equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
  const password = "a password of theirs";
  const { body: added } = await admin("POST", "/users", { name: "former", role: "admin", password });
  await page.goto(`${PAGE}/people`);
  await page.getByRole("button", { name: "former" }).click();
  await dialog.getByLabel("Device limit").fill("2");
  equal((await admin("PATCH", `/users/${added.id}`, { role: "user" })).status, 200);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  const former = (await admin("GET", `/users/${added.id}`)).body;
  deepEqual([former.role, former.maxDevices], ["user", 2]);
}

async function longAddress(lab: WebLab, browser: Browser) {
  const admin = lab.browser("admin");
  const added = { name: "wg1", address: "198.248.228.241/29", endpoint: "192.0.2.1:51821" };
  equal((await admin("POST", "/networks", added)).status, 201);
  await lab.addDevice("far", { network: "wg1" });
  for (const width of [1280, 870, 800]) {
    await using visit = await browser.visit({ width });
    await signIn(visit.page, PAGE, ADMIN);
    const cell = visit.page.getByRole("row", { name: /far/ }).locator("td.address");
    equal(await cell.innerText(), "198.248.228.242");
    equal(
      await cell.evaluate(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth),
      false,
      `${width}`,
    );
  }
}

async function noDevice(page: Page) {
  for (const path of ["/devices/nowhere", "/devices/%E0%A4%A", "/devices/..%2F..%2Fusers"]) {
    await page.goto(PAGE + path);
    await page.getByRole("alert").getByText("This no longer exists.").waitFor();
    equal(await page.getByRole("button", { name: "Try again" }).count(), 0);
  }
}

/** Holds responses back. @returns Lets them go. */
async function hold(page: Page, paths: RegExp): Promise<() => void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  await page.route(paths, async (route) => {
    await promise;
    await route.continue();
  });
  return resolve;
}

/** Two frames, because one may have begun before. */
async function frames(page: Page): Promise<void> {
  await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
}

async function still(browser: Browser, id: string) {
  await using visit = await browser.visit({ width: 390, height: 844 });
  const { page } = visit;
  await signIn(page, PAGE, ADMIN);
  await page.addInitScript(`
    globalThis.moved = [];
    new PerformanceObserver((list) => {
      for (const { value, sources } of list.getEntries()) {
        moved.push(value, ...sources.map(({ node, previousRect: { top, height }, currentRect }) =>
          \`\${(node?.outerHTML ?? node?.textContent ?? "").slice(0, 80)} from \${top}+\${height} to \${currentRect.top}+\${currentRect.height}\`));
      }
    }).observe({ type: "layout-shift", buffered: true });
  `);
  for (const late of [/\/reasons$/, /\/traffic\?/, /\/live\?/]) {
    const release = await hold(page, late);
    const asked = page.waitForRequest(late);
    await page.goto(`${PAGE}/devices/${id}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await asked;
    await frames(page);
    release();
    for (const name of ["Why it does not connect", "Traffic", "Details"]) {
      await page.getByRole("heading", { name }).waitFor();
    }
    await page.locator(".empty").waitFor();
    await page.locator(".rates:not(.unknown)").waitFor();
    await frames(page);
    deepEqual({ late, moved: await page.evaluate("moved") }, { late, moved: [] });
    await page.unrouteAll();
  }
}

async function slow(browser: Browser, id: string) {
  for (const [locale, text] of [["en-GB", "Loading…"], ["de-DE", "Wird geladen …"]] as const) {
    await using visit = await browser.visit({ locale, bypassCSP: true });
    const { page } = visit;
    const sign = page.getByRole("status").getByText(text);
    const afterHolding = async (paths: RegExp, path: string) => {
      const release = await hold(page, paths);
      await page.goto(PAGE + path);
      await sign.waitFor();
      // On some screens, the heading is what is loading.
      deepEqual((await findings(page)).filter((found) => !found.startsWith("page-has-heading-one")), []);
      release();
      await sign.waitFor({ state: "detached" });
      await page.unrouteAll();
    };
    await afterHolding(/\/api\/v1\/session$/, "/");
    await page.locator("input").first().fill(ADMIN.name);
    await page.locator("input[type=password]").fill(ADMIN.password);
    await page.keyboard.press("Enter");
    await page.locator(".devices").waitFor();
    const lists: [paths: RegExp, path: string][] = [
      [/\/api\/v1\/devices\?/, "/devices"],
      [/\/api\/v1\/devices\/[^/]+$/, `/devices/${id}`],
      [/\/api\/v1\/users$/, "/people"],
      [/\/api\/v1\/networks$/, "/network"],
      [/\/api\/v1\/events/, "/activity"],
      [/\/api\/v1\/tokens$/, "/settings"],
      [/\/api\/v1\/me\/sessions$/, "/account"],
      [/\/api\/v1\/me\/devices$/, "/mine"],
    ];
    for (const [paths, path] of lists) await afterHolding(paths, path);
  }
}

async function asUser(lab: WebLab, browser: Browser) {
  const admin = lab.browser("admin");
  equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
  const password = "anna has a password";
  const { body: anna } = await admin("POST", "/users", { name: "anna", role: "user", password });
  const { id } = await lab.addDevice("hers", { owner: anna.id });
  await using visit: Visit = await browser.visit();
  const { page } = visit;
  await page.goto(`${PAGE}/`);
  await page.getByLabel("Name").fill("anna");
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "My devices" }).waitFor();
  const dialog = await openDialog(page, id);
  await dialog.getByLabel("Name of the device").fill("mine");
  equal(await dialog.getByLabel("Networks behind it").count(), 0);
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "mine" }).waitFor();
}
