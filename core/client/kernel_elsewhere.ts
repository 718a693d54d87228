/**
 * The kernel's interfaces in other network namespaces.
 *
 * @module
 */

import { inNamespace } from "../../ffi/linux/namespace.ts";
import { SystemError } from "../../ffi/linux/system_error.ts";
import type { DeviceState } from "../uapi/get.ts";
import { UapiError } from "../uapi/lines.ts";
import { getKernelDevice, listKernelInterfaces } from "./kernel.ts";

/**
 * Reads all of the kernel's interfaces in a namespace.
 *
 * @param path A file of the namespace.
 * @returns An empty list if it cannot be entered or ends meanwhile.
 */
export function kernelDevicesIn(path: string): { name: string; state: DeviceState }[] {
  try {
    return inNamespace(
      path,
      () => listKernelInterfaces().map((name) => ({ name, state: getKernelDevice(name) })),
    );
  } catch (error) {
    if (error instanceof SystemError || error instanceof UapiError) return [];
    throw error;
  }
}
