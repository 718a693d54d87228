/**
 * A real browser on a host of the lab: Debian's Chromium, controlled by the test over its debugging protocol.
 *
 * @module
 */

import { type Browser as Chromium, chromium, type Page } from "playwright-core";
import { eventually } from "./exec.ts";
import type { Host } from "./host.ts";

/** The programs that the browser needs; `rootTest` takes them. */
export const BROWSER_PROGRAMS = ["chromium-headless-shell", "ncat"];

/** Milliseconds that something on a page may take, on a machine that runs an emulator at the same time. */
const PAGE_TIMEOUT = 30_000;

/** How to view a page. */
export interface View {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: "light" | "dark";
  /** As `de-DE`. */
  readonly locale?: string;
  /** Allows scripts of the test to run in it, such as axe. */
  readonly bypassCSP?: boolean;
}

/** A page and its network requests. */
export interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Each request with its headers and its body. */
  readonly requests: readonly string[];
  /** Errors on the page's console, and exceptions. */
  readonly faults: readonly string[];
}

/** The end of the page's text and of its log. More would hide the rest of a failure. */
const LONGEST_ACCOUNT = 6_000;

/** A browser. It ends with its host. */
export class Browser implements AsyncDisposable {
  readonly #relay: Deno.TcpListener;
  readonly #browser: Chromium;
  #account = "no page was left";

  private constructor(relay: Deno.TcpListener, browser: Chromium) {
    this.#relay = relay;
    this.#browser = browser;
  }

  /** Starts it on a host. Its debugging port is reached through a Unix socket, because the host has its own network. */
  static async start(host: Host): Promise<Browser> {
    const process = await host.start([
      "chromium-headless-shell",
      "--no-sandbox",
      "--remote-debugging-port=0",
      `--user-data-dir=${host.scratch}/browser`,
    ]);
    const port = await eventually(
      "the browser to start",
      () => /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)/.exec(process.output())?.[1],
      { within: 30_000 },
    );
    const socket = `${host.scratch}/browser.sock`;
    await host.start(["ncat", "-lkU", socket, "--sh-exec", `exec ncat 127.0.0.1 ${port}`]);
    await eventually("the way to the browser", () => Deno.stat(host.path(socket)));
    const relay = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    void relayAll(relay, host.path(socket));
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${relay.addr.port}`);
    return new Browser(relay, browser);
  }

  /** For a failure: the content, requests and console of the page that was left last. */
  get account(): string {
    return this.#account;
  }

  /** Opens a page in a new profile. */
  async visit(view: View = {}): Promise<Visit> {
    const { width = 1280, height = 820, theme = "light", locale = "en-GB", bypassCSP = false } = view;
    const context = await this.#browser.newContext({
      viewport: { width, height },
      colorScheme: theme,
      locale,
      bypassCSP,
      ignoreHTTPSErrors: true,
      acceptDownloads: true,
    });
    context.setDefaultTimeout(PAGE_TIMEOUT);
    const page = await context.newPage();
    const requests: string[] = [];
    const faults: string[] = [];
    const events: string[] = [];
    const begun = performance.now();
    const note = (text: string) => void events.push(`${Math.round(performance.now() - begun)} ms: ${text}`);
    page.on("response", (response) => note(`${response.status()} ${response.url()}`));
    page.on("requestfailed", (request) => note(`${request.url()}: ${request.failure()?.errorText}`));
    page.on("console", (message) => note(`console: ${message.text()}`));
    page.on("request", (request) =>
      requests.push(
        `${request.method()} ${request.url()}\n${JSON.stringify(request.headers())}\n${
          request.postData() ?? ""
        }`,
      ));
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => {
      // An error response of the API is a normal response, which the page shows where it is relevant.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
        faults.push(message.text());
      }
    });
    const leave = async () => {
      const text = await page.locator("body").innerText({ timeout: 5_000 }).catch(({ message }) => message);
      note(`left ${page.url()}, which showed:\n${text}`);
      this.#account = [...faults, ...events].join("\n").slice(-LONGEST_ACCOUNT);
      await context.close();
    };
    return { page, requests, faults, [Symbol.asyncDispose]: leave };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    this.#relay.close();
  }
}

/** Connects each connection at a port of the test to a Unix socket. */
async function relayAll(listener: Deno.TcpListener, path: string): Promise<void> {
  for await (const near of listener) {
    const far = await Deno.connect({ transport: "unix", path });
    void near.readable.pipeTo(far.writable).catch(() => {});
    void far.readable.pipeTo(near.writable).catch(() => {});
  }
}
