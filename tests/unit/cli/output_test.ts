import { equal } from "node:assert/strict";
import { visible } from "../../../cli/render/output.ts";

const shown = (text: string) => new TextDecoder().decode(visible(new TextEncoder().encode(text)));

Deno.test("quoted text cannot control the terminal", () => {
  equal(shown("found \x1b[2J\x1b]0;x\x07\x7f\r\0"), "found \\x1b[2J\\x1b]0;x\\x07\\x7f\\x0d\\x00");
  equal(shown("\u009b2J"), "\\x9b2J");
});

Deno.test("lines, tabs and every other letter stay as they are", () => {
  equal(shown("\tJürgen’s 電話 Â\n"), "\tJürgen’s 電話 Â\n");
});
