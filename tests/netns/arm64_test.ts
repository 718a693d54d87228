/**
 * wgd on arm64, emulated by QEMU on an x86-64 machine. System calls are those of this kernel; structures and
 * instructions are those of arm64. The executable for arm64 is run unchanged. A user namespace has its own table of the
 * programs that run executables (binfmt_misc, Linux 6.7 and later), so the machine's table does not change.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { testUnless } from "../skip.ts";
import { must, run } from "./lab/exec.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const TARGET = "aarch64-unknown-linux-gnu";
/** The folder with the cross compiler's C library. */
const LIBRARIES = "/usr/aarch64-linux-gnu";
const QEMU = "qemu-aarch64";
const PROGRAMS = [QEMU, "aarch64-linux-gnu-gcc"];

/**
 * Begins each script: arm64 programs run, `/run` and loopback are its own. `$arm` is wgd for arm64, `$x86` this machine's.
 * The C library is laid where arm64 has it, by an overlay of links: QEMU's own way to it (QEMU_LD_PREFIX) leads whoever
 * opens "/" elsewhere. QEMU signs pointers by an algorithm of its own, because ARM's takes it almost half of the processor
 * time of these tests.
 */
const PRELUDE = `
  table=/proc/sys/fs/binfmt_misc
  mount -t binfmt_misc none $table
  magic='\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00'
  mask='\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff'
  printf %s ":arm64:M::$magic:$mask:$(command -v ${QEMU}):" > $table/register
  mkdir -p $1/lib $1/cache
  ln -sfn ${LIBRARIES}/lib $1/lib/aarch64-linux-gnu
  ln -sfn ${LIBRARIES}/lib/ld-linux-aarch64.so.1 $1/lib/ld-linux-aarch64.so.1
  mount -t overlay overlay -o lowerdir=$1/lib:/usr/lib /usr/lib
  export DENO_DIR=\${DENO_DIR:-\${XDG_CACHE_HOME:-$HOME/.cache}/deno} XDG_CACHE_HOME=$1/cache
  export QEMU_CPU=max,pauth-impdef=on
  arm=$1/wgd-aarch64 x86=$2
  mount -t tmpfs none /run
  ip link set lo up
  umask 077
`;

/** Runs a script in an environment that runs arm64 programs. */
async function emulated(folder: string, script: string, ...args: string[]): Promise<string> {
  const namespaces = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
  ];
  const [program = ""] = wgdCommand();
  const command = ["sh", "-ec", PRELUDE + script, "sh", folder, program, ...args];
  return await must(["unshare", ...namespaces, ...command], { env: { NO_COLOR: "1" }, timeout: 600_000 });
}

/** Why arm64 programs cannot be run here, apart from missing packages. */
async function obstacle(): Promise<string | undefined> {
  if (Deno.build.target === TARGET) return "this machine is one: all other tests ran on it";
  if (Deno.uid() !== 0) return undefined;
  const mount =
    "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && test -w /proc/sys/fs/binfmt_misc/register";
  const { code } = await run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount]);
  return code === 0 ? undefined : "this kernel has no table of executables for a user namespace (Linux 6.7)";
}

const reason = await obstacle();

let made: string | undefined;

/** The folder of all tests. The first test makes the executable. */
async function folder(): Promise<string> {
  return made ??= await Deno.makeTempDir({ prefix: "wgd-arm64-" });
}

Deno.test.afterAll(async () => {
  if (made !== undefined) await Deno.remove(made, { recursive: true });
});

/** Declares a test with the arm64 executable. */
async function test(name: string, body: (folder: string) => Promise<void>): Promise<void> {
  // No package fixes that.
  if (reason !== undefined) return testUnless(name, { leftOut: reason }, () => {});
  await rootTest(name, { programs: PROGRAMS }, async () => await body(await folder()));
}

await test("deno task compile --all makes an executable for arm64 that runs on arm64, and checksums", async (folder) => {
  const compile = [
    "run",
    "--allow-all",
    "--quiet",
    "scripts/compile.ts",
    "--self-extracting",
    "--all",
  ];
  await must([
    "sh",
    "-c",
    'cd "$1"; shift; exec "$@"',
    "sh",
    ROOT,
    Deno.execPath(),
    ...compile,
    "--output",
    folder,
  ], {
    timeout: 300_000,
  });
  const sums = ["sh", "-ec", 'cd "$1"; ls; sha256sum --check SHA256SUMS', "sh", folder];
  equal(await must(sums), "SHA256SUMS\nwgd\nwgd-aarch64\nwgd: OK\nwgd-aarch64: OK\n");
  const output = await emulated(
    folder,
    `$arm --version
    echo dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo= | $arm pubkey
    $arm genkey`,
  );
  // RFC 7748, section 6.1.
  match(output, /^wgd \d\S*\nhSDwCYkwp1R0i33ctD73Wg2\/Og0mOBr066SpjqqbTmo=\n[A-Za-z0-9+/]{43}=\n$/);
});

await test("on arm64, offsets match its headers, and every primitive passes its known-answer tests", async (folder) => {
  const files = ["ffi/events", "wasm/wide", "protocol/crypto"];
  // The thousand iterations of RFC 7748 take ten seconds here.
  const known =
    "/headers|Epoll|TimerFd|§6.1: Bob|RFC 7693|draft|whitepaper §5|wireguard-go's vectors|isSound/";
  const output = await emulated(
    folder,
    `cd "$3"; shift 3
    export CC=aarch64-linux-gnu-gcc
    set -- --filter "${known}" "$@"
    flags=--experimental-wasm-wide-arithmetic
    "$XDG_CACHE_HOME"/wgd/*/wgd test --allow-all --no-check --v8-flags=$flags "$@" || true`,
    ROOT,
    ...files.map((file) => `tests/unit/${file}_test.ts`),
  );
  match(output, /offsets are those of this machine's headers[^\n]*\.\.\. ok/);
  match(output, /wide: dh\(\) and publicKey\(\) RFC 7748 §6\.1[^\n]*\.\.\. ok/);
  match(output, /\| 0 failed/);
});

await test("an interface on arm64 and one on x86-64 connect to each other", async (folder) => {
  const output = await emulated(
    folder,
    `ip netns add a; ip netns add b
    ip link add wire netns a type veth peer name wire netns b
    a() { ip netns exec a "$@"; }
    b() { ip netns exec b "$@"; }
    a ip address add 192.0.2.1/24 dev wire; a ip link set wire up
    b ip address add 192.0.2.2/24 dev wire; b ip link set wire up
    wg genkey > $1/a.key; $arm genkey > $1/b.key
    cat > $1/armed.conf <<EOF
[Interface]
PrivateKey = $(cat $1/b.key)
Address = 10.7.0.2/24, fd07::2/64
ListenPort = 51820
[Peer]
PublicKey = $(wg pubkey < $1/a.key)
AllowedIPs = 10.7.0.1/32, fd07::1/128
EOF
    b $arm quick up $1/armed.conf 2>&1
    a $x86 run wga
    a $x86 set wga private-key $1/a.key peer $(wg pubkey < $1/b.key) \\
      allowed-ips 10.7.0.2/32,fd07::2/128 endpoint 192.0.2.2:51820
    a ip address add 10.7.0.1/24 dev wga; a ip address add fd07::1/64 dev wga nodad; a ip link set wga up
    a ping -c 3 -W 20 10.7.0.2
    a ping -c 3 -W 20 fd07::2
    b iperf3 --server --one-off --daemon --pidfile $1/pid
    for try in 1 2 3 4 5 6 7 8 9 10; do
      a iperf3 --client 10.7.0.2 --bytes 1M --connect-timeout 20000 2>&1 && break || sleep 1
    done
    b $arm show --verbose armed
    b $arm quick down $1/armed.conf 2>&1
    b ip link show dev armed 2>&1 || echo gone`,
  );
  equal([...output.matchAll(/3 packets transmitted, 3 received/g)].length, 2, output);
  match(output, /iperf Done/);
  for (const feature of ["tun-tcp", "udp-gso", "udp-gro", "wide"]) {
    match(output, new RegExp(`  ${feature}: on`));
  }
  match(output, /latest handshake: /);
  match(output, /gone\n$/);
});
