/**
 * Names looked up through the tunnel: by the DNS servers of its configuration, with its search domains.
 *
 * @module
 */

import {
  type DnsAnswer,
  DnsFormatError,
  type DnsRecord,
  isDnsName,
  normalName,
  readAnswer,
  type RecordType,
  writeQuestion,
} from "./message.ts";

/** How questions get to a server. */
export interface DnsTransport {
  /**
   * Sends a question in a datagram, and hands over what comes back from that server to that port, as long as `taken`
   * does not say that it was the answer.
   *
   * @throws {DOMException} If it was aborted.
   */
  datagram(
    server: string,
    question: Uint8Array,
    taken: (answer: Uint8Array) => boolean,
    signal: AbortSignal,
  ): Promise<void>;
  /** Sends a question over TCP. @returns The answer. */
  stream(server: string, question: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
  /** 16 random bits. */
  random(): number;
  /** Milliseconds on a clock that never goes back. */
  now(): number;
}

/** Servers and domains to look in. */
export interface ResolverOptions {
  /** Addresses of servers, the first preferred. */
  readonly servers: readonly string[];
  /** Domains that a name without a dot is tried in. */
  readonly search: readonly string[];
}

/** There is no such name or record, or no server said anything. */
export class DnsError extends Error {
  override readonly name = "DnsError";

  /** @param kind `not found` is an answer, `failed` is none. */
  constructor(readonly kind: "not found" | "failed", message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Milliseconds that a server has for an answer, in each round of trying all servers. */
const TIMEOUTS = [1_000, 2_000, 4_000];
/** Names that an alias may stand for in turn. */
const MAX_ALIASES = 16;
const MAX_CACHED = 1_024;
/** Seconds for which it is kept that there is no such name (RFC 2308 §5 allows hours). */
const MAX_NEGATIVE = 60;

const NO_ERROR = 0;
const NO_SUCH_NAME = 3;

interface Cached {
  readonly until: number;
  readonly answer: DnsAnswer;
}

/** Looks names up, and remembers them for as long as their servers allow. */
export class Resolver {
  readonly #transport: DnsTransport;
  readonly #options: ResolverOptions;
  /** By type and name, the least recently asked for first. */
  readonly #cache = new Map<string, Cached>();
  /** Questions that are on the way: whoever asks the same waits for the same answer. */
  readonly #asked = new Map<string, Promise<DnsAnswer>>();

  constructor(transport: DnsTransport, options: ResolverOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /**
   * Looks a name up. An alias is followed.
   *
   * @param name With a last dot it is tried as it is, without search domains.
   * @returns One record at least.
   * @throws {DnsError} If there is none.
   */
  async resolve(name: string, type: RecordType, signal?: AbortSignal): Promise<DnsRecord[]> {
    if (this.#options.servers.length === 0) {
      throw new DnsError("failed", `"${name}" cannot be looked up: the configuration has no DNS server`);
    }
    if (!isDnsName(name)) throw new DnsError("not found", `"${name}" is no name`);
    for (const candidate of this.#candidates(name)) {
      const answer = await abortable(this.#ask(candidate, type), signal);
      const records = follow(answer.records, candidate, type);
      if (records.length > 0) return records;
      if (answer.code !== NO_ERROR && answer.code !== NO_SUCH_NAME) {
        throw new DnsError(
          "failed",
          `"${candidate}" cannot be looked up: the DNS server answered with code ${answer.code}`,
        );
      }
    }
    throw new DnsError("not found", `"${name}" has no record of type ${type}`);
  }

  /** A name without a dot is tried in the search domains first, others behind themselves, as resolv.conf has it (ndots 1). */
  #candidates(name: string): string[] {
    if (name.endsWith(".")) return [normalName(name)];
    const own = normalName(name);
    const searched = this.#options.search.map((domain) => `${own}.${normalName(domain)}`).filter(isDnsName);
    return own.includes(".") ? [own, ...searched] : [...searched, own];
  }

  async #ask(name: string, type: RecordType): Promise<DnsAnswer> {
    const key = `${type} ${name}`;
    const cached = this.#cache.get(key);
    if (cached && cached.until > this.#transport.now()) {
      this.#cache.delete(key);
      this.#cache.set(key, cached);
      return cached.answer;
    }
    let answer = this.#asked.get(key);
    if (!answer) {
      answer = this.#askServers(name, type).finally(() => this.#asked.delete(key));
      this.#asked.set(key, answer);
    }
    return await answer;
  }

  async #askServers(name: string, type: RecordType): Promise<DnsAnswer> {
    let cause: unknown;
    let refused: DnsAnswer | undefined;
    for (const timeout of TIMEOUTS) {
      for (const server of this.#options.servers) {
        try {
          const answer = await this.#askServer(server, name, type, AbortSignal.timeout(timeout));
          if (answer.code === NO_ERROR || answer.code === NO_SUCH_NAME) {
            this.#remember(`${type} ${name}`, answer);
            return answer;
          }
          // Another server may know.
          refused = answer;
        } catch (error) {
          cause = error;
        }
      }
      if (refused) return refused;
    }
    const servers = this.#options.servers.join(", ");
    throw new DnsError("failed", `"${name}" cannot be looked up: no answer from ${servers}`, { cause });
  }

  async #askServer(server: string, name: string, type: RecordType, signal: AbortSignal): Promise<DnsAnswer> {
    const asked = { id: this.#transport.random() & 0xffff, name, type };
    const question = writeQuestion(asked.id, name, type);
    let answer: DnsAnswer | null = null;
    // What is forged or damaged is passed over, and the right answer waited for (RFC 5452 §3).
    await this.#transport.datagram(server, question, (bytes) => {
      try {
        answer = readAnswer(bytes, asked);
      } catch (error) {
        if (!(error instanceof DnsFormatError)) throw error;
      }
      return answer !== null;
    }, signal);
    if (answer !== null && !(answer as DnsAnswer).truncated) return answer;
    answer = readAnswer(await this.#transport.stream(server, question, signal), asked);
    if (answer === null) throw new DnsFormatError(`${server} answered another question`);
    return answer;
  }

  #remember(key: string, answer: DnsAnswer): void {
    const ttl = answer.records.length > 0
      ? Math.min(...answer.records.map((record) => record.ttl))
      : Math.min(answer.negativeTtl, MAX_NEGATIVE);
    if (ttl <= 0) return;
    if (this.#cache.size >= MAX_CACHED) this.#cache.delete(this.#cache.keys().next().value!);
    this.#cache.set(key, { until: this.#transport.now() + 1_000 * ttl, answer });
  }
}

/** The records of a name, or of what it is an alias of. */
function follow(records: readonly DnsRecord[], name: string, type: RecordType): DnsRecord[] {
  for (let i = 0; i <= MAX_ALIASES; i++) {
    const found = records.filter((record) => record.name === name && record.type === type);
    if (found.length > 0 || type === "CNAME") return found;
    const alias = records.find((record) => record.name === name && record.type === "CNAME");
    if (!alias) return [];
    name = alias.data as string;
  }
  return [];
}

/** Waits no longer than somebody wants; what is waited for goes on for others. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
