/**
 * The page with the keyboard: Tab reaches every action, the focus is visible, and dialogs return it.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { Page } from "playwright-core";
import { Browser, BROWSER_PROGRAMS, type Visit } from "./lab/browser.ts";
import { rootTest } from "./lab/rooted.ts";
import { signIn, tabTo } from "./lab/screen.ts";
import { ADMIN, PAGE, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const SCREENS = [
  ...["/devices", "/add", "/mine", "/people", "/people/groups", "/people/providers", "/people/invites"],
  ...["/network", "/activity", "/settings", "/account"],
];
/** Screens, and their buttons that open a dialog. */
const DIALOGS: readonly (readonly [path: string, button: string])[] = [
  ["/people", "Add a user"],
  ["/people", "admin"],
  ["/people/groups", "Add a group"],
  ["/people/providers", "Add LDAP"],
  ["/people/providers", "Add OpenID Connect"],
  ["/people/invites", "Add an invite link"],
  ["/network", "Add a network"],
  ["/network", "Edit: wg0"],
  ["/settings", "Remove: test"],
];

/**
 * Numbers what can be used in the document or its dialog. Of radio buttons with one name, Tab reaches one.
 *
 * @returns How many there are.
 */
const NUMBER = `(() => {
  const within = document.querySelector("dialog[open]") ?? document;
  const radios = new Set();
  let count = 0;
  for (const element of within.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")) {
    delete element.dataset.number;
    if (!element.checkVisibility() || element.disabled) continue;
    if (element.type === "radio") {
      if (radios.has(element.name)) continue;
      radios.add(element.name);
    }
    element.dataset.number = count++;
  }
  return count;
})()`;

/** The focused element, and whether the focus is visible: at the element, or at its label. */
const FOCUSED = `(() => {
  const { activeElement: element } = document;
  const named = element?.type === "radio"
    ? document.querySelector("input[data-number][name='" + element.name + "']")
    : element;
  const seen = [element, element?.closest("label"), element?.nextElementSibling].some((each) => {
    if (!each) return false;
    const { outlineStyle, outlineWidth } = getComputedStyle(each);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && each.getBoundingClientRect().width > 1;
  });
  return { number: named?.dataset.number, seen, html: element?.outerHTML.slice(0, 120) };
})()`;

await rootTest(
  "the page by keyboard: Tab reaches everything, the focus is visible and returns after dialogs",
  { programs: [...WEB_PROGRAMS, ...BROWSER_PROGRAMS] },
  async (context) => {
    await using lab = await WebLab.start();
    await using browser = await Browser.start(lab.phone);
    await lab.publish();
    const device = await lab.addDevice("laptop");
    await using visit = await browser.visit();
    const steps: [name: string, step: (lab: WebLab, visit: Visit, device: string) => Promise<void>][] = [
      ["Tab reaches everything on every screen, and the focus is seen", everything],
      ["a dialog keeps the focus, and gives it back however it ends", dialogs],
      ["a device is cut off only when that is confirmed", confirmation],
    ];
    for (const [name, step] of steps) {
      const passed = await context.step(name, async () => {
        await step(lab, visit, device.id);
        deepEqual(visit.faults, []);
      });
      if (passed) continue;
      await visit[Symbol.asyncDispose]();
      console.log(`The page:\n${browser.account}\nwgd web said:\n${lab.process.output()}`);
      return;
    }
  },
);

/** Presses Tab until everything was reached. @returns What is wrong. */
async function walk(page: Page, place: string): Promise<string[]> {
  const count = await page.evaluate<number>(NUMBER);
  const reached = new Set<string>();
  const wrong: string[] = [];
  const here = async () => {
    const focused = await page.evaluate<{ number?: string; seen: boolean; html?: string }>(FOCUSED);
    if (focused.number === undefined || reached.has(focused.number)) return;
    reached.add(focused.number);
    if (!focused.seen) wrong.push(`${place}: the focus is not seen at ${focused.html}`);
  };
  await here();
  // One full round. The end of the page is a separate stop, and so is each part of a date.
  for (let presses = 0; presses < count + 20 && reached.size < count; presses++) {
    await page.keyboard.press("Tab");
    await here();
  }
  for (let number = 0; number < count; number++) {
    if (reached.has(`${number}`)) continue;
    const missed = await page.evaluate(`document.querySelector('[data-number="${number}"]')?.outerHTML`);
    wrong.push(`${place}: not reached: ${String(missed).slice(0, 120)}`);
  }
  return wrong;
}

async function goTo(page: Page, path: string): Promise<void> {
  await page.goto(PAGE + path);
  await page.locator("main h1").first().waitFor();
  await page.waitForFunction(`!document.querySelector("main").textContent.includes("Loading")`);
}

async function everything(_lab: WebLab, { page }: Visit, device: string) {
  await page.goto(`${PAGE}/`);
  await page.getByLabel("Name").waitFor();
  const wrong = await walk(page, "sign in");
  await signIn(page, PAGE, ADMIN);
  for (const path of [...SCREENS, `/devices/${device}`]) {
    await goTo(page, path);
    wrong.push(...await walk(page, path));
  }
  deepEqual(wrong, []);
  await goTo(page, "/account");
  await page.keyboard.press("Tab");
  equal(await page.evaluate("document.activeElement.className"), "skip");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  ok(
    await page.evaluate(`document.querySelector("main").contains(document.activeElement)`),
    "the link skips the sections",
  );
}

async function dialogs(_lab: WebLab, { page }: Visit, device: string) {
  const wrong: string[] = [];
  const focusedName = () =>
    page.evaluate<string>(`document.activeElement.ariaLabel ?? document.activeElement.textContent`);
  for (
    const [path, button] of [...DIALOGS, [`/devices/${device}`, "Edit"], [
      `/devices/${device}`,
      "Remove",
    ]] as const
  ) {
    for (const end of ["Escape", "its button"]) {
      await goTo(page, path);
      await page.getByRole("button", { name: button, exact: true }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").waitFor();
      // What it asks the server for.
      await page.waitForLoadState("networkidle");
      const place = `${path}, ${button}`;
      if (end === "Escape") {
        wrong.push(...await walk(page, place));
        await page.keyboard.press("Escape");
      } else {
        await tabTo(page, /^(Cancel|Close)$/);
        await page.keyboard.press("Enter");
      }
      await page.getByRole("dialog").waitFor({ state: "detached" });
      const focused = await focusedName();
      if (focused !== button) {
        wrong.push(`${place}: ended by ${end}, the focus is at ${focused.slice(0, 40)}`);
      }
    }
  }
  deepEqual(wrong, []);
}

async function confirmation(lab: WebLab, { page }: Visit, device: string) {
  await goTo(page, `/devices/${device}`);
  const ask = async () => {
    await page.getByRole("button", { name: "Remove" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByText("Its tunnel is cut at once").waitFor();
  };
  await ask();
  // Something that changes nothing has the focus.
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await ask();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  equal((await lab.peers()).length, 1);
  await ask();
  await tabTo(page, /^Remove$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Devices", exact: true }).waitFor();
  deepEqual(await lab.peers(), []);
}
