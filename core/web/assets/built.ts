/**
 * The built page. In the executable this module is replaced by one that contains the files (scripts/compile/bundle.ts).
 *
 * @module
 */

import { buildPage } from "./build.ts";
import type { PageFiles } from "./files.ts";

/** All files of the page. */
export function pageFiles(): Promise<PageFiles> {
  return buildPage();
}
