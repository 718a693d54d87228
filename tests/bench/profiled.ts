/**
 * `wgd run --foreground NAME` with the engine on the main thread, which is the only one that `deno run --cpu-prof` looks
 * at. It ends when its control socket is deleted, and then Deno writes the profile.
 *
 * @module
 */

import { LinuxEngine } from "../../core/tunnel/linux_engine.ts";

const [, , name] = Deno.args;
if (name === undefined) throw new TypeError("Usage: profiled.ts run --foreground INTERFACE");
LinuxEngine.open({ name, disable: [], log: () => {}, lookup: () => {} }).run();
