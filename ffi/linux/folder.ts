/**
 * Folders as descriptors, for root at work in a folder of another user's, who renames, removes and lays links there
 * meanwhile. A path is looked up once, one component after the other; what is done after that is done in the folder that
 * was found (/proc/self/fd).
 *
 * A link is followed if it and the folder it is in belong to root or to us. Otherwise another user would decide where
 * root writes. systemd-tmpfiles refuses the same (tmpfiles.d(5), "unsafe path transition"), and the kernel in sticky
 * folders (fs.protected_symlinks, proc(5)).
 *
 * @module
 */

import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_PATH } from "./constants.ts";

/** Links on one path; as many as the kernel follows (MAXSYMLINKS, linux/namei.h). */
const MAX_LINKS = 40;

/** A link that another user could have laid to lead us anywhere. */
export class ForeignLinkError extends Error {
  /** Tells this kind of error from others. */
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

/** Apart from libc.ts: Deno compiles a call for each symbol, and programs that need these need no other. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/** A file, folder or link, held by its descriptor (O_PATH) whatever becomes of its name. */
export class Held implements Disposable {
  readonly #fd: number;

  /** @throws {Error} If there is nothing, or `flags` refuse it. */
  constructor(path: string, flags: number) {
    this.#fd = library().open(new TextEncoder().encode(`${path}\0`), flags | O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (this.#fd < 0) throw new Error(EXCHANGED);
  }

  /** A path that leads to it and to nothing else. */
  get path(): string {
    return `/proc/self/fd/${this.#fd}`;
  }

  /** Whose it is, what mode it has, and the like. */
  get info(): Deno.FileInfo {
    return Deno.statSync(this.path);
  }

  [Symbol.dispose](): void {
    library().close(this.#fd);
  }
}

/** Makes a folder that is missing on a path. */
export type MakeFolder = (above: Folder, name: string) => void;

/** A folder, and what is in it. */
export class Folder extends Held {
  private constructor(path: string) {
    super(path, O_DIRECTORY);
  }

  /**
   * Finds a folder.
   *
   * @param make Makes those that are missing.
   * @throws {ForeignLinkError} If another user's link is on the way.
   * @throws {Error} What Deno throws for such a path.
   */
  static open(path: string, make?: MakeFolder): Folder {
    return Folder.#walk(path, "folder", make).folder;
  }

  /**
   * Finds where a path leads: to a folder and a name in it, of which there may be nothing yet.
   *
   * @param follow Whether a link of that name is followed.
   * @throws As `open`.
   */
  static locate(path: string, follow: boolean): { folder: Folder; name: string } {
    return Folder.#walk(path, follow ? "target" : "name");
  }

  /** The path of what has a name in it. It is no path to go on from: the folder's owner may have laid a link. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }

  /** Holds what has a name in it, be it a link. */
  hold(name: string): Held {
    return new Held(this.at(name), 0);
  }

  /**
   * Holds a file that was just made here, to change its mode and owner.
   *
   * @throws {Error} If whoever owns the folder has put another one in its place by now, which shall get neither.
   */
  holdNew(name: string, file: Deno.FsFile): Held {
    const held = this.hold(name);
    const [{ dev, ino }, made] = [held.info, file.statSync()];
    if (dev === made.dev && ino === made.ino) return held;
    held[Symbol.dispose]();
    throw new Error(EXCHANGED);
  }

  /** The same folder, to be held for longer. */
  again(): Folder {
    return new Folder(this.at("."));
  }

  /** @param last What the last component is: a folder to open, a name to follow if it is a link, or a mere name. */
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
        // For Deno's own error, where it is missing or no folder.
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

/** What has a path, itself if it is a link; undefined if there is nothing. */
function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Root, we ourselves, and whoever has the root of the file system, which in a user namespace may be root without a number. */
function isTrusted(uid: number | null): boolean {
  return uid === 0 || uid === Deno.uid() || uid === Deno.statSync("/").uid;
}
