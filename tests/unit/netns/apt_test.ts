import { equal, match } from "node:assert/strict";
import { aptGet } from "../../netns/peers/apt.ts";
import { findProgram } from "../../netns/peers/cache.ts";
import { testUnless } from "../../skip.ts";

/** Locks a file as apt does (F_SETLK with `struct flock` of 64-bit Linux), until its standard input ends. */
const HOLDER = `use Fcntl; $| = 1; open(my $file, ">", $ARGV[0]) or die;
my $lock = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0); fcntl($file, F_SETLK, $lock) or die; print "locked\\n"; <STDIN>;`;

const reason = findProgram("apt-get") ? undefined : { leftOut: "this is not Debian" };

testUnless("aptGet() waits while another program has apt's lock, and reports this once", reason, async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/lists/partial`, { recursive: true });
  const holder = new Deno.Command("perl", {
    args: ["-e", HOLDER, `${folder}/lists/lock`],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const said: string[] = [];
  const { error } = console;
  try {
    for await (const _ of holder.stdout) break;
    console.error = (text: string) => {
      said.push(text);
      // apt-get was refused at least once.
      void holder.stdin.close();
    };
    // No sources: there is nothing to fetch.
    const options = [`Dir::State=${folder}`, `Dir::Cache=${folder}`, "Dir::Etc::sourcelist=/dev/null"];
    const words = [...options, "Dir::Etc::sourceparts=/dev/null"].flatMap((option) => ["-o", option]);
    await aptGet([...words, "update"]);
  } finally {
    console.error = error;
    await holder.status;
    await Deno.remove(folder, { recursive: true });
  }
  equal(said.length, 1, said.join("\n"));
  match(said[0]!, /waiting for another program, up to \d+ minutes: Could not get lock .*\/lists\/lock/);
});
