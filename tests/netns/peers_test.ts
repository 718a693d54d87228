/**
 * How tests get what they need.
 *
 * @module
 */

import { ok } from "node:assert/strict";
import { aptGet } from "./peers/apt.ts";
import { rootTest } from "./lab/rooted.ts";

/** Takes one of apt's locks, says so, and keeps it until its input ends. (They are locks of fcntl: util-linux has none.) */
const HOLD = `
use Fcntl;
open(my $file, ">", $ARGV[0]) or die;
my $whole = pack("s s x4 q q i x4", F_WRLCK, 0, 0, 0, 0);
fcntl($file, F_SETLK, $whole) or die;
$| = 1; print "locked\\n"; <STDIN>`;

for (
  const [what, lock, command] of [
    ["installs packages", "dpkg/lock-frontend", ["install", "tested"]],
    ["updates its lists", "lists/lock", ["update"]],
    ["downloads packages", "cache/archives/lock", ["clean"]],
  ] as const
) {
  await rootTest(`apt-get waits for another process that ${what}`, { programs: ["perl"] }, async () => {
    // An apt of our own, to which one package is known and no place to take others from.
    const folder = await Deno.makeTempDir();
    for (const name of ["dpkg", "lists/partial", "cache/archives/partial"]) {
      await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    }
    const status =
      "Package: tested\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nMaintainer: us\n" +
      "Description: none\n";
    await Deno.writeTextFile(`${folder}/dpkg/status`, status);
    await Deno.writeTextFile(
      `${folder}/apt.conf`,
      `Dir::State "${folder}"; Dir::State::status "${folder}/dpkg/status"; Dir::Cache "${folder}/cache";
       Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "/dev/null"; APT::Sandbox::User "root";`,
    );
    const holder = new Deno.Command("perl", {
      args: ["-e", HOLD, `${folder}/${lock}`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    await holder.stdout.getReader().read();
    Deno.env.set("APT_CONFIG", `${folder}/apt.conf`);
    try {
      let released = false;
      setTimeout(async () => {
        released = true;
        await holder.stdin.close();
      }, 1_500);
      await aptGet(command);
      ok(released, "apt-get waits for the lock");
    } finally {
      Deno.env.delete("APT_CONFIG");
      await holder.status;
      await Deno.remove(folder, { recursive: true });
    }
  });
}
