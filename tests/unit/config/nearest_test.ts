import { equal } from "node:assert/strict";
import { nearest } from "../../../core/config/nearest.ts";

Deno.test("nearest() finds typing mistakes, not other words", () => {
  const words = ["show", "showconf", "set", "setconf", "genkey", "quick", "Address"];
  equal(nearest("shwo", words), "show");
  equal(nearest("genkye", words), "genkey");
  equal(nearest("Adress", words), "Address");
  equal(nearest("set-conf", words), "setconf");
  equal(nearest("banana", words), undefined);
  equal(nearest("", words), undefined);
});
