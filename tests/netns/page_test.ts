/**
 * The page of `wgd web` in a real browser: from the setup link to a connected phone, and every screen for every role.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Browser, BROWSER_PROGRAMS } from "./lab/browser.ts";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { findings, scan, signIn, tabTo } from "./lab/screen.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
/** The administrator that the setup makes. */
const ADMIN = { name: "admin", password: "correct horse battery" } as const;
const PROGRAMS = [...BROWSER_PROGRAMS, "zbarimg", "ping"];

/** What web.md promises of the first phone. */
const MOST_CLICKS = 5;
const MOST_SECONDS = 60;

const SCREENS = [
  ...[
    "/devices",
    "/add",
    "/mine",
    "/people",
    "/people/groups",
    "/people/providers",
    "/people/invites",
    "/network",
  ],
  ...["/activity", "/settings", "/account", "/nowhere"],
];
/** The last is the narrowest that WCAG 2.2 names (1.4.10). */
const WIDTHS = [1280, 800, 320];

/** Controls that are partly outside of the window although it cannot be scrolled to them. */
const CUT_OFF = `[...document.querySelectorAll("a[href], button, summary, input, select, textarea")]
  .filter((element) => element.checkVisibility() && !element.matches(".skip, .segments input"))
  .filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    return left < 0 || right > document.documentElement.clientWidth;
  })
  .map(({ outerHTML }) => outerHTML.slice(0, 100))`;

/** Addresses of devices that are not shown completely. */
const SHORTENED = `[...document.querySelectorAll("td.address")]
  .filter((cell) => cell.checkVisibility() && cell.scrollWidth > cell.clientWidth)
  .map((cell) => cell.textContent)`;

/** A server that was not set up, and a phone with a browser. */
async function newServer() {
  await using made = new AsyncDisposableStack();
  const network = made.use(await Network.create("server", "phone"));
  const [server, phone] = network.hosts;
  await connect(
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: phone, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  const browser = made.use(await Browser.start(phone));
  const started = performance.now();
  const process = await server.start([
    ...[...wgd, "web", "--data", "/run/lab/data", "--listen", "192.0.2.1:8443"],
  ]);
  const link = await eventually(
    "the setup link",
    () => /(https:\/\/\S+\/setup#\S+)\n/.exec(process.output())?.[1],
    { within: 20_000 },
  );
  const { origin } = new URL(link);
  const all = made.move();
  return { process, phone, browser, link, origin, started, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

await rootTest(
  "wgd web in a browser: the first phone connects, and every screen is accessible and works with the keyboard",
  { programs: PROGRAMS },
  async (context) => {
    await using lab = await newServer();
    const { phone, browser, origin } = lab;
    const steps: [name: string, step: () => Promise<void>][] = [
      [`from the setup link a phone is connected with at most ${MOST_CLICKS} clicks`, () => firstPhone(lab)],
      ["the keyboard alone adds a device and removes it", () => byKeyboard(browser, origin)],
      ["an invite link adds one device, once", () => invite(browser, origin)],
      ["no screen has a finding of axe, in both themes and three widths", () => screens(browser, origin)],
      ["in German every text is German", () => inGerman(browser, origin)],
      ["without X25519 in WebCrypto, keys are made by the library", () => olderBrowser(browser, origin)],
    ];
    // Each needs the result of the one before.
    for (const [name, step] of steps) {
      if (await context.step(name, step)) continue;
      console.log(`The page:\n${browser.account}\nwgd web said:\n${lab.process.output()}`);
      return;
    }
    await phone.ok("ping", "-c", "1", "-W", "2", "10.8.0.1");
  },
);

async function firstPhone({ phone, browser, link, origin, started }: Awaited<ReturnType<typeof newServer>>) {
  await using visit = await browser.visit();
  const { page, requests, faults } = visit;
  let clicks = 0;
  const click = async (name: string) => {
    clicks++;
    await page.getByRole("button", { name }).click();
  };
  await page.goto(link);
  await page.getByLabel("Your password").fill(ADMIN.password);
  equal(new URL(page.url()).hash, "", "the address no longer contains the token");
  await click("Set up");
  await click("Show QR code");
  await page.getByRole("status").getByText("Waiting for the first handshake").waitFor();
  const config = await scan(page);
  await bringUp(phone, config);
  await page.getByRole("status").getByText("Connected").waitFor();
  const seconds = (performance.now() - started) / 1_000;
  console.log(`first phone: ${clicks} clicks, ${seconds.toFixed(1)} s after wgd web was started`);
  ok(clicks <= MOST_CLICKS && seconds <= MOST_SECONDS);

  const privateKey = /^PrivateKey = (.+)$/m.exec(config)![1]!;
  match(privateKey, /^[A-Za-z0-9+/]{43}=$/);
  const bytes = Uint8Array.from(atob(privateKey), (char) => char.charCodeAt(0));
  const spellings = [
    privateKey,
    privateKey.slice(0, 42),
    encodeURIComponent(privateKey),
    bytes.toHex(),
    bytes.toBase64({ alphabet: "base64url" }).slice(0, 42),
  ];
  for (const request of requests) {
    for (const spelling of spellings) ok(!request.includes(spelling), "a request contains the private key");
    ok(request.split("\n")[0]!.includes(` ${origin}/`) || request.includes(" blob:"), request.split("\n")[0]);
  }
  deepEqual(faults, []);
}

async function bringUp(phone: Host, config: string): Promise<void> {
  await phone.sh("umask 077; cat > /run/lab/wg1.conf", {
    // The page must still be reachable, next to the tunnel.
    stdin: config.replace(/^AllowedIPs = .*$/m, "AllowedIPs = 10.8.0.0/24"),
  });
  await phone.ok(...wgd, "quick", "up", "/run/lab/wg1.conf");
  await phone.ok("ping", "-c", "2", "-W", "5", "10.8.0.1");
}

async function byKeyboard(browser: Browser, origin: string) {
  await using visit = await browser.visit();
  const { page, faults } = visit;
  await page.goto(`${origin}/`);
  // The first field has the focus already.
  await page.getByLabel("Name").waitFor();
  await page.keyboard.type(ADMIN.name);
  await page.keyboard.press("Tab");
  await page.keyboard.type(ADMIN.password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Devices", exact: true }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("phone");
  await page.getByRole("status").getByText("1 device").waitFor();
  await tabTo(page, /^Add a device$/).catch(() => page.keyboard.press("Shift+Tab"));
  await page.goto(`${origin}/add`);
  await page.getByLabel("Name of the device").waitFor();
  await tabTo(page, /Phone or tablet/);
  await page.keyboard.press("ArrowDown");
  await tabTo(page, /Name of the device/);
  await page.keyboard.press("Control+a");
  await page.keyboard.type("Keyboard");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Keyboard is ready" }).waitFor();
  await tabTo(page, /^Save Keyboard\.conf$/);
  const download = page.waitForEvent("download");
  await page.keyboard.press("Enter");
  equal((await download).suggestedFilename(), "Keyboard.conf");
  await tabTo(page, /^Open Keyboard$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Why it does not connect" }).waitFor();
  await tabTo(page, /^Remove$/);
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await tabTo(page, /^Remove$/);
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("1 device").waitFor();
  deepEqual(faults, []);
}

async function invite(browser: Browser, origin: string) {
  await using admin = await browser.visit();
  await signIn(admin.page, origin, ADMIN);
  await admin.page.goto(`${origin}/add`);
  await admin.page.getByText("Someone else").click();
  await admin.page.getByRole("button", { name: "Make the link" }).click();
  const link = await admin.page.getByRole("textbox", { name: "Invite link" }).inputValue();
  match(link, /\/invite#[\w-]{43}$/);
  for (const works of [true, false]) {
    await using guest = await browser.visit();
    await guest.page.goto(link);
    await guest.page.getByRole("button", { name: "Show QR code" }).click();
    if (works) match(await scan(guest.page), /^PrivateKey = /m);
    else await guest.page.getByRole("alert").waitFor();
  }
}

async function screens(browser: Browser, origin: string) {
  const wrong: string[] = [];
  for (const theme of ["light", "dark"] as const) {
    await using visit = await browser.visit({ theme, bypassCSP: true });
    const { page, faults } = visit;
    await page.goto(`${origin}/`);
    await page.getByLabel("Name").waitFor();
    wrong.push(...(await findings(page)).map((finding) => `sign in: ${finding}`));
    await signIn(page, origin, ADMIN);
    const first = await page.locator("tbody a").first().getAttribute("href");
    for (const path of [...SCREENS, first!]) {
      await page.goto(origin + path);
      await page.locator("main h1").first().waitFor();
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 820 });
        const place = `${path} ${theme} ${width}`;
        wrong.push(...(await findings(page)).map((finding) => `${place}: ${finding}`));
        const over = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
        if (over > 0) wrong.push(`${place}: ${over} pixels too wide`);
        wrong.push(...(await page.evaluate<string[]>(CUT_OFF)).map((what) => `${place}: cut off: ${what}`));
        wrong.push(
          ...(await page.evaluate<string[]>(SHORTENED)).map((what) => `${place}: shortened: ${what}`),
        );
      }
    }
    deepEqual(faults, []);
  }
  deepEqual(wrong, []);
}

async function inGerman(browser: Browser, origin: string) {
  await using visit = await browser.visit({ locale: "de-DE" });
  const { page } = visit;
  await page.goto(`${origin}/`);
  await page.getByRole("heading", { name: "Anmelden" }).waitFor();
  equal(await page.locator("html").getAttribute("lang"), "de");
  await page.getByLabel("Name").fill(ADMIN.name);
  await page.getByLabel("Passwort").fill(ADMIN.password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Geräte", exact: true }).waitFor();
}

async function olderBrowser(browser: Browser, origin: string) {
  await using visit = await browser.visit({ bypassCSP: true });
  const { page } = visit;
  await page.addInitScript(`
    crypto.subtle.generateKey = () => Promise.reject(new DOMException("no such algorithm", "NotSupportedError"));
  `);
  await signIn(page, origin, ADMIN);
  await page.goto(`${origin}/add`);
  await page.getByRole("button", { name: "Show QR code" }).click();
  match(await scan(page), /^PrivateKey = [A-Za-z0-9+/]{43}=$/m);
}
