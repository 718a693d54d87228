/**
 * `wgd web` on a host of the lab, with a phone beside it.
 *
 * @module
 */

import { eventually } from "./exec.ts";
import type { Host, Process } from "./host.ts";
import { connect, Network } from "./network.ts";
import { wgdCommand } from "./tunnel.ts";

const wgd = wgdCommand();
const DATA = "/run/lab/data";

/** An answer of the API. */
export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- Each test knows what it asked for.
  readonly body: any;
}

/** The server, and what is beside it. */
export interface WebLab extends AsyncDisposable {
  readonly server: Host;
  readonly phone: Host;
  readonly process: Process;
  /** Its folder. */
  readonly data: string;
  /** An API token that may add and remove devices. */
  readonly token: string;
  /** Where the page is, on the server itself. */
  readonly origin: string;
  /** Where the API is. */
  readonly api: string;
  /** Calls the API with the token. */
  readonly call: (method: string, path: string, body?: unknown) => Promise<Answer>;
}

/** The administrator. */
export const ADMIN = { name: "anna", password: "a long password" } as const;

/** Sets up a server at 192.0.2.1 and a phone at 192.0.2.2, with a cable between them. */
export async function startWebServer(): Promise<WebLab> {
  await using made = new AsyncDisposableStack();
  const network = made.use(await Network.create("server", "phone"));
  const [server, phone] = network.hosts;
  await connect(
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: phone, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  await server.sh("cat > /run/lab/password", { stdin: `${ADMIN.password}\n` });
  const beginning = ["--network", "wg0", "--address", "10.8.0.1/24", "--endpoint", "192.0.2.1:51820"];
  const admin = ["--admin", ADMIN.name, "--password-file", "/run/lab/password"];
  await server.ok(...wgd, "web", "init", "--data", DATA, ...beginning, ...admin);
  const add = ["web", "token", "add", "test", "--data", DATA, "--scopes", "devices"];
  const token = (await server.ok(...wgd, ...add)).trim();
  const process = await server.start([...wgd, "web", "--data", DATA, "--listen", "127.0.0.1:8080"]);
  const origin = await eventually(
    "wgd web to listen",
    () => /listening at (https?:\/\/[^/]+)/.exec(process.output())?.[1],
    { within: 20_000 },
  );
  const api = `${origin}/api/v1`;
  const call = (method: string, path: string, body?: unknown) => ask(server, token, method, api + path, body);
  const all = made.move();
  return {
    ...{ server, phone, process, data: DATA, token, origin, api, call },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

async function ask(
  host: Host,
  token: string,
  method: string,
  url: string,
  body?: unknown,
): Promise<Answer> {
  const data = body === undefined ? [] : ["--json", JSON.stringify(body)];
  const words = ["curl", "-sSk", "-X", method, "-H", `Authorization: Bearer ${token}`, ...data];
  const lines = (await host.ok(...words, "-w", "\n%{http_code}", url)).split("\n");
  const status = Number(lines.pop());
  const text = lines.join("\n");
  return { status, body: /^[{[]/.test(text) ? JSON.parse(text) : text };
}
