/**
 * Folders as descriptors, so that root can safely work in a folder of another user, who may rename, remove or link
 * files at the same time. A path is resolved once, component by component. All further operations use the folder that
 * was found (/proc/self/fd).
 *
 * A link is followed only if it and its folder belong to root or to this user. Otherwise another user would decide
 * where root writes. systemd-tmpfiles refuses the same (tmpfiles.d(5), "unsafe path transition"), and the kernel in
 * sticky folders (fs.protected_symlinks, proc(5)).
 *
 * @module
 */

import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from "./constants.ts";

/** The maximum number of links on one path, as in the kernel (MAXSYMLINKS, linux/namei.h). */
const MAX_LINKS = 40;

/** A link that another user could have made to redirect a write. */
export class ForeignLinkError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "ForeignLinkError";

  /** @param path The link. */
  constructor(readonly path: string, uid: number | null) {
    super(`${path} is a link of another user's (uid ${uid}), which is not followed`);
  }
}

const EXCHANGED = "another program is changing it";

const SYMBOLS = {
  open: { parameters: ["buffer", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

let symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/** Not in libc.ts, because Deno compiles a call for each symbol, and programs that need these need no others. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/** A file, folder or link, held by its descriptor (O_PATH), even if its name changes. */
export class Held implements Disposable {
  readonly #fd: number;

  /** @throws {Error} If there is nothing, or `flags` refuse it. */
  constructor(path: string, flags: number) {
    this.#fd = library().open(new TextEncoder().encode(`${path}\0`), flags | O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (this.#fd < 0) throw new Error(EXCHANGED);
  }

  /** A path that always refers to it. */
  get path(): string {
    return `/proc/self/fd/${this.#fd}`;
  }

  /** Its owner, mode and other metadata. */
  get info(): Deno.FileInfo {
    return Deno.statSync(this.path);
  }

  [Symbol.dispose](): void {
    library().close(this.#fd);
  }
}

/** Makes a missing folder of a path. */
export type MakeFolder = (above: Folder, name: string) => void;

/** A folder and its entries. */
export class Folder extends Held {
  private constructor(path: string) {
    super(path, O_DIRECTORY);
  }

  /**
   * Opens a folder.
   *
   * @param make Makes missing folders.
   * @throws {ForeignLinkError} If the path contains a link of another user.
   * @throws {Error} What Deno throws for such a path.
   */
  static open(path: string, make?: MakeFolder): Folder {
    return Folder.#walk(path, "folder", make).folder;
  }

  /**
   * Resolves a path to a folder and a name in it, which may not exist.
   *
   * @param follow Whether to follow a link of that name.
   * @throws As `open`.
   */
  static locate(path: string, follow: boolean): { folder: Folder; name: string } {
    return Folder.#walk(path, follow ? "target" : "name");
  }

  /** The path of an entry. Do not continue a path from it, because the entry may be a link. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Opens an entry, without following a link. */
  hold(name: string): Held {
    return new Held(this.at(name), 0);
  }

  /**
   * Opens a file that was just made here, to change its mode and owner.
   *
   * @throws {Error} If the folder's owner has replaced it, because the other file must not be changed.
   */
  holdNew(name: string, file: Deno.FsFile): Held {
    const held = this.hold(name);
    const [{ dev, ino }, made] = [held.info, file.statSync()];
    if (dev === made.dev && ino === made.ino) return held;
    held[Symbol.dispose]();
    throw new Error(EXCHANGED);
  }

  /** Another descriptor of the same folder. */
  again(): Folder {
    return new Folder(this.at("."));
  }

  /** @param last The kind of the last component: a folder to open, a name to follow if it is a link, or only a name. */
  static #walk(
    path: string,
    last: "folder" | "target" | "name",
    make?: MakeFolder,
  ): { folder: Folder; name: string } {
    let folder = new Folder(path.startsWith("/") ? "/" : ".");
    const enter = (path: string) => {
      const entered = new Folder(path);
      folder[Symbol.dispose]();
      folder = entered;
    };
    try {
      const ahead = components(path);
      for (let links = 0; ahead.length > 0;) {
        const name = ahead.pop()!;
        const isLast = ahead.length === 0 && last !== "folder";
        if (isLast && last === "name") return { folder, name };
        const info = look(folder.at(name));
        if (info?.isSymlink) {
          refuseForeign(folder, name, info);
          if (++links > MAX_LINKS) throw new Error("Too many levels of symbolic links");
          const target = Deno.readLinkSync(folder.at(name));
          if (target.startsWith("/")) enter("/");
          ahead.push(...components(target));
          continue;
        }
        if (isLast) return { folder, name };
        if (info === undefined && make) make(folder, name);
        // Throws Deno's own error if it is missing or not a folder.
        else if (!info?.isDirectory) Deno.statSync(`${folder.at(name)}/.`);
        enter(folder.at(name));
      }
      return { folder, name: "." };
    } catch (error) {
      folder[Symbol.dispose]();
      throw error;
    }
  }
}

/** The components of a path, the first one last. */
function components(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".").reverse();
}

function refuseForeign(folder: Folder, name: string, link: Deno.FileInfo): void {
  const whose = [link, folder.info].find(({ uid }) => !isTrusted(uid));
  if (whose === undefined) return;
  const above = Deno.readLinkSync(folder.path).replace(/\/$/, "");
  throw new ForeignLinkError(`${above}/${name}`, whose.uid);
}

/** The entry at a path, without following a link; undefined if there is none. */
function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/**
 * The trusted owners: root, this user, and the owner of the root folder, which in a user namespace may be root with an
 * unmapped number.
 */
function isTrusted(uid: number | null): boolean {
  return uid === 0 || uid === Deno.uid() || uid === Deno.statSync("/").uid;
}
