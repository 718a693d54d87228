/**
 * A server that runs `wgd web`, a phone, and a cable between them.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { openSqlite } from "../../../core/web/store/sqlite.ts";
import { Store } from "../../../core/web/store/store.ts";
import { fillStore } from "../../unit/web/crowd.ts";
import { eventually, type Finished } from "./exec.ts";
import type { Host, Process } from "./host.ts";
import { generateKeys, type Keys } from "./keys.ts";
import { connect, Network } from "./network.ts";
import { wgdCommand } from "./tunnel.ts";

/** The folder of the server. */
export const DATA = "/run/lab/data";
/** Where it listens. */
export const ADDRESS = "127.0.0.1:8443";
/** The page, as the phone reaches it after `publish`. */
export const PAGE = "https://192.0.2.1:8443";
/** Where the API is. */
export const API = `https://${ADDRESS}/api/v1`;
/** The administrator of a server that `start` has set up. */
export const ADMIN = { name: "admin", password: "a long password" } as const;
/** Where monitoring asks. */
export const METRICS = "127.0.0.1:9090";
/** The programs that such a test needs. */
export const WEB_PROGRAMS = ["wg", "ping", "curl"];

const wgd = wgdCommand();

/** The body of a response. */
export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- tests read what they expect
  readonly body: any;
}

/** A server, and a phone that can reach it. */
export class WebLab implements AsyncDisposable {
  /** An API token; empty if the server has not been set up. */
  token = "";
  process!: Process;

  private constructor(
    private readonly network: Network,
    readonly server: Host,
    readonly phone: Host,
  ) {}

  /** Makes both hosts; nothing runs yet. */
  static async create(): Promise<WebLab> {
    await using made = new AsyncDisposableStack();
    const network = made.use(await Network.create("server", "phone"));
    const [server, phone] = network.hosts;
    await connect(
      { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
      { host: phone, name: "eth0", addresses: ["192.0.2.2/24"] },
    );
    made.move();
    return new WebLab(network, server, phone);
  }

  /** Sets the server up by `wgd web init`, makes a token, and starts it. @param before Words that run the command. */
  static async start(before: readonly string[] = []): Promise<WebLab> {
    const lab = await WebLab.create();
    try {
      const { code, stderr } = await lab.init(ADMIN.name, ADMIN.password);
      ok(code === 0, stderr);
      const token = ["token", "add", "test", "--data", DATA, "--scopes", "devices"];
      lab.token = (await lab.server.ok(...wgd, "web", ...token)).trim();
      await lab.run(30_000, before);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Sets the server up by `wgd web init`. */
  async init(name: string, password: string, more: readonly string[] = []): Promise<Finished> {
    await this.server.sh("cat > /run/lab/password", { stdin: `${password}\n` });
    return await this.server.run([
      ...[...wgd, "web", "init", "--data", DATA, "--network", "wg0", "--address", "10.8.0.1/24,fd08::1/64"],
      ...["--endpoint", "192.0.2.1:51820", "--admin", name, "--password-file", "/run/lab/password"],
      ...more,
    ]);
  }

  /** A server that has many devices, with a token. It does not run yet. */
  static async createLarge(devices: number): Promise<WebLab> {
    const lab = await WebLab.create();
    try {
      await lab.server.sh(`echo '${ADMIN.password}' > /run/lab/password`);
      await lab.server.ok(
        ...[...wgd, "web", "init", "--data", DATA, "--network", "wg0", "--address", "10.64.0.1/14"],
        ...["--endpoint", "192.0.2.1", "--admin", ADMIN.name, "--password-file", "/run/lab/password"],
      );
      const token = ["token", "add", "test", "--data", DATA, "--scopes", "devices"];
      lab.token = (await lab.server.ok(...wgd, "web", ...token)).trim();
      await lab.#fill(devices);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Writes devices into a copy of the database, because SQLite cannot open a file in another mount namespace. */
  async #fill(devices: number): Promise<void> {
    const database = this.server.path(`${DATA}/web/wgd.db`);
    const folder = await Deno.makeTempDir({ prefix: "wgd-web-" });
    try {
      await Deno.copyFile(database, `${folder}/wgd.db`);
      {
        await using store = await Store.open(openSqlite(`${folder}/wgd.db`));
        const [network] = await store.networks.list();
        await fillStore(store, { devices, users: Math.ceil(devices / 20) }, Date.now(), network);
      }
      // Writes into the existing file, because it belongs to the web process.
      await Deno.writeFile(database, await Deno.readFile(`${folder}/wgd.db`));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Starts `wgd web`, and waits until it listens. */
  async run(within = 30_000, before: readonly string[] = []): Promise<void> {
    const where = ["--data", DATA, "--listen", ADDRESS, "--metrics", METRICS];
    this.process = await this.server.start([...before, ...wgd, "web", ...where]);
    await eventually("wgd web to listen", () => /listening at/.test(this.process.output()), {
      within,
    });
  }

  /** Waits until the interfaces have all devices. */
  async settled(within = 30_000): Promise<void> {
    await eventually("the interfaces to have all devices", async () => await this.health() === "ok\n", {
      within,
      // Each request costs the server time too.
      every: 200,
    });
  }

  /** The response of /healthz. */
  async health(): Promise<string> {
    return await this.server.ok("curl", "-sS", `http://${METRICS}/healthz`);
  }

  /**
   * Lets the phone reach the server's loopback address. A browser is there and not on the server, because Chromium ends its
   * requests when an interface gets an address (ERR_NETWORK_CHANGED).
   */
  async publish(): Promise<void> {
    const { hostname, port } = new URL(PAGE);
    await this.server.start([
      ...["ncat", "-lk", hostname, port, "--sh-exec", `exec ncat ${ADDRESS.replace(":", " ")}`],
    ]);
  }

  /** Ends it. */
  async stop(): Promise<void> {
    await this.process.signal("TERM");
    await this.process.ended;
  }

  /** Calls the API, with the token if there is one. */
  async call(method: string, path: string, body?: unknown, headers: readonly string[] = []): Promise<Answer> {
    const given = this.token === "" ? headers : [`Authorization: Bearer ${this.token}`, ...headers];
    return await this.#curl(method, path, body, given.flatMap((header) => ["-H", header]));
  }

  /** Calls the API as the page does in somebody's browser, which keeps the session's cookie. */
  browser(name: string): (method: string, path: string, body?: unknown) => Promise<Answer> {
    const cookies = `/run/lab/${name}.cookies`;
    const words = ["-b", cookies, "-c", cookies, "-H", `Origin: https://${ADDRESS}`];
    return (method, path, body) => this.#curl(method, path, body, words);
  }

  async #curl(method: string, path: string, body: unknown, more: readonly string[]): Promise<Answer> {
    const data = body === undefined ? [] : ["--json", JSON.stringify(body)];
    const words = ["curl", "-sS", "--cacert", `${DATA}/ca.pem`, "-X", method, ...data, ...more];
    const lines = (await this.server.ok(...words, "-w", "\n%{http_code}", API + path)).split("\n");
    const status = Number(lines.pop());
    const text = lines.join("\n");
    return { status, body: /^[[{]/.test(text) ? JSON.parse(text) : text };
  }

  /** Adds a device that has made its keys itself. */
  async addDevice(
    name: string,
    more: Record<string, unknown> = {},
  ): Promise<{ id: string; config: string; keys: Keys }> {
    const keys = generateKeys();
    const { publicKey } = keys;
    const added = await this.call("POST", "/devices", { network: "wg0", name, publicKey, ...more });
    ok(added.status === 201, JSON.stringify(added.body));
    return { ...added.body, keys };
  }

  /** Brings the phone's interface up by the file that its device got. */
  async connectPhone({ config, keys }: { config: string; keys: Keys }): Promise<void> {
    await this.phone.sh("umask 077; cat > /run/lab/wg1.conf", {
      stdin: config.replace("[Interface]\n", `[Interface]\nPrivateKey = ${keys.privateKey}\n`),
    });
    await this.phone.ok(...wgd, "quick", "up", "/run/lab/wg1.conf");
  }

  /** Whether the phone reaches the server through the tunnel. */
  async pings(address = "10.8.0.1", count = 1, wait = 1): Promise<boolean> {
    return (await this.phone.run(["ping", "-c", `${count}`, "-W", `${wait}`, "-i", "0.2", address])).code ===
      0;
  }

  /** Public keys of the interface's peers, as wg tells them. */
  async peers(): Promise<string[]> {
    return (await this.server.ok("wg", "show", "wg0", "peers")).split("\n").filter(Boolean).sort();
  }

  /** Takes both hosts down. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
  }
}
