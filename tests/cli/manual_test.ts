/**
 * The manual pages, checked by readers of roff: mandoc and groff.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { manualPages } from "../../cli/manual/manual.ts";
import { must, run } from "../netns/lab/exec.ts";
import { whyNoPrograms } from "../netns/peers/mod.ts";
import { testUnless } from "../skip.ts";

async function readerTest(
  program: string,
  body: (folder: string, files: string[]) => Promise<void>,
): Promise<void> {
  const name = `${program} has nothing to say of the manual pages`;
  testUnless(name, await whyNoPrograms(program), async () => {
    const folder = await Deno.makeTempDir();
    try {
      const pages = [...manualPages("1.2.3")];
      for (const { file, roff } of pages) await Deno.writeTextFile(`${folder}/${file}`, roff);
      await body(folder, pages.map(({ file }) => `${folder}/${file}`));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

await readerTest("mandoc", async (folder, files) => {
  const { code, stdout, stderr } = await run(["mandoc", "-Tlint", ...files]);
  equal(stdout + stderr, "");
  equal(code, 0);
  const text = (await must(["mandoc", "-Tascii", `${folder}/wgd-quick.8`])).replace(/.[\b]/g, "");
  match(text, /^NAME\n +wgd-quick - brings interfaces up and down$/m);
  match(text, /^SEE ALSO\n +wgd-config\(7\)/m);
});

await readerTest("groff", async (folder, files) => {
  for (const file of files) {
    const { code, stderr } = await run(["groff", "-man", "-ww", "-Tutf8", file]);
    equal(stderr, "", file);
    equal(code, 0);
  }
  const text = (await must(["groff", "-man", "-Tascii", "-P-c", `${folder}/wgd-show.8`])).replace(
    /.[\b]/g,
    "",
  );
  match(text, /^ +wgd show all --json$/m);
});
