import { deepEqual, equal, throws } from "node:assert/strict";
import { phoneConfig } from "../../../core/qr/phone.ts";

const KEY = "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=";

Deno.test("phoneConfig() keeps the keys that the apps support and names the others", () => {
  const { text, leftOut } = phoneConfig(`# home
[Interface]
PrivateKey = ${KEY}
Address = 10.0.0.2/32
Address = fd00::2/128
DNS = 192.0.2.53, home.example
MTU = 1300
Table = off
FwMark = 7
PostUp = echo '# %i'
SaveConfig = true

[Peer] # the server
PublicKey = ${KEY}
AllowedIPs = 0.0.0.0/0
AllowedIPs = ::/0
Endpoint = vpn.example:51820
PersistentKeepalive = 25
`);
  equal(
    text,
    `[Interface]
Address = 10.0.0.2/32
Address = fd00::2/128
DNS = 192.0.2.53, home.example
MTU = 1300
PrivateKey = ${KEY}

[Peer]
PublicKey = ${KEY}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = vpn.example:51820
PersistentKeepalive = 25
`,
  );
  deepEqual(leftOut, ["Table", "PostUp", "SaveConfig", "FwMark"]);
});

Deno.test("phoneConfig() writes the result of signed allowed IPs", () => {
  const peer = (list: string) => `[Peer]\nPublicKey = ${KEY}\nAllowedIPs = ${list}\n`;
  const { text } = phoneConfig(peer("+10.0.0.0/8, +10.1.0.0/16, -10.0.0.0/8"));
  equal(text, `[Interface]\n\n${peer("10.1.0.0/16")}`);
});

Deno.test("phoneConfig() reports where a file is wrong", () => {
  throws(() => phoneConfig("[Interface]\nAdress = 10.0.0.1\n", { file: "p.conf" }), {
    hint: /^p\.conf:2: .*Address/,
  });
});
