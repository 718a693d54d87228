/**
 * The files of the page, in memory.
 *
 * @module
 */

/** A file: its type, and its content compressed with gzip in base64. */
export interface PageFile {
  readonly type: string;
  readonly gzip: string;
}

/** All files by path. `/` is the page itself. The others have names that change with their content. */
export type PageFiles = Readonly<Record<string, PageFile>>;
