import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { createSocket } from "node:dgram";
import { readBackend } from "../../../core/config/backend.ts";
import { parseQuickConfig } from "../../../core/config/quick_config.ts";
import { ValueError } from "../../../core/config/values.ts";
import { chooseBackend, kernelWarnings } from "../../../core/quick/backend.ts";
import { checkConfig } from "../../../core/quick/check.ts";
import { adviseWithoutModule, type ModuleFacts } from "../../../core/quick/kernel_module.ts";
import { isUdpPortTaken } from "../../../core/quick/udp_port.ts";

const settingsOf = (text: string) => parseQuickConfig(text, { file: "wg0.conf" }).settings;

Deno.test("readBackend() accepts three names and refuses others", () => {
  deepEqual(["auto", "kernel", "WGD"].map(readBackend), ["auto", "kernel", "wgd"]);
  for (const text of ["", "user", "kernel "]) {
    throws(
      () => readBackend(text),
      (error) => error instanceof ValueError && /auto, kernel or wgd/.test(error.advice),
    );
  }
});

Deno.test("chooseBackend() uses the option first, then the environment, then the file, and else auto", () => {
  const file = settingsOf("[Interface]\n# wgd: Backend = kernel\n");
  equal(chooseBackend("wgd", file), "wgd");
  equal(chooseBackend(undefined, file), "kernel");
  equal(chooseBackend("auto", file), "auto", "the option can select auto");
  equal(chooseBackend(undefined, settingsOf("[Interface]\n")), "auto");
  equal(
    chooseBackend(undefined, settingsOf("# wgd: Backend = wgd\n# wgd: backend = Kernel\n")),
    "kernel",
    "the last line counts",
  );
});

Deno.test("chooseBackend() selects wgd if a setting needs it", () => {
  const cases: [text: string, backend: string, ownWish?: boolean][] = [
    ["[Interface]\n# wgd: Disable = udp-gso\n", "wgd"],
    ["[Interface]\n# wgd: Disable = \n", "auto"],
    ["# wgd: ResolveEndpoints = on\n[Interface]\n", "wgd"],
    ["[Interface]\n[Peer]\n# wgd: ResolveEndpoints = on\n", "wgd"],
    ["[Interface]\n# wgd: ResolveEndpoints = off\n", "auto"],
    ["[Interface]\n", "wgd", true],
    ["[Interface]\n", "auto", false],
    ["# wgd: Lanes = 2\n[Interface]\n", "wgd"],
    ["[Interface]\n# wgd: Disable = udp-gso\n# wgd: Backend = kernel\n", "kernel"],
    ["[Interface]\n# wgd: Backend = auto\n# wgd: Disable = udp-gso\n", "wgd"],
  ];
  for (const [text, backend, ownWish] of cases) {
    equal(chooseBackend(undefined, settingsOf(text), ownWish), backend, text);
  }
});

Deno.test("settings without effect are reported if the kernel runs the interface", async () => {
  const text = "[Interface]\n# wgd: Disable = wide\n# wgd: ResolveEndpoints = on\n";
  deepEqual(kernelWarnings(settingsOf(text), "wg0.conf"), [
    "wg0.conf: Disable has no effect on the kernel's WireGuard",
    "wg0.conf: ResolveEndpoints has no effect on the kernel's WireGuard",
  ]);
  const check = (text: string) => checkConfig(new TextEncoder().encode(text), "wg0.conf");
  const about = async (text: string) => (await check(text)).warnings.join("\n");
  match(await about(`${text}# wgd: Backend = kernel\n`), /Disable has no effect/);
  ok(!/no effect/.test(await about(text)));
  const { errors } = await check("[Interface]\n# wgd: Backend = krenel\n");
  match(errors[0]!.hint, /wg0\.conf:2: Backend: found "krenel", expected auto, kernel or wgd/);
});

Deno.test("adviseWithoutModule() gives the cause for each machine, and suggests wgd", () => {
  const cases: [ModuleFacts["loading"], ModuleFacts["file"], RegExp][] = [
    ["never", "none", /has no modules/],
    ["off", "there", /kernel\.modules_disabled/],
    ["on", "there", /it was not loaded; "modprobe wireguard" says why/],
    ["on", "missing", /\/lib\/modules\/6\.1\.0 has no module wireguard/],
    ["on", "none", /no \/lib\/modules\/6\.1\.0 here; if this is a container/],
  ];
  for (const [loading, file, expected] of cases) {
    const advice = adviseWithoutModule({ release: "6.1.0", loading, file });
    match(advice, expected);
    match(advice, /or let wgd run the interface: --backend wgd$/);
  }
});

Deno.test("isUdpPortTaken() finds sockets of both families", async () => {
  for (const [type, address] of [["udp4", "127.0.0.1"], ["udp6", "::1"]] as const) {
    const socket = createSocket(type);
    await new Promise<void>((resolve) => socket.bind(0, address, resolve));
    const { port } = socket.address();
    equal(await isUdpPortTaken(port), true, address);
    await new Promise<void>((resolve) => socket.close(resolve));
    equal(await isUdpPortTaken(port), false, address);
  }
});
