import { deepEqual } from "node:assert/strict";
import { peerNames } from "../../../core/config/names.ts";

const CASES: Record<string, [string, [string, string][]]> = {
  "above the section": ["# Name = Anna\n[Peer]\nPublicKey = A=\n", [["A=", "Anna"]]],
  "in the section": ["[Peer]\n# name=Anna's phone \nPublicKey=A=\n", [["A=", "Anna's phone"]]],
  "behind the key": ["[Peer]\nPublicKey=A= # x\n# Name = Anna\n", [["A=", "Anna"]]],
  "directly above the next": ["[Peer]\nPublicKey=A=\n# Name = Ben\n[Peer]\nPublicKey=B=\n", [["B=", "Ben"]]],
  "an empty line between": ["[Peer]\nPublicKey=A=\n# Name = Anna\n\n[Peer]\nPublicKey=B=\n", [[
    "A=",
    "Anna",
  ]]],
  "among other comments": ["# Name = Anna\n# since May\n[Peer]\nPublicKey=A=\n", [["A=", "Anna"]]],
  "of the interface": ["[Interface]\n# Name = server\nListenPort=1\n[Peer]\nPublicKey=A=\n", []],
  "with an escape sequence": ["[Peer]\n# Name = a\x1b[2Jb\nPublicKey=A=\n", [["A=", "a[2Jb"]]],
  "no key": ["# Name = Anna\n[Peer]\nAllowedIPs=10.0.0.1/32\n", []],
  "Windows line ends": ["# Name = Anna\r\n[Peer]\r\nPublicKey = A=\r\n", [["A=", "Anna"]]],
};

for (const [name, [text, names]] of Object.entries(CASES)) {
  Deno.test(`peerNames() ${name}`, () => deepEqual([...peerNames(text)], names));
}
