/**
 * The server's data about a device while it connects: the reason why it does not, then its handshake and its rates.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { API, DATA, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

const wgd = wgdCommand();

interface Live {
  id: string;
  state: string;
  rxRate: number;
  txRate: number;
  rxBytes: number;
  lastHandshake: string | null;
  endpoint: string | null;
}

await rootTest(
  "a device's live values are sent, and the server gives the reason why it does not connect",
  { programs: [...WEB_PROGRAMS, "nft"] },
  async () => {
    await using lab = await WebLab.start();
    const { server, phone } = lab;
    const { id, config, keys } = await lab.addDevice("phone");
    const codes = async () => {
      const { body } = await lab.call("GET", `/devices/${id}/reasons`);
      return body.map(({ code }: { code: string }) => code);
    };
    deepEqual(await codes(), ["never-called"]);

    // Keys that the server does not know, so it receives handshakes of a stranger.
    await lab.connectPhone({ config, keys: generateKeys() });
    await phone.run(["ping", "-c", "1", "-W", "1", "10.8.0.1"]);
    deepEqual(await codes(), ["wrong-key", "never-called"]);
    await phone.ok(...wgd, "quick", "down", "/run/lab/wg1.conf");

    // The server's answers are lost.
    await server.sh(
      "nft 'add table ip t; add chain ip t o { type filter hook output priority 0; };" +
        " add rule ip t o udp sport 51820 drop'",
    );
    await lab.connectPhone({ config, keys });
    await phone.run(["ping", "-c", "1", "-W", "1", "10.8.0.1"]);
    deepEqual(await codes(), ["no-answer"]);
    await server.sh("nft delete table ip t");

    const stream = await server.start([
      ...["curl", "-sN", "--cacert", `${DATA}/ca.pem`, "--max-time", "120"],
      ...["-H", `Authorization: Bearer ${lab.token}`, `${API}/live?devices=${id}`],
    ]);
    const events = () =>
      [...stream.output().matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data!)[0] as Live);
    await eventually("the first event", () => events().length > 0);
    equal(events()[0]!.state, "never");
    await eventually(
      "the tunnel",
      async () => (await phone.run(["ping", "-c", "1", "-W", "1", "10.8.0.1"])).code === 0,
      { within: 20_000 },
    );
    const pings = await phone.start(["ping", "-i", "0.1", "-s", "1000", "10.8.0.1"]);
    const live = await eventually(
      "a rate",
      () => events().find(({ rxRate, txRate }) => rxRate > 1_000 && txRate > 1_000),
      { within: 30_000 },
    );
    await pings.signal("INT");
    await pings.ended;
    equal(live.state, "online");
    ok(live.lastHandshake !== null, JSON.stringify(live));
    equal(live.endpoint?.startsWith("192.0.2.2:"), true);
    deepEqual(await codes(), []);

    equal((await lab.call("DELETE", `/devices/${id}`)).status, 204);
    await eventually("the stream to forget it", () => stream.output().trimEnd().endsWith("data: []"));
  },
);
