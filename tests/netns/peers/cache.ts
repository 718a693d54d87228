/**
 * Where peers are kept between runs, and how their making is told.
 *
 * @module
 */

/** A peer cannot be had on this machine; the message says why and what would help. */
export class PeerUnavailable extends Error {
  override name = "PeerUnavailable";
}

/**
 * The folder that holds everything that was fetched or built for tests: `WGD_PEERS`, or `wgd-peers` in the user's
 * cache. Deleting it makes the next run fetch the newest of everything.
 *
 * @returns Its path; it exists.
 */
export function cacheFolder(): string {
  const home = Deno.env.get("HOME") ?? "/var/tmp";
  const folder = Deno.env.get("WGD_PEERS") ??
    `${Deno.env.get("XDG_CACHE_HOME") ?? `${home}/.cache`}/wgd-peers`;
  Deno.mkdirSync(folder, { recursive: true });
  return folder;
}

/** Tells what is being done, on standard error. */
export function say(text: string): void {
  console.error(`[peers] ${text}`);
}

/**
 * Says that something takes time, does it, and says how long it took.
 *
 * @param text What is done, as "building boringtun".
 * @param work Does it.
 */
export async function told<T>(text: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const seconds = () => Math.round((performance.now() - start) / 1000);
  say(`${text} …`);
  const timer = setInterval(() => say(`${text}: ${seconds()} s so far`), 30_000);
  try {
    const result = await work();
    say(`${text}: done in ${seconds()} s`);
    return result;
  } finally {
    clearInterval(timer);
  }
}

/** Whether a file exists. */
export function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/**
 * Finds a program.
 *
 * @param name Its name.
 * @param folders Where to look besides `PATH`.
 * @returns Its path, or undefined.
 */
export function findProgram(name: string, folders: readonly string[] = []): string | undefined {
  // Debian keeps administrators' programs where a plain user's PATH does not look.
  const path = [...folders, ...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  return path.filter((folder) => folder !== "").map((folder) => `${folder}/${name}`).find(exists);
}

/** A folder made by `make` in full or not at all: it is built aside and renamed. */
export async function madeFolder(path: string, make: (folder: string) => Promise<void>): Promise<string> {
  if (exists(path)) return path;
  const aside = await Deno.makeTempDir({ dir: cacheFolder(), prefix: "making-" });
  try {
    await make(aside);
    await Deno.rename(aside, path);
  } catch (error) {
    // Another run may have been faster; a folder that is there is whole.
    if (!exists(path)) throw error;
  } finally {
    await Deno.remove(aside, { recursive: true }).catch(() => {});
  }
  return path;
}
