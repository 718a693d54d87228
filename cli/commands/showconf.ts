/** `wgd showconf`. @module */

import { formatConfig } from "../../core/config/format.ts";
import { getDevice } from "../../core/client/devices.ts";
import { toConfig } from "../../core/uapi/convert.ts";
import type { DeviceState } from "../../core/uapi/get.ts";
import { interfaceName } from "../../core/client/system.ts";
import { reportUapiError } from "../failure.ts";
import { programName } from "../program.ts";
import { complain, print } from "../render/output.ts";

/** Prints an interface's configuration as a file that setconf takes. */
export async function showconf(args: readonly string[]): Promise<number> {
  const [name] = args;
  if (name === undefined || args.length !== 1) {
    complain(`Usage: ${programName()} showconf <interface>`);
    return 1;
  }
  let state: DeviceState;
  try {
    state = await getDevice(name);
  } catch (error) {
    return reportUapiError("Unable to access interface", error, name);
  }
  print(formatConfig(toConfig(state, interfaceName)));
  return 0;
}
