/**
 * Sign-in providers on the page of `wgd web`: their forms, *Try it*, and changes that an administrator must confirm.
 *
 * @module
 */

import { deepEqual, doesNotMatch, equal, match } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { CLIENT } from "../unit/web/openid_provider.ts";
import { Browser, BROWSER_PROGRAMS, type Visit } from "./lab/browser.ts";
import { OPENLDAP, READER, TestDirectory } from "./lab/directory.ts";
import { eventually } from "./lab/exec.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { findings, signIn } from "./lab/screen.ts";
import { ADMIN, PAGE, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

/** Where the OpenID provider listens. Plain HTTP is for loopback alone, so it is so on both hosts. */
const ISSUER_PORT = 9443;
const ISSUER = `http://127.0.0.1:${ISSUER_PORT}`;
/** More people than may be cut off without a confirmation. */
const PEOPLE = ["anna", "bert", "cora", "dora", "emil", "fred", "gina"];

await rootTest(
  "providers on the page: LDAP and OpenID Connect are set up, tried and used, and a held change is confirmed",
  { peers: ["slapd"], programs: [...WEB_PROGRAMS, ...BROWSER_PROGRAMS, "openssl"] },
  async (context) => {
    await using lab = await WebLab.start();
    await using directory = await TestDirectory.start(lab.server);
    await using browser = await Browser.start(lab.phone);
    await lab.publish();
    await using admin = await browser.visit({ bypassCSP: true });
    await signIn(admin.page, PAGE, ADMIN);
    const steps: [name: string, step: (at: Setting) => Promise<void>][] = [
      ["an LDAP directory is added, with what is wrong said, and tried", addDirectory],
      ["people of the directory sign in on the page", signInByDirectory],
      ["what would cut most people is confirmed, or not", confirmCut],
      ["an OpenID provider is added, and somebody signs in there", openId],
      ["a provider is turned off and removed", removeProviders],
    ];
    for (const [name, step] of steps) {
      const passed = await context.step(name, async () => {
        await step({ lab, directory, browser, ...admin });
        deepEqual(admin.faults, []);
      });
      if (passed) continue;
      await admin[Symbol.asyncDispose]();
      console.log(`The page:\n${browser.account}\nwgd web said:\n${lab.process.output()}`);
      return;
    }
  },
);

interface Setting extends Pick<Visit, "page"> {
  readonly lab: WebLab;
  readonly directory: TestDirectory;
  readonly browser: Browser;
}

async function goToProviders(page: Page): Promise<void> {
  await page.goto(`${PAGE}/people/providers`);
  await page.getByRole("button", { name: "Add LDAP" }).waitFor();
}

/** Presses a button of the dialog that is open, and waits until it has closed. */
async function finish(page: Page, button: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  deepEqual(await findings(page), []);
  await dialog.getByRole("button", { name: button, exact: true }).click();
  await dialog.waitFor({ state: "detached" });
}

/** Tries a name, and returns the page's text. */
async function tryIt(page: Page, provider: string, name: string): Promise<string> {
  await page.getByRole("button", { name: `Try it: ${provider}` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name of a person").fill(name);
  await page.keyboard.press("Enter");
  const answer = dialog.getByRole("status").locator("dl");
  await answer.waitFor();
  const text = await answer.innerText();
  await finish(page, "Close");
  return text;
}

/** Tries a name on the German page, and returns its text, in which no word may be English. */
async function tryInGerman(page: Page, provider: string, name: string): Promise<string> {
  await page.evaluate(() => localStorage.setItem("wgd-language", "de"));
  await page.reload();
  await page.getByRole("button", { name: `Ausprobieren: ${provider}` }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name einer Person").fill(name);
  await page.keyboard.press("Enter");
  const answer = dialog.getByRole("status").locator("dl");
  await answer.waitFor();
  const text = await answer.innerText();
  doesNotMatch(text, /\b(the|is|account|directory|refuses|invalid|failed)\b/i);
  await page.evaluate(() => localStorage.setItem("wgd-language", "en"));
  await page.reload();
  return text;
}

async function addGroup(page: Page, name: string, provider: string, external = ""): Promise<void> {
  await page.goto(`${PAGE}/people/groups`);
  await page.getByRole("button", { name: "Add a group" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill(name);
  await dialog.getByLabel("Who manages its members").selectOption({ label: provider });
  await dialog.getByLabel("Name of the group at the provider").fill(external);
  await dialog.getByLabel("wg0").check();
  await finish(page, "Add a group");
  await goToProviders(page);
}

async function addDirectory({ page, directory }: Setting) {
  const dns: string[] = [];
  for (const name of PEOPLE) dns.push(await directory.addPerson(name));
  const staff = await directory.addGroup("staff", dns);
  await goToProviders(page);
  await page.getByText("People sign in with accounts of this server.").waitFor();
  await page.getByRole("button", { name: "Add LDAP" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name on the button").fill("House");
  await dialog.getByLabel("Server").fill("ldap://directory.example");
  await dialog.getByLabel("Base DN of people").fill(OPENLDAP);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").getByText("others on the network can read the passwords").waitFor();
  await dialog.getByLabel("Server").fill(directory.secureUrl);
  await dialog.getByLabel("Account that reads the directory").fill(READER.dn);
  await dialog.getByLabel("Its password").fill("wrong");
  await dialog.getByText("More settings").click();
  await dialog.getByLabel("CA certificate").fill(directory.ca);
  await finish(page, "Save");
  await page.getByText(directory.secureUrl).waitFor();
  match(
    await tryIt(page, "House", "anna"),
    /^Decision\s+The directory does not accept the account .*reader.* is wrong\./,
  );
  match(await tryInGerman(page, "House", "anna"), /Das Verzeichnis lehnt das Konto .*reader.* ab\./);

  await page.getByRole("button", { name: "House", exact: true }).click();
  equal(
    await dialog.getByLabel("Its password").inputValue(),
    "",
    "the page does not receive a stored secret",
  );
  await dialog.getByLabel("Its password").fill(READER.password);
  await finish(page, "Save");
  match(await tryIt(page, "House", "nobody"), /^Decision\s+No entry below/);
  const before = await tryIt(page, "House", "anna");
  for (const part of [`uid=anna,ou=people,${OPENLDAP}`, "anna@example.org", staff]) {
    match(before, new RegExp(RegExp.escape(part)));
  }
  match(before, /anna may sign in as a user, but none of their groups gives access to a network\./);
  await addGroup(page, "employees", "House", staff);
  const after = await tryIt(page, "House", "anna");
  match(after, new RegExp(`${RegExp.escape(staff)} → employees`));
  match(after, /anna may sign in as a user, with devices in wg0\./);
}

async function signInByDirectory({ lab, browser }: Setting) {
  await using visit = await browser.visit({ bypassCSP: true });
  const { page } = visit;
  await page.goto(`${PAGE}/`);
  await page.getByLabel("Account").selectOption({ label: "House" });
  await page.getByLabel("Name").fill("anna");
  await page.getByLabel("Password").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("The name or the password is wrong.").waitFor();
  deepEqual(await findings(page), []);
  await page.getByLabel("Password").fill("anna secret");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "My devices" }).waitFor();
  // The others are added through the API, because the page works in the same way for them.
  for (const name of PEOPLE) {
    const person = lab.browser(name);
    equal((await person("POST", "/sign-in", { name, password: `${name} secret` })).status, 200);
    const { publicKey } = generateKeys();
    const added = await person("POST", "/me/devices", { network: "wg0", name: `${name}'s phone`, publicKey });
    equal(added.status, 201, JSON.stringify(added.body));
  }
  equal((await lab.peers()).length, PEOPLE.length);
}

async function confirmCut({ lab, page }: Setting) {
  await goToProviders(page);
  const compare = page.getByRole("button", { name: "Compare now: House" });
  await compare.click();
  await page.getByText(`${PEOPLE.length} of ${PEOPLE.length} users are in the directory.`).waitFor();
  await page.getByRole("button", { name: "House", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("More settings").click();
  await dialog.getByLabel("Filter for people").fill("(uid=anna)");
  await finish(page, "Save");
  await compare.click();
  const cut = page.getByRole("button", { name: "Cut them off: House" });
  await cut.click();
  await page.getByRole("heading", { name: "Cut off so many users at once?" }).waitFor();
  match(await dialog.innerText(), /6[^]*7/);
  await finish(page, "Cancel");
  equal((await lab.peers()).length, PEOPLE.length, "nobody was cut off");
  await cut.click();
  await finish(page, "Cut them off");
  await page.getByText(`1 of ${PEOPLE.length} users are in the directory.`).waitFor();
  equal((await lab.peers()).length, 1);
  deepEqual(await findings(page), []);
}

async function openId({ lab, browser, page }: Setting) {
  await goToProviders(page);
  await page.getByRole("button", { name: "Add OpenID Connect" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name on the button").fill("Portal");
  await dialog.getByLabel("Issuer").fill("no address");
  await dialog.getByLabel("Client ID").fill(CLIENT.id);
  await dialog.getByLabel("Client secret").fill(CLIENT.secret);
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("Issuer").fill(ISSUER);
  await finish(page, "Save");
  match(await tryIt(page, "Portal", "olga"), /127\.0\.0\.1:9443 refuses the connection\./);
  match(await tryInGerman(page, "Portal", "olga"), /127\.0\.0\.1:9443 nimmt keine Verbindung an\./);
  await page.getByRole("button", { name: "Portal", exact: true }).click();
  const redirect = await dialog.locator("code").innerText();
  await finish(page, "Cancel");
  match(redirect, new RegExp(`^${RegExp.escape(PAGE)}/sign-in/oidc/[^/]+/callback$`));

  const program = fileURLToPath(new URL("lab/openid_program.ts", import.meta.url));
  const deno = [Deno.execPath(), "run", "-A", "--cached-only", "--quiet"];
  const provider = await lab.server.start([...deno, program, `${ISSUER_PORT}`, redirect]);
  await eventually("the provider", () => provider.output().includes("ready at"), { within: 30_000 });
  const relay = (
    host: string,
    to: string,
  ) => ["ncat", "-lk", host, `${ISSUER_PORT}`, "--sh-exec", `exec ncat ${to}`];
  await lab.server.start(relay("192.0.2.1", `127.0.0.1 ${ISSUER_PORT}`));
  await lab.phone.start(relay("127.0.0.1", `192.0.2.1 ${ISSUER_PORT}`));
  await addGroup(page, "vpn", "Portal");
  match(
    await tryIt(page, "Portal", "olga"),
    /The provider answers; people sign in at [^]*provides data about olga only/,
  );

  await using visit = await browser.visit();
  const own = visit.page;
  await own.goto(`${PAGE}/`);
  await own.getByRole("link", { name: "Sign in with Portal" }).click();
  await own.locator("input[name=login]").fill("olga");
  await own.locator("input[name=password]").fill("any");
  await own.keyboard.press("Enter");
  await own.getByRole("button", { name: "Continue" }).click();
  await own.getByRole("heading", { name: "My devices" }).waitFor();

  const tried = await tryIt(page, "Portal", "olga");
  match(tried, /vpn → vpn/);
  match(tried, /chess/);
  match(tried, /olga may sign in as a user, with devices in wg0\./);
}

async function removeProviders({ browser, page }: Setting) {
  await goToProviders(page);
  await page.getByRole("button", { name: "Portal", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("People can sign in with it").uncheck();
  await finish(page, "Save");
  await page.getByText(/· off$/).waitFor();
  const offered = async () => {
    await using visit = await browser.visit();
    await visit.page.goto(`${PAGE}/`);
    await visit.page.getByLabel("Name").waitFor();
    await visit.page.waitForLoadState("networkidle");
    return [
      await visit.page.getByRole("link", { name: "Sign in with Portal" }).count(),
      await visit.page.getByLabel("Account").count(),
    ];
  };
  deepEqual(await offered(), [0, 1]);
  for (const name of ["Portal", "House"]) {
    await page.getByRole("button", { name: `Remove: ${name}` }).click();
    await page.getByRole("heading", { name: `Remove ${name}?` }).waitFor();
    await finish(page, "Remove");
    await page.getByRole("button", { name, exact: true }).waitFor({ state: "detached" });
  }
  deepEqual(await offered(), [0, 0]);
}
