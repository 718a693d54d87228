/**
 * The files of the page, in memory.
 *
 * @module
 */

/** A file: its type, and its content packed by gzip in base64. */
export interface PageFile {
  readonly type: string;
  readonly gzip: string;
}

/** All of them by path. `/` is the page itself; the others have names that change with their content. */
export type PageFiles = Readonly<Record<string, PageFile>>;
