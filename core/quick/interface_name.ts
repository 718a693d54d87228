/**
 * Names of interfaces, as wg-quick takes them: by themselves, or as those of files.
 *
 * @module
 */

/** Whether a word is the name of an interface, and no file. */
export function isInterfaceName(word: string): boolean {
  return /^[a-zA-Z0-9_=+.-]{1,15}$/.test(word);
}

/** The interface that a file is for; undefined if its name does not end in an interface's and `.conf`. */
export function nameOfFile(path: string): string | undefined {
  return /(?:^|\/)([a-zA-Z0-9_=+.-]{1,15})\.conf$/.exec(path)?.[1];
}

/** The interface that a target means: its file may be gone. */
export function nameOf(target: string): string | undefined {
  return nameOfFile(target) ?? (isInterfaceName(target) ? target : undefined);
}
