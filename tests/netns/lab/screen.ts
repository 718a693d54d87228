/**
 * Actions of users on a page of `wgd web`, and checks of its screen.
 *
 * @module
 */

import axe from "axe-core";
import type { Page } from "playwright-core";
import { must } from "./exec.ts";

/** The content of the QR code on the screen, as a camera reads it. */
export async function scan(page: Page): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".png" });
  try {
    await page.locator("svg.qr").screenshot({ path: file });
    return await must(["zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file]);
  } finally {
    await Deno.remove(file);
  }
}

/** Findings of axe, as `rule: element`. The page must be visited with `bypassCSP`. */
export async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>("axe.run()");
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 120)}`));
}

/** Signs an administrator in, in English. */
export async function signIn(
  page: Page,
  origin: string,
  { name, password }: { name: string; password: string },
): Promise<void> {
  await page.goto(`${origin}/`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Devices", exact: true }).waitFor();
}

/** Presses Tab until something of a name has the focus. */
export async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let presses = 0; presses < 60; presses++) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate<string>(`(() => {
      const { labels, ariaLabel, textContent } = document.activeElement;
      return labels?.[0]?.textContent ?? ariaLabel ?? textContent ?? "";
    })()`);
    if (name.test(focused)) return;
  }
  throw new Error(`Tab does not reach ${name}`);
}
