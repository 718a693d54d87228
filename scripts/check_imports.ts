/**
 * Fails if an import goes against the arrows: `cli -> core -> ffi, wasm`, and within core from engine and quick down to
 * protocol and config. It uses the module graph of `deno info`.
 *
 * @module
 */

import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * The allowed imports of each folder or file, the most specific first. Imports within it are always allowed. npm
 * packages are listed by name.
 */
const ALLOWED: readonly (readonly [place: string, from: readonly string[]])[] = [
  ["wasm/", []],
  ["ffi/linux/tun.ts", ["wasm/packet.ts"]],
  ["ffi/", []],
  ["core/config/", []],
  ["core/protocol/", ["core/config/"]],
  ["core/uapi/", ["core/config/", "ffi/linux/constants.ts"]],
  ["core/log.ts", []],
  ["core/client/kernel", ["core/uapi/", "core/config/", "ffi/linux/"]],
  ["core/client/netlink", ["core/uapi/", "core/config/", "ffi/linux/constants.ts"]],
  ["core/client/process.ts", ["core/uapi/", "ffi/linux/peer_credentials.ts"]],
  ["core/client/system.ts", ["core/config/", "core/uapi/errno.ts", "ffi/linux/link_names.ts"]],
  ["core/client/", ["core/uapi/", "core/config/"]],
  ["core/engine/", ["core/uapi/", "core/protocol/", "core/config/", "core/log.ts", "wasm/"]],
  ["core/tunnel/", [
    "core/engine/",
    "core/protocol/",
    "core/log.ts",
    "core/client/",
    "core/uapi/",
    "core/config/",
    "wasm/",
    "ffi/linux/",
  ]],
  ["core/quick/plan/", [
    "core/config/",
    "core/uapi/get.ts",
    "core/uapi/set.ts",
    "core/client/netlink_network.ts",
  ]],
  ["core/quick/saved.ts", ["core/config/"]],
  ["core/quick/", [
    "core/client/",
    "core/uapi/",
    "core/config/",
    "core/config_file.ts",
    "core/locked_config_file.ts",
    "core/durable_file.ts",
    "core/file_error.ts",
  ]],
  ["core/proxy/", ["core/config/"]],
  ["core/net/ip.ts", ["core/config/", "wasm/packet.ts"]],
  ["core/net/dns/message.ts", ["core/config/"]],
  ["core/net/dns/resolver.ts", []],
  ["core/net/fast_sockets.ts", [
    "core/net/",
    "core/engine/",
    "core/log.ts",
    "core/tunnel/event_loop_sockets.ts",
    "wasm/",
  ]],
  ["core/net/", [
    "core/proxy/",
    "core/engine/",
    "core/client/lookup.ts",
    "core/client/proxy_sockets.ts",
    "core/client/resolve.ts",
    "core/uapi/",
    "core/protocol/",
    "core/config/",
    "core/config_file.ts",
    "core/log.ts",
    "core/public_key.ts",
    "wasm/",
  ]],
  ["core/exec/script.ts", ["core/config/", "core/quick/plan/"]],
  ["core/exec/forbidden.ts", []],
  ["core/exec/", [
    "core/tunnel/",
    "core/quick/",
    "core/client/",
    "core/uapi/",
    "core/config/",
    "core/log.ts",
    "ffi/linux/",
  ]],
  ["core/doctor/diagnose.ts", [
    "core/config/",
    "core/uapi/get.ts",
    "core/uapi/set.ts",
    "core/quick/plan/differences.ts",
    "core/doctor/firewall.ts",
  ]],
  ["core/doctor/firewall.ts", []],
  ["core/install/plan.ts", []],
  ["core/install/", ["core/web/folders.ts", "ffi/linux/folder.ts"]],
  ["core/durable_file.ts", ["core/file_error.ts", "ffi/linux/folder.ts"]],
  ["core/peers/free_address.ts", ["core/config/"]],
  ["core/show/", ["core/config/", "core/client/", "core/uapi/"]],
  ["core/qr/phone.ts", ["core/config/"]],
  ["core/qr/code.ts", []],
  ["core/web/store/", ["core/config/"]],
  ["core/web/keeper/server.ts", ["ffi/linux/local_server.ts"]],
  ["core/web/keeper/links.ts", ["ffi/linux/link_watch.ts", "ffi/linux/route_watch.ts"]],
  ["core/web/keeper/running.ts", [
    "core/web/",
    "core/install/web_services.ts",
    "ffi/linux/peer_credentials.ts",
  ]],
  ["core/web/make_folders.ts", ["core/web/", "ffi/linux/folder.ts", "ffi/linux/peer_credentials.ts"]],
  ["core/web/page/", ["core/config/key.ts"]],
  ["core/web/database.ts", ["core/web/", "core/durable_file.ts", "ffi/linux/privileges.ts"]],
  ["core/web/start.ts", [
    "core/web/",
    "ffi/linux/accepted_connections.ts",
    "ffi/linux/no_delay.ts",
    "ffi/linux/privileges.ts",
    "ffi/linux/service_manager.ts",
  ]],
  // Types.
  ["core/web/connection_limits.ts", ["core/web/", "core/config/", "ffi/linux/accepted_connections.ts"]],
  ["core/web/owner.ts", ["core/web/folders.ts", "ffi/linux/privileges.ts"]],
  ["core/web/openapi.ts", ["core/web/", "deno.json"]],
  ["core/web/metrics.ts", ["core/web/", "deno.json"]],
  ["core/", ["wasm/", "core/"]],
  ["cli/commands/run.ts", [
    "cli/",
    "core/config/features.ts",
    "core/config/lanes.ts",
    "core/tunnel/start.ts",
    "ffi/linux/process.ts",
  ]],
  ["cli/commands/keeper.ts", [
    "cli/",
    "core/config/backend.ts",
    "core/web/",
    "ffi/linux/service_manager.ts",
  ]],
  ["cli/commands/web.ts", ["cli/", "core/web/", "ffi/linux/replace_process.ts"]],
  ["cli/", [
    "core/config/",
    "core/client/",
    "core/uapi/",
    "core/quick/",
    "core/doctor/",
    "core/exec/",
    "core/net/",
    "core/proxy/",
    "core/install/",
    "core/peers/",
    "core/qr/",
    "core/show/",
    "core/web/",
    "core/config_file.ts",
    "core/durable_file.ts",
    "core/file_error.ts",
    "core/v8_flags.ts",
    "core/keys.ts",
    "core/public_key.ts",
    "deno.json",
  ]],
  ["mod.ts", ["core/"]],
  ["scripts/", ["tests/", "mod.ts", "core/v8_flags.ts", "core/web/assets/", "deno.json"]],
  ["tests/", ["tests/", "cli/", "core/", "ffi/", "wasm/", "scripts/", "mod.ts"]],
];

const CONSTANTS = "ffi/linux/constants.ts";

/** What some modules must not load statically, neither themselves nor through others. */
interface Limit {
  readonly entries: readonly string[];
  loads(path: string): boolean;
  readonly why: string;
}
const LIMITS: readonly Limit[] = [
  {
    entries: ["core/net/up.ts", "cli/commands/proxy.ts"],
    loads: (path) => path.startsWith("ffi/") && path !== CONSTANTS,
    why: "has to work where Deno does not permit FFI, and on other systems than Linux",
  },
  {
    // This text has twenty times the size of everything else that a lane loads.
    entries: ["core/tunnel/lane_worker.ts"],
    loads: (path) => /^wasm\/module\w*\.ts$/.test(path),
    why: "has to start fast, so it gets the WebAssembly module compiled",
  },
];

/** `node:` modules that do no I/O of their own. */
const PURE_NODE = new Set(["node:util", "node:path", "node:net", "node:os"]);
/** Where only pure `node:` modules may be imported. */
const PURE_FOLDERS = [
  "wasm/",
  "core/config/",
  "core/protocol/",
  "core/quick/plan/",
  "core/quick/saved.ts",
  "core/install/plan.ts",
];

interface Graph {
  modules: { specifier: string; local?: string; dependencies?: Dependency[] }[];
}
interface Dependency {
  specifier: string;
  isDynamic?: boolean;
  code?: { specifier?: string };
  type?: { specifier?: string };
}

async function graph(entry: string): Promise<Graph> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: root,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(`${root}/${folder}`)) {
    const path = folder === "" ? name : `${folder}/${name}`;
    if (isDirectory && !/^(\.|dist$|target$|node_modules$)/.test(name)) yield* sources(path);
    else if (/\.tsx?$/.test(name)) yield path;
  }
}

const wrong = new Set<string>();
const seen = new Set<string>();
for await (const entry of sources("")) {
  if (seen.has(entry)) continue;
  for (const { specifier, dependencies = [] } of (await graph(entry)).modules) {
    if (!specifier.startsWith("file:")) continue;
    const from = relative(root, fileURLToPath(specifier));
    if (seen.has(from)) continue;
    seen.add(from);
    const rule = ALLOWED.find(([place]) => from.startsWith(place));
    if (!rule) {
      if (/\.tsx?$/.test(from)) wrong.add(`${from} is in no known place`);
      continue;
    }
    const [place, allowed] = rule;
    for (const { specifier: written, code, type } of dependencies) {
      const to = code?.specifier ?? type?.specifier ?? written;
      if (to.startsWith("node:")) {
        const pure = PURE_FOLDERS.some((folder) => from.startsWith(folder));
        if (pure && !PURE_NODE.has(to)) wrong.add(`${from} imports ${to}, and nothing in ${place} does I/O`);
      } else if (to.startsWith("file:")) {
        const path = relative(root, fileURLToPath(to));
        const inside = place.endsWith("/") && path.startsWith(place) || dirname(path) === dirname(from);
        if (!inside && !allowed.some((prefix) => path.startsWith(prefix))) {
          wrong.add(`${from} imports ${path}, against the arrows`);
        }
      }
    }
  }
}

for (const { entries, loads, why } of LIMITS) {
  for (const entry of entries) {
    const modules = new Map((await graph(entry)).modules.map((module) => [module.specifier, module]));
    const loaded = new Set([...modules.keys()].filter((specifier) => specifier.endsWith(`/${entry}`)));
    // Iterating a set also visits elements that are added meanwhile.
    for (const specifier of loaded) {
      const path = relative(root, fileURLToPath(specifier));
      if (loads(path)) wrong.add(`${entry} loads ${path}, and ${why}`);
      for (const { isDynamic, code } of modules.get(specifier)?.dependencies ?? []) {
        if (!isDynamic && code?.specifier?.startsWith("file:")) loaded.add(code.specifier);
      }
    }
  }
}

if (wrong.size > 0) {
  for (const line of [...wrong].sort()) console.error(line);
  console.error(`imports: ${wrong.size} against the arrows; ARCHITECTURE.md says who may call whom`);
  Deno.exit(1);
}
console.log(`imports: ${seen.size} modules, all along the arrows`);
