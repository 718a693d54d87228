/**
 * The page in a browser whose network changes, and whose server is restarted. It reconnects by itself.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { Page } from "playwright-core";
import { Browser, BROWSER_PROGRAMS, type Visit } from "./lab/browser.ts";
import { eventually } from "./lab/exec.ts";
import { lose } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { findings, signIn } from "./lab/screen.ts";
import { ADMIN, PAGE, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

await rootTest(
  "the page continues without reloading when the network changes or the server was away",
  { programs: [...WEB_PROGRAMS, ...BROWSER_PROGRAMS, "nft"] },
  async (context) => {
    await using lab = await WebLab.start();
    await using browser = await Browser.start(lab.phone);
    await lab.publish();
    await using visit = await browser.visit({ bypassCSP: true });
    const { page } = visit;
    await page.clock.install();
    await signIn(page, PAGE, ADMIN);
    await page.evaluate(`globalThis.loaded = "once"`);
    const steps: [name: string, step: (lab: WebLab, visit: Visit) => Promise<void>][] = [
      ["a question that the change of a network ended is asked again", networkChange],
      ["a server that was restarted is found again, with what is live", restart],
      ["without a network nothing is lost that was typed", offline],
      ["a connection that went silent is given up", silence],
      ["a stream that is refused is asked for less and less often", refused],
    ];
    for (const [name, step] of steps) {
      const passed = await context.step(name, async () => {
        await step(lab, visit);
        equal(await page.evaluate("globalThis.loaded"), "once");
      });
      if (passed) continue;
      await visit[Symbol.asyncDispose]();
      console.log(`The page:\n${browser.account}\nwgd web said:\n${lab.process.output()}`);
      return;
    }
    deepEqual(visit.faults, []);
  },
);

await rootTest(
  "while the interfaces do not have all devices, a failed question loses nothing, and a late answer signs nobody in",
  { programs: [...WEB_PROGRAMS, ...BROWSER_PROGRAMS] },
  async () => {
    await using lab = await WebLab.start();
    await using browser = await Browser.start(lab.phone);
    await lab.publish();
    await using visit = await browser.visit({ bypassCSP: true });
    const { page } = visit;
    await page.addInitScript(CHANGED_ANSWERS);
    await signIn(page, PAGE, ADMIN);
    await page.evaluate(`answers.me = "fail"`);
    await page.getByRole("link", { name: "Add a device" }).click();
    const name = page.getByLabel("Name of the device");
    await name.fill("tablet");
    await eventually("two questions", () => page.evaluate("answers.failed >= 2"), { within: 30_000 });
    equal(await name.inputValue(), "tablet");
    equal(await page.getByRole("alert").count(), 0);

    await page.evaluate(`answers.me = "hold"`);
    await eventually("another question", () => page.evaluate("answers.held"), { within: 30_000 });
    await page.getByRole("link", { name: "Account", exact: true }).click();
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await page.getByLabel("Password", { exact: true }).waitFor();
    await page.evaluate("answers.release()");
    // A late answer would be shown at once.
    await page.waitForTimeout(500);
    equal(await page.getByLabel("Password", { exact: true }).count(), 1);
  },
);

/** A script of the page. Whoever signs in is told that not all is settled, and questions for `me` fail or wait. */
const CHANGED_ANSWERS = `
  const { fetch } = globalThis;
  const released = Promise.withResolvers();
  const answers = globalThis.answers = { me: "pass", failed: 0, held: false, release: released.resolve };
  globalThis.fetch = async (address, options) => {
    const path = new URL(address, location.href).pathname;
    if (path === "/api/v1/me" && answers.me === "fail") {
      answers.failed++;
      return Response.json({ error: { code: "database", message: "" } }, { status: 500 });
    }
    const response = await fetch(address, options);
    if (path === "/api/v1/sign-in" && response.ok) {
      return Response.json({ ...await response.json(), settled: false });
    }
    if (path === "/api/v1/me" && answers.me === "hold") {
      answers.held = true;
      await released.promise;
    }
    return response;
  };
`;

const lost = (page: Page) => page.getByRole("status").getByText("Not connected to the server");

async function goTo(page: Page, name: string, heading = name): Promise<void> {
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { name: heading, exact: true, level: 1 }).waitFor();
}

async function networkChange({ phone, server }: WebLab, { page }: Visit) {
  await goTo(page, "People");
  await page.getByRole("row", { name: /admin/ }).waitFor();
  await lose(server, "eth0", 100);
  const failed = page.waitForEvent("requestfailed", (request) => /\/groups$/.test(request.url()));
  await page.getByRole("link", { name: "Groups" }).click();
  await phone.ok("ip", "address", "add", "198.51.100.2/24", "dev", "eth0");
  equal((await failed).failure()?.errorText, "net::ERR_NETWORK_CHANGED");
  await lose(server, "eth0", 0);
  await page.getByText(/^0 members|no group/i).first().waitFor();
  equal(await page.getByRole("alert").count(), 0);
  await lost(page).waitFor({ state: "detached" });
}

async function restart(lab: WebLab, { page }: Visit) {
  const device = await lab.addDevice("phone");
  await goTo(page, "Devices");
  const row = page.getByRole("row", { name: /phone/ });
  await row.getByRole("img", { name: "Never connected" }).waitFor();
  await lab.process.signal("TERM");
  await lab.process.ended;
  await lost(page).waitFor();
  deepEqual(await findings(page), []);
  // While the server is away, a screen is opened that needs a request.
  await page.getByRole("link", { name: "Activity" }).click();
  await lab.run();
  await lost(page).waitFor({ state: "detached" });
  await page.getByRole("row", { name: /phone/ }).first().waitFor();
  await goTo(page, "Devices");
  await row.waitFor();
  // An interface is added to the browser's machine.
  await lab.connectPhone(device);
  await eventually("the tunnel", () => lab.pings());
  await row.getByRole("img", { name: "Online" }).waitFor();
}

async function offline(_lab: WebLab, { page }: Visit) {
  await page.getByRole("link", { name: "Add a device" }).click();
  const name = page.getByLabel("Name of the device");
  await name.fill("tablet");
  await page.context().setOffline(true);
  await lost(page).waitFor();
  const show = page.getByRole("button", { name: "Show QR code" });
  await show.click();
  await page.getByRole("alert").getByText("The server does not answer").waitFor();
  await page.context().setOffline(false);
  await lost(page).waitFor({ state: "detached" });
  equal(await name.inputValue(), "tablet");
  await show.click();
  await page.getByRole("heading", { name: "tablet is ready" }).waitFor();
}

async function silence({ server }: WebLab, { page }: Visit) {
  await goTo(page, "Devices");
  await page.getByRole("row", { name: /tablet/ }).waitFor();
  await lose(server, "eth0", 100);
  // The page's own clock is moved, so that no real time passes.
  await page.clock.fastForward(60_000);
  await lost(page).waitFor();
  await lose(server, "eth0", 0);
  await lost(page).waitFor({ state: "detached" });
  equal(await page.getByRole("alert").count(), 0);
}

async function refused(_lab: WebLab, { page }: Visit) {
  await goTo(page, "Account");
  await page.route("**/api/v1/live*", (route) => route.fulfill({ status: 500, body: "" }));
  await page.evaluate(`
    const Source = EventSource;
    globalThis.opened = [];
    globalThis.EventSource = class extends Source {
      constructor(address) {
        super(address);
        opened.push(Date.now());
      }
    };
  `);
  await goTo(page, "Devices");
  const opened = async () => {
    // By the page's own clock.
    await page.clock.runFor(100);
    const times = await page.evaluate<number[]>("opened");
    return times.length >= 5 ? times : undefined;
  };
  const times = await eventually("five attempts", opened, { within: 30_000 });
  ok(times[4]! - times[3]! >= 4_000, times.join());
}
