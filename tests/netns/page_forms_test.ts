/**
 * The administrator's forms of the page in a real browser, and a second factor. Their values take effect at the
 * interface, for a program with a token, and at the next sign-in.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Page } from "playwright-core";
import { totpCode } from "../../core/web/sign_in/totp.ts";
import { Browser, BROWSER_PROGRAMS, type Visit } from "./lab/browser.ts";
import { eventually } from "./lab/exec.ts";
import { rootTest } from "./lab/rooted.ts";
import { findings, scan, signIn, tabTo } from "./lab/screen.ts";
import { ADMIN, API, DATA, PAGE, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

await rootTest(
  "forms of the page: networks, users and groups, tokens, invite links, a second factor",
  { programs: [...WEB_PROGRAMS, ...BROWSER_PROGRAMS, "zbarimg"] },
  async (context) => {
    await using lab = await WebLab.start();
    await using browser = await Browser.start(lab.phone);
    await lab.publish();
    await using admin = await browser.visit({ bypassCSP: true });
    await signIn(admin.page, PAGE, ADMIN);
    const steps: [name: string, step: (lab: WebLab, visit: Visit, browser: Browser) => Promise<void>][] = [
      ["a network is added and changed, and a wrong address is said at its field", networks],
      ["a user is added by the keyboard alone, given a group, disabled and removed", users],
      ["a token is shown once, works, and stops working when it is removed", tokens],
      ["an invite link is copied, listed and taken back", invites],
      ["a second factor is set up by its QR code and asked for at the next sign-in", secondFactor],
    ];
    for (const [name, step] of steps) {
      const passed = await context.step(name, async () => {
        await step(lab, admin, browser);
        deepEqual(admin.faults, []);
      });
      if (passed) continue;
      console.log(`The page:\n${browser.account}\nwgd web said:\n${lab.process.output()}`);
      return;
    }
  },
);

/** Goes to a screen that has a heading. */
async function goTo(page: Page, path: string, heading: string): Promise<void> {
  await page.goto(PAGE + path);
  await page.getByRole("heading", { name: heading, exact: true, level: 1 }).waitFor();
}

/** Presses a button of the dialog that is open, and waits until it has closed. */
async function finish(page: Page, button: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: button, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

async function networks({ server }: WebLab, { page }: Visit) {
  await goTo(page, "/network", "Network");
  await page.getByRole("button", { name: "Add a network" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of the interface").fill("wg1");
  await dialog.getByLabel("Private network").fill("10.8.0.1/16");
  await dialog.getByLabel("Public address").fill("vpn.example:51821");
  await dialog.getByRole("button", { name: "Add a network" }).click();
  // It has the addresses of an existing network.
  const address = dialog.getByLabel("Private network");
  await dialog.getByRole("alert").getByText("uses some of these addresses").waitFor();
  equal(await address.getAttribute("aria-invalid"), "true");
  match(await described(page, address), /uses some of these addresses/);
  await address.fill("10.9.0.1/24");
  await finish(page, "Add a network");
  await page.getByText("They get addresses from 10.9.0.1/24.").waitFor();
  match(await server.ok("wg", "show", "wg1"), /listening port: 51821/);

  await page.getByRole("button", { name: "Edit: wg1" }).click();
  await dialog.getByLabel("DNS servers").fill("10.9.0.1, 1.1.1.1");
  await dialog.getByLabel("Persistent keepalive").fill("25");
  await finish(page, "Save");
  await page.getByText("They look up names at 10.9.0.1, 1.1.1.1.").waitFor();
  await page.getByText("They send a keepalive every 25 seconds.").waitFor();
}

/** What a screen reader reads for a field besides its label. */
async function described(page: Page, field: ReturnType<Page["getByLabel"]>): Promise<string> {
  const ids = (await field.getAttribute("aria-describedby"))?.split(" ") ?? [];
  return (await Promise.all(ids.map((id) => page.locator(`[id="${id}"]`).innerText()))).join(" ");
}

async function users(lab: WebLab, { page }: Visit, browser: Browser) {
  await goTo(page, "/people/groups", "People");
  await page.getByRole("button", { name: "Add a group" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("guests");
  await page.getByRole("dialog").getByLabel("wg0").check();
  await finish(page, "Add a group");
  await page.getByText("0 members").waitFor();

  await goTo(page, "/people", "People");
  await tabTo(page, /^Add a user$/);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  // The first field has the focus.
  await page.keyboard.type("anna");
  await tabTo(page, /^Initial password/);
  await page.keyboard.type("aaaaaaaaaaaa");
  await page.keyboard.press("Enter");
  await dialog.getByRole("alert").getByText("at least four different ones").waitFor();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("anna has a password");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });

  await page.getByRole("button", { name: "anna" }).click();
  await dialog.getByLabel("guests").check();
  await dialog.getByLabel("Device limit").fill("1");
  await finish(page, "Save");
  const anna = lab.browser("anna");
  const account = { name: "anna", password: "anna has a password" };
  equal((await anna("POST", "/sign-in", account)).status, 200);
  const me = (await anna("GET", "/me")).body;
  deepEqual([me.networks.map(({ name }: { name: string }) => name), me.maxDevices], [["wg0"], 1]);

  // She sees the page of a user, and adds the one device that she may have.
  await using own = await browser.visit({ bypassCSP: true });
  await own.page.goto(`${PAGE}/`);
  await own.page.getByLabel("Name").fill(account.name);
  await own.page.getByLabel("Password").fill(account.password);
  await own.page.keyboard.press("Enter");
  await own.page.getByRole("heading", { name: "My devices" }).waitFor();
  equal(await own.page.getByRole("link", { name: "People" }).count(), 0);
  await own.page.getByRole("link", { name: "Add a device" }).click();
  await own.page.getByRole("button", { name: "Show QR code" }).click();
  match(await scan(own.page), /^PrivateKey = /m);
  deepEqual(await findings(own.page), []);

  await page.getByRole("button", { name: "anna" }).click();
  await dialog.getByRole("button", { name: "Disable" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("row", { name: /anna/ }).getByText("Disabled").waitFor();
  deepEqual(await lab.peers(), []);
  equal((await anna("GET", "/me")).status, 401);
  await page.getByRole("button", { name: "anna" }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("heading", { name: "Remove anna?" }).waitFor();
  await finish(page, "Remove");
  await page.getByRole("row", { name: /anna/ }).waitFor({ state: "detached" });
}

async function tokens({ server }: WebLab, { page }: Visit) {
  await goTo(page, "/settings", "Settings");
  await page.getByLabel("Name").fill("deploy");
  await page.getByRole("button", { name: "Add a token" }).click();
  await page.getByRole("status").getByText("The token is shown only now.").waitFor();
  const token = await page.getByRole("status").locator("code").innerText();
  const call = async () =>
    await server.ok(
      ...["curl", "-sS", "--cacert", `${DATA}/ca.pem`, "-H", `Authorization: Bearer ${token}`],
      ...["-o", "/dev/null", "-w", "%{http_code}", `${API}/devices`],
    );
  equal(await call(), "200");
  deepEqual(await findings(page), []);
  await page.reload();
  await page.getByText(/Last used/).waitFor();
  ok(!(await page.content()).includes(token), "the token is not shown again");
  await page.getByRole("button", { name: "Remove: deploy" }).click();
  await finish(page, "Remove");
  await page.getByText("deploy", { exact: true }).waitFor({ state: "detached" });
  equal(await call(), "401");
}

async function invites(_lab: WebLab, { page }: Visit, browser: Browser) {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"], { origin: PAGE });
  await goTo(page, "/people/invites", "People");
  await page.getByText("There is no unused invite link.").waitFor();
  const links: string[] = [];
  for (const life of ["1 day", "30 days"]) {
    await page.getByRole("button", { name: "Add an invite link" }).click();
    await page.getByLabel("Network").selectOption("wg0");
    await page.getByLabel("Valid for").selectOption(life);
    await page.getByRole("dialog").getByRole("button", { name: "Make the link" }).click();
    await page.getByRole("heading", { name: "The link is ready" }).waitFor();
    await page.getByRole("button", { name: "Copy" }).click();
    links.push(await page.evaluate<string>("navigator.clipboard.readText()"));
    match(links.at(-1)!, new RegExp(`^${RegExp.escape(PAGE)}/invite#[\\w-]{43}$`));
    await finish(page, "Close");
    await page.getByText(life === "1 day" ? "Expires in 24 hr" : /Expires (in 30 days|next month)/).waitFor();
  }
  const [kept, taken] = links as [string, string];
  await page.getByRole("button", { name: /^Revoke/ }).first().click();
  await finish(page, "Revoke");
  await eventually(
    "the list to lack it",
    async () => await page.getByRole("button", { name: /^Revoke/ }).count() === 1,
  );
  for (const [link, works] of [[kept, true], [taken, false]] as const) {
    await using guest = await browser.visit({ bypassCSP: true });
    await guest.page.goto(link);
    await guest.page.getByRole("button", { name: "Show QR code" }).click();
    if (works) await guest.page.locator("svg.qr").waitFor();
    else {await guest.page.getByRole("alert").getByText("This link has already been used or has expired.")
        .waitFor();}
    deepEqual(await findings(guest.page), []);
  }
  await page.reload();
  await page.getByText(/^Used /).waitFor();
  equal(await page.getByRole("button", { name: /^Revoke/ }).count(), 0);
}

async function secondFactor(_lab: WebLab, { page }: Visit) {
  await goTo(page, "/account", "Account");
  await page.getByRole("button", { name: "Set up" }).click();
  await page.locator("svg.qr").waitFor();
  const uri = new URL((await scan(page)).trim());
  equal(uri.protocol, "otpauth:");
  const secret = readBase32(uri.searchParams.get("secret")!);
  const code = (later = 0) => totpCode(secret, Math.floor(Date.now() / 30_000) + later);
  await page.getByRole("textbox", { name: "Code" }).fill("000000");
  await page.getByRole("button", { name: "Turn on" }).click();
  await page.getByRole("alert").getByText("The code is wrong.").first().waitFor();
  deepEqual(await findings(page), []);
  await page.getByRole("textbox", { name: "Code" }).fill(code());
  await page.getByRole("button", { name: "Turn on" }).click();
  await page.getByText("The second factor is on.").waitFor();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Name").fill(ADMIN.name);
  await page.getByLabel("Password").fill(ADMIN.password);
  await page.keyboard.press("Enter");
  await page.getByRole("textbox", { name: "Code" }).waitFor();
  deepEqual(await findings(page), []);
  await page.getByRole("textbox", { name: "Code" }).fill("000000");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  // A code is valid once, so the next one is used.
  await page.getByRole("textbox", { name: "Code" }).fill(code(1));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Devices", exact: true }).waitFor();
}

/** RFC 4648, section 6, as an authenticator app reads a secret. */
function readBase32(text: string): Uint8Array {
  const bits = [...text].map((letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")
  ).join("");
  return Uint8Array.from(bits.match(/.{8}/g)!, (byte) => parseInt(byte, 2));
}
