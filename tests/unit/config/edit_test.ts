import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { ConfigText } from "../../../core/config/edit.ts";

const FILE = `# The office.
[Interface]
Address = 10.0.0.1/24   # ours
 listenport=51820 # forwarded by the router
PostUp = echo a # b

# Name = Anna's phone
[Peer] # lent out
PublicKey = aaa=
AllowedIPs = 10.0.0.2/32

# Servers follow.

[peer]
# Name = mail
PublicKey = bbb=
AllowedIPs = 10.0.0.3/32
AllowedIPs = 10.0.0.4/32
`;

Deno.test("a file that is not edited stays identical to the byte", () => {
  const line = fc.constantFrom(
    "[Interface]",
    "[ Peer ] # x",
    "# c",
    "",
    "  ",
    "Key = v",
    "=",
    "\r",
    "[",
    "#[Peer]",
  );
  fc.assert(fc.property(
    fc.oneof(
      fc.string(),
      fc.array(line).map((lines) => lines.join("\n")),
      fc.array(line).map((lines) => lines.join("\r\n")),
    ),
    (text) => equal(new ConfigText(text).toString(), text),
  ));
});

Deno.test("a value is changed in place, and nothing around it", () => {
  const file = new ConfigText(FILE);
  file.interface.set("Address", ["10.0.0.9/24"]);
  file.interface.set("ListenPort", ["1"]);
  equal(
    file.toString(),
    FILE.replace("10.0.0.1/24   # ours", "10.0.0.9/24   # ours").replace(
      "listenport=51820 #",
      "listenport=1 #",
    ),
  );
});

Deno.test("values are added after existing ones, and removed", () => {
  const file = new ConfigText(FILE);
  const [, mail] = file.peers;
  deepEqual(mail!.values("allowedips"), ["10.0.0.3/32", "10.0.0.4/32"]);
  mail!.set("AllowedIPs", ["10.0.0.5/32"]);
  mail!.set("Endpoint", ["192.0.2.1:1"]);
  file.interface.set("FwMark", ["0x1"]);
  equal(
    file.toString(),
    FILE.replace("10.0.0.3/32\nAllowedIPs = 10.0.0.4/32\n", "10.0.0.5/32\nEndpoint = 192.0.2.1:1\n")
      .replace("echo a # b\n", "echo a # b\nFwMark = 0x1\n"),
  );
});

Deno.test("a peer is removed with the comments directly above it, and a new one is added at the end", () => {
  const file = new ConfigText(FILE);
  file.remove(file.peers[0]!);
  file.addPeer({ name: "tablet", entries: [["PublicKey", "ccc="]] });
  const kept = FILE.replace(/# Name = Anna[\s\S]*(?=\[peer\])/, "");
  equal(file.toString(), `${kept}\n# Name = tablet\n[Peer]\nPublicKey = ccc=\n`);
  equal(file.peers.length, 2);
});

Deno.test("line endings of the file are kept, and a last line without one gets one", () => {
  const file = new ConfigText("[Interface]\r\nListenPort = 1");
  file.interface.set("FwMark", ["2"]);
  file.addPeer({ entries: [["PublicKey", "aaa="]] });
  equal(
    file.toString(),
    "[Interface]\r\nListenPort = 1\r\nFwMark = 2\r\n\r\n[Peer]\r\nPublicKey = aaa=\r\n",
  );
});

Deno.test("several [Interface] sections count as one, and a missing one is added", () => {
  const file = new ConfigText("[Interface]\nMTU = 1\n[Peer]\n[Interface]\nListenPort = 2\n");
  file.interface.set("ListenPort", ["3"]);
  file.interface.set("MTU", []);
  equal(file.toString(), "[Interface]\n[Peer]\n[Interface]\nListenPort = 3\n");
  const empty = new ConfigText("# mine\n");
  empty.interface.set("MTU", ["1400"]);
  equal(empty.toString(), "# mine\n[Interface]\nMTU = 1400\n");
});
