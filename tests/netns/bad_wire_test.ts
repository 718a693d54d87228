/**
 * A program's own tunnel over a wire that reorders, duplicates, damages and loses datagrams, and with MTUs of every
 * size, against the kernel's TCP. Received data is compared by SHA-256.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { CONFIG, FOLDER, NamedServer, script } from "./lab/named_server.ts";
import type { Wire } from "./lab/relay.ts";
import { rootTest } from "./lab/rooted.ts";

const OURS = "10.8.0.2";
const THEIRS = "10.8.0.1";

/** The test cases: faults of the wire, and the tunnel's MTU. */
interface Trial {
  readonly faults: Omit<Wire, "port" | "to">;
  readonly mtu: number;
  /** Bytes of each connection, in each direction. */
  readonly bytes: number;
}

/** A user and a server with the kernel's TCP. */
class Scene implements AsyncDisposable {
  #port = 7_000;

  private constructor(readonly named: NamedServer) {}

  static async create(): Promise<Scene> {
    await using made = new AsyncDisposableStack();
    const named = made.use(await NamedServer.create());
    const { server } = named;
    const transfer = await server.start(lab("transfer", "serve", THEIRS));
    await eventually("the server", () => transfer.output().includes("ready"));
    made.move();
    return new Scene(named);
  }

  /** Exchanges bytes over its own wire. @param sockets The sockets that the program may use. */
  async exchange({ faults, mtu, bytes }: Trial, sockets: "node" | "linux"): Promise<void> {
    const { user, server } = this.named;
    const port = this.#port++;
    const relay = await server.start(lab("relay", JSON.stringify({ port, to: 51820, ...faults })));
    await eventually("the relay", () => relay.output().includes("ready"));
    const file = `${FOLDER}/${port}.conf`;
    await user.sh(`sed 's/51820/${port}/; s/^PrivateKey/MTU = ${mtu}\\n&/' ${CONFIG} > ${file}`);
    await server.ok("ip", "link", "set", "wg0", "mtu", String(mtu));
    const permissions = sockets === "linux" ? ["--allow-all"] : ["--allow-net", `--allow-read=${file}`];
    const program = await user.start([
      ...[Deno.execPath(), "run", "--no-prompt", "--no-check", ...permissions],
      ...[script("bad_wire_program.ts"), file, THEIRS, String(bytes)],
    ]);
    await eventually("the tunnel", () => program.output().includes("connected"), { within: 60_000 });
    const back = await server.run(lab("transfer", "exchange", OURS, String(bytes)), { timeout: 200_000 });
    equal(back.code, 0, back.stderr + program.output());
    match(back.stdout, /the same both ways/);
    equal((await program.ended).code, 0, program.output());
    match(program.output(), new RegExp(`^the same both ways ${sockets}$`, "m"));
    await relay.signal("KILL");
    await relay.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.named[Symbol.asyncDispose]();
  }
}

function lab(name: string, ...args: string[]): string[] {
  return [Deno.execPath(), "run", "--allow-net", "--no-check", "--quiet", script(`${name}.ts`), ...args];
}

const FAULTS: Readonly<Record<string, Trial["faults"]>> = {
  "out of order": { delay: 2, jitter: 20 },
  "doubled": { duplicate: 0.3, delay: 2, jitter: 1 },
  "damaged": { corrupt: 0.02 },
  "every thousandth lost": { loss: 0.001, delay: 5 },
  "every two hundredth lost": { loss: 0.005, delay: 5 },
  "every hundredth lost": { loss: 0.01, delay: 5 },
  "every twentieth lost": { loss: 0.05, delay: 5 },
  "all of it": { loss: 0.01, duplicate: 0.05, corrupt: 0.01, delay: 2, jitter: 10 },
};

await rootTest("streams arrive complete over a bad wire", {}, async (test) => {
  await using scene = await Scene.create();
  for (const [name, faults] of Object.entries(FAULTS)) {
    for (const sockets of ["node", "linux"] as const) {
      await test.step(
        `datagrams ${name}, by the sockets of ${sockets}`,
        () => scene.exchange({ faults, mtu: 1_420, bytes: 400_000 }, sockets),
      );
    }
  }
});

await rootTest("streams arrive complete with an MTU of 576 to 65455", {}, async (test) => {
  await using scene = await Scene.create();
  for (const mtu of [576, 1_280, 9_000, 65_455]) {
    for (const sockets of ["node", "linux"] as const) {
      await test.step(`${mtu}, by the sockets of ${sockets}`, async () => {
        await scene.exchange({ faults: {}, mtu, bytes: 1_500_000 }, sockets);
        await scene.exchange({ faults: { loss: 0.01, delay: 2, jitter: 5 }, mtu, bytes: 300_000 }, sockets);
      });
    }
  }
});
