/**
 * The newest wireguard-go: Debian's is of 2022 and lacks segmentation offload, so it is built from its module.
 *
 * @module
 */

import { ensureCertificates } from "./apt.ts";
import { cacheFolder, madeFolder, told } from "./cache.ts";
import { runGo } from "./go.ts";

const MODULE = "golang.zx2c4.com/wireguard@latest";
/**
 * Finds or builds wireguard-go.
 *
 * @returns Path of its executable.
 * @throws {PeerUnavailable} If it is not there and cannot be built.
 */
export async function wireguardGo(): Promise<string> {
  const folder = await madeFolder(`${cacheFolder()}/wireguard-go`, async (folder) => {
    await ensureCertificates();
    await told("building wireguard-go", () => runGo(["install", MODULE], folder));
  });
  return `${folder}/wireguard`;
}
