import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Client } from "../../core/client/client.ts";
import { getDiagnostics } from "../../core/client/devices.ts";
import { listInterfaces } from "../../core/client/listing.ts";
import { formatGet } from "../../core/uapi/get.ts";
import { UapiError } from "../../core/uapi/lines.ts";
import { UnixListener } from "../../ffi/linux/unix_socket.ts";
import { findProgram, PretendInterface, wgd } from "./oracle.ts";

const STATE = { listenPort: 5, fwmark: 0, peers: [] };

function withInterface(name: string, body: (device: PretendInterface) => Promise<void>): void {
  Deno.test({
    name,
    ignore: Deno.uid() !== 0,
    fn: async () => {
      using device = new PretendInterface(`wgcc${Deno.pid % 100_000}`, () => [...formatGet(STATE)].join(""));
      await body(device);
    },
  });
}

withInterface("Client gets and sets", async (device) => {
  const client = await Client.connect(device.name);
  deepEqual(await client.get(), STATE);
  await client.set({ fwmark: 7, replacePeers: false, peers: [] });
  deepEqual(device.requests, ["get=1\n\n", "set=1\nfwmark=7\n\n"]);
  device.reply = () => "errno=-98\n\n";
  await rejects(client.set({ replacePeers: false, peers: [] }), (error: UapiError) => error.errno === 98);
});

withInterface("Client.watch() reads at once and continues until it is stopped", async (device) => {
  const client = await Client.connect(device.name);
  const stop = new AbortController();
  let seen = 0;
  for await (const state of client.watch({ interval: 1, signal: stop.signal })) {
    deepEqual(state, STATE);
    if (++seen === 3) stop.abort();
  }
  equal(seen, 3);
});

withInterface(
  "listInterfaces() returns the interfaces that answer, and Client.connect() refuses others",
  async (device) => {
    const names = await listInterfaces();
    ok(names.includes(device.name));
    await rejects(Client.connect(`${device.name}x`), UapiError);
    await rejects(Client.connect("../x"), UapiError);
    await rejects(Client.connect(""), UapiError);
  },
);

withInterface("a reply may come in pieces of any size", async (device) => {
  const big = `${"public_key=" + "ab".repeat(32)}\n${"allowed_ip=10.0.0.0/8\n".repeat(40_000)}errno=0\n\n`;
  device.reply = () => big;
  const client = await Client.connect(device.name);
  equal((await client.get()).peers[0]!.allowedIps.length, 40_000);
});

withInterface("getDiagnostics() does not wait for the peers, which come after them", async (device) => {
  const diagnostics = "wgd_feature=udp-gso on\nwgd_drop=protocol.badMac1 3\nlisten_port=5\n";
  device.reply = () => `${diagnostics}public_key=${"ab".repeat(32)}\n`;
  equal((await getDiagnostics(device.name))!.drops["protocol.badMac1"], 3);
  device.reply = () => "errno=22\n\n";
  equal(await getDiagnostics(device.name), undefined);
});

Deno.test({
  name: "a socket without a listener is not an interface and is deleted, as wg does",
  ignore: Deno.uid() !== 0 || !findProgram("wg"),
  fn: async () => {
    const name = `wgcs${Deno.pid % 100_000}`;
    const path = `/var/run/wireguard/${name}.sock`;
    const [program, before] = wgd();
    for (const words of [["show", name], ["set", name, "fwmark", "1"], ["show", "interfaces"]]) {
      const outcomes = [];
      for (const command of [["wg"], [program, ...before]]) {
        UnixListener.open(path).close();
        const { code, stdout, stderr } = await new Deno.Command(command[0]!, {
          args: [...command.slice(1), ...words],
        }).output();
        const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
        const left = await Deno.lstat(path).then(() => true, () => false);
        outcomes.push({ code, named: out!.includes(name), err: err!.replace(/^hint: .*\n/m, ""), left });
      }
      deepEqual(outcomes[1], outcomes[0]);
      equal(outcomes[0]!.left, false);
    }
  },
});
