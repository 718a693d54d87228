/**
 * Makes the page: bundles the code with `deno bundle` and gives files names that change with their content. It runs
 * when wgd is built. If wgd runs from its sources, it runs at the first request for the page.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { constants, gzipSync } from "node:zlib";
import type { PageFiles } from "./files.ts";

const FOLDER = new URL("../page/", import.meta.url);
const ENTRY = "main.tsx";

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/**
 * Makes the page from its sources.
 *
 * @throws {Error} If a source has an error. The message is the bundler's.
 */
export async function buildPage(): Promise<PageFiles> {
  const files: Record<string, PageFiles[string]> = {};
  const names = new Map<string, string>();
  const add = (path: string, text: string) => {
    const type = TYPES[path === "/" ? "html" : path.slice(path.lastIndexOf(".") + 1)]!;
    const gzip = gzipSync(text, { level: constants.Z_BEST_COMPRESSION });
    files[path] = { type, gzip: Buffer.from(gzip).toString("base64") };
  };
  /** Adds a file whose name contains a hash of its content, so that browsers can cache it permanently. */
  const addHashed = (name: string, text: string) => {
    const dot = name.lastIndexOf(".");
    const hash = createHash("sha256").update(text).digest("base64url").slice(0, 10);
    const path = `/assets/${name.slice(0, dot)}.${hash}${name.slice(dot)}`;
    names.set(`/assets/${name}`, path);
    add(path, text);
  };

  let preloads = "";
  for (const [name, text] of await bundled()) {
    // The bundler's other modules have hashes in their names.
    if (name !== "main.js") {
      add(`/assets/${name}`, text);
      continue;
    }
    addHashed(name, text);
    // Browsers load its imports at once, not after they have parsed it.
    for (const [, imported] of text.matchAll(/\bfrom"\.\/([^"]+)"/g)) {
      preloads += `<link rel="modulepreload" href="/assets/${imported}">`;
    }
  }
  addHashed("style.css", minified(await source("style.css")));
  addHashed("icon.svg", await source("icon.svg"));
  const html = await source("index.html");
  const named = html.replace(/"(\/assets\/[^"]+)"/g, (_, name) => `"${names.get(name)}"`);
  add("/", named.replace("</head>", `${preloads}</head>`));
  return files;
}

async function source(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(name, FOLDER));
}

/** The code, as modules. Modules that are imported on demand are separate. */
async function bundled(): Promise<[name: string, text: string][]> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-page-" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["bundle", "--quiet", "--platform", "browser", "--minify", "--code-splitting", "--outdir", folder],
        ENTRY,
      ],
      cwd: fileURLToPath(FOLDER),
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    return await Promise.all(
      names.sort().map(async (name) =>
        [name, await Deno.readTextFile(`${folder}/${name}`)] as [string, string]
      ),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Removes comments and indentation. */
function minified(css: string): string {
  return css.replace(/\/\*.*?\*\//gs, "").replace(/\s*\n\s*/g, "");
}
