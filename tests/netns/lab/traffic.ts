/**
 * Traffic: pings, packets of every size, TCP, and captures of what is on the wire.
 *
 * @module
 */

import { eventually, must, type RunOptions } from "./exec.ts";
import { Host, type Machine, type Process } from "./host.ts";

/** The result of a series of pings. */
export interface Pings {
  readonly sent: number;
  readonly answered: number;
}

/**
 * Pings.
 *
 * @param from Who asks.
 * @param target Address of whom.
 * @param options How many, of how many bytes, how far apart in seconds, how long to wait for the last answer, and words
 * for `ping` itself.
 * @returns How many were asked for, and how many of those were answered.
 */
export async function ping(
  from: Machine,
  target: string,
  options: { count?: number; size?: number; every?: number; wait?: number; words?: readonly string[] } = {},
): Promise<Pings> {
  const { count = 10, size = 56, every = 0.02, wait = 2, words = [] } = options;
  const numbers = ["-c", count, "-s", size, "-i", every, "-W", wait].map(String);
  if (from instanceof Host && count > 1) {
    // Once something has answered, -W counts no more: iputils waits two round trips, 2 ms maybe, for the last answer, and
    // calls it lost. With a deadline it goes on until it has as many answers, or the time is over; then the first count.
    numbers.push("-w", String(Math.ceil(count * every + wait)));
    const { stdout, stderr } = await from.run(["ping", ...numbers, ...words, target]);
    if (!stdout.includes("packets transmitted")) {
      throw new Error(`${from.name} cannot ping ${target}: ${stderr}`);
    }
    const answered = new Set(
      [...stdout.matchAll(/ icmp_seq=(\d+) ttl=/g)].map(([, number]) => Number(number)),
    );
    return { sent: count, answered: [...answered].filter((number) => number <= count).length };
  }
  const { stdout, stderr } = await from.run(["ping", "-q", ...numbers, ...words, target]);
  const match = /(\d+) packets transmitted, (\d+)(?: packets)? received/.exec(stdout);
  if (!match) throw new Error(`${from.name} cannot ping ${target}: ${stderr || stdout}`);
  return { sent: Number(match[1]), answered: Number(match[2]) };
}

/** Pings until it is stopped. */
export class PingStream {
  private constructor(private readonly process: Process) {}

  /**
   * @param from Who asks.
   * @param target Address of whom.
   * @param every Seconds from one ping to the next.
   */
  static async start(from: Host, target: string, every = 0.02): Promise<PingStream> {
    const stream = new PingStream(await from.start(["ping", "-i", String(every), "-w", "300", target]));
    await eventually("the first answer", () => stream.#answered().size > 0);
    return stream;
  }

  /**
   * Stops once another answer has come.
   *
   * @returns How many answers there were, and the numbers of the pings without one. Those that were under way at the end,
   * which `ping` itself counts as lost, are not among them.
   */
  async stop(): Promise<{ answered: number; lost: number[] }> {
    const before = this.#answered().size;
    await eventually("another answer", () => this.#answered().size > before);
    await this.process.signal("INT");
    await this.process.ended;
    const answered = this.#answered();
    const last = [...answered].reduce((a, b) => Math.max(a, b), 0);
    const lost = Array.from({ length: last }, (_, i) => i + 1).filter((number) => !answered.has(number));
    return { answered: answered.size, lost };
  }

  #answered(): Set<number> {
    return new Set(
      [...this.process.output().matchAll(/ icmp_seq=(\d+) ttl=/g)].map(([, number]) => Number(number)),
    );
  }
}

/**
 * Pings until an answer comes.
 *
 * @param from Who asks.
 * @param target Address of whom.
 * @param within Milliseconds to try at most.
 * @returns Milliseconds until the answer.
 */
export async function pingUntilAnswered(from: Machine, target: string, within = 10_000): Promise<number> {
  const start = performance.now();
  await eventually(
    `an answer to ${from.name} from ${target}`,
    async () => (await ping(from, target, { count: 1, wait: 1 })).answered > 0,
    { within, every: 50 },
  );
  return performance.now() - start;
}

/**
 * Sends an ICMP echo of every size and checks that each comes back as it was.
 *
 * @param from Who asks.
 * @param target Address of whom, of either family.
 * @param mtu Size of the largest packet, IP header included.
 * @param step From one size to the next.
 * @returns How many sizes there were.
 * @throws {Error} With the sizes that were lost or damaged.
 */
export async function sweep(from: Host, target: string, mtu: number, step = 1): Promise<number> {
  const program = new URL("./sweep.ts", import.meta.url).pathname;
  const command = [
    Deno.execPath(),
    "run",
    "--no-config",
    "--no-lock",
    "--allow-ffi",
    program,
    target,
    String(mtu),
    String(step),
  ];
  return Number(await must(from.enter(command), { timeout: 60_000 }));
}

/** How to run TCP or UDP through iperf3. */
export interface Flow {
  readonly seconds?: number;
  /** Bytes to carry, however long that takes, in place of seconds. */
  readonly amount?: number;
  readonly udp?: boolean;
  /** Bytes of a datagram's payload; iperf3 chooses by default. */
  readonly size?: number | undefined;
  /** Bits per second, as iperf3 writes it: "5M"; UDP without one goes as fast as it can. */
  readonly rate?: string;
  readonly streams?: number;
  /** Data go from server to client. */
  readonly reverse?: boolean;
  /** Data go both ways at once. */
  readonly both?: boolean;
  /** Called when the client has been started. */
  readonly meanwhile?: () => Promise<void>;
}

/** The result of a flow. */
export interface Flowed {
  /** Bits per second that arrived. */
  readonly rate: number;
  /** Bytes that arrived. */
  readonly bytes: number;
  /** The part of the datagrams that were lost. */
  readonly lost: number;
  /** TCP segments that were sent again. */
  readonly resent: number;
  /** Bytes that arrived in each tenth of a second. */
  readonly tenths: readonly number[];
}

/**
 * Runs iperf3 from one machine to another.
 *
 * @param client Who connects.
 * @param server Who listens; it may be the kernel's guest.
 * @param address The server's address.
 * @throws {Error} If the connection is lost or nothing arrives.
 */
export async function flow(client: Host, server: Machine, address: string, how: Flow = {}): Promise<Flowed> {
  const {
    amount,
    seconds = amount === undefined ? 1 : 60,
    udp = false,
    rate = udp ? "0" : undefined,
    size,
    streams = 1,
    reverse = false,
  } = how;
  const { both = false, meanwhile } = how;
  const limit = { timeout: (seconds + 30) * 1000 };
  const listening = server.run(["iperf3", "-s", "-1", "-J", "-p", "5201"], limit);
  const length = amount === undefined ? ["-t", String(seconds)] : ["-n", String(amount)];
  const options = ["-J", "-i", "0.1", ...length, "-P", String(streams), "-p", "5201"];
  if (udp) options.push("-u");
  if (rate) options.push("-b", rate);
  if (size) options.push("-l", String(size));
  if (reverse) options.push("-R");
  if (both) options.push("--bidir");
  const run = () => client.run(["iperf3", "-c", address, ...options], limit);
  const side = meanwhile ? (async () => await meanwhile())() : undefined;
  side?.catch(() => {});
  let text = "";
  // The server needs a moment until it listens.
  const report = await eventually(`iperf3 from ${client.name} to ${address}`, async () => {
    const finished = await run();
    text = finished.stdout || finished.stderr;
    const answer = parse(finished.stdout);
    return answer?.error?.includes("Connection refused") ? undefined : answer ?? {};
  }, { within: (seconds + 30) * 1000, every: 50 });
  await listening;
  await side;
  const { end } = report;
  const sum = end?.sum_received ?? end?.sum;
  if (report.error || !end || !sum) {
    throw new Error(`iperf3 from ${client.name} to ${address}: ${report.error ?? text.slice(-500)}`);
  }
  return {
    rate: sum.bits_per_second + (end.sum_received_bidir_reverse?.bits_per_second ?? 0),
    bytes: sum.bytes + (end.sum_received_bidir_reverse?.bytes ?? 0),
    lost: (sum.lost_percent ?? 0) / 100,
    resent: (end.sum_sent?.retransmits ?? 0) + (end.sum_sent_bidir_reverse?.retransmits ?? 0),
    tenths: report.intervals?.map((interval) => interval.sum.bytes) ?? [],
  };
}

interface Report {
  error?: string;
  intervals?: { sum: { bytes: number } }[];
  end?: {
    sum?: Sum;
    sum_sent?: Sum;
    sum_received?: Sum;
    sum_sent_bidir_reverse?: Sum;
    sum_received_bidir_reverse?: Sum;
  };
}
interface Sum {
  bytes: number;
  bits_per_second: number;
  lost_percent?: number;
  retransmits?: number;
}

function parse(text: string): Report | undefined {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return undefined;
  }
}

/** A capture that runs until it is closed. */
export class Capture {
  private constructor(readonly file: string, readonly process: Process, readonly host: Host) {}

  /** Starts to record an interface, whole packets, into a file that tcpdump and tshark read. */
  static async start(host: Host, name: string, file: string, filter = "udp"): Promise<Capture> {
    const process = await host.start([
      "tcpdump",
      "-i",
      name,
      "-s",
      "0",
      "-U",
      "--immediate-mode",
      "-Z",
      "root",
      "-w",
      file,
      ...filter.split(" "),
    ]);
    await eventually(`tcpdump on ${name}`, () => process.output().includes("listening on"));
    return new Capture(file, process, host);
  }

  /** Ends it. The file then contains every packet that passed before. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#drain();
    await this.process.signal("TERM");
    await this.process.ended;
  }

  /**
   * Waits until tcpdump has written all that the kernel has received for it. On a busy machine it may be far behind, and
   * at its end it drops what it has not read.
   */
  async #drain(): Promise<void> {
    let [last, unchanged] = ["", 0];
    await eventually("tcpdump to read all packets", async () => {
      const { counts: [captured, received, dropped], text } = await this.#report();
      unchanged = text === last ? unchanged + 1 : 0;
      last = text;
      // A packet that came before tcpdump had set its filter may count as received and is never captured.
      return captured + dropped >= received || unchanged > 20;
    });
  }

  /** Asks tcpdump for its counts: packets captured, received by the filter, and dropped by the kernel. */
  async #report(): Promise<{ counts: [number, number, number]; text: string }> {
    const before = this.process.output().length;
    await this.process.signal("USR1");
    return await eventually("the counts of tcpdump", () => {
      const text = this.process.output().slice(before);
      const match = /(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped/.exec(
        text,
      );
      return match && { counts: [Number(match[1]), Number(match[2]), Number(match[3])], text };
    });
  }
}

/**
 * Reads a capture with tshark.
 *
 * @param file The capture.
 * @param fields Names of fields.
 * @param words More for tshark: a display filter, keys.
 * @returns A row per packet, a column per field.
 */
export async function dissect(
  file: string,
  fields: readonly string[],
  words: readonly string[] = [],
  options: RunOptions = {},
): Promise<string[][]> {
  const columns = fields.flatMap((field) => ["-e", field]);
  const text = await must(["tshark", "-r", file, "-T", "fields", ...columns, ...words], options);
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => line.split("\t"));
}
