/**
 * Looks names up through the tunnel, with the DNS servers and search domains of its configuration.
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

/** Sends questions to a server. */
export interface DnsTransport {
  /**
   * Sends a question in a datagram and passes each datagram that the server sends back to `taken`, until that returns true.
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

/** DNS servers and search domains. */
export interface ResolverOptions {
  /** Addresses of servers, the first preferred. */
  readonly servers: readonly string[];
  /** Search domains, which are tried for a name without a dot. */
  readonly search: readonly string[];
}

/** There is no such name or record, or no server answered. */
export class DnsError extends Error {
  override readonly name = "DnsError";

  /** @param kind `not found` if a server reported this, `failed` if no server answered. */
  constructor(readonly kind: "not found" | "failed", message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Milliseconds that each server has to answer, in each round of trying all servers. */
const TIMEOUTS = [1_000, 2_000, 4_000];
/** The longest chain of aliases. */
const MAX_ALIASES = 16;
const MAX_CACHED = 1_024;
/** Seconds for which the absence of a name is cached at most (RFC 2308 §5 allows hours). */
const MAX_NEGATIVE = 60;

const NO_ERROR = 0;
const NO_SUCH_NAME = 3;

interface Cached {
  readonly until: number;
  readonly answer: DnsAnswer;
}

/** Looks names up and caches the answers for as long as the servers allow. */
export class Resolver {
  readonly #transport: DnsTransport;
  readonly #options: ResolverOptions;
  /** By type and name, the least recently used first. */
  readonly #cache = new Map<string, Cached>();
  /** Pending questions. The same question is sent only once. */
  readonly #asked = new Map<string, Promise<DnsAnswer>>();

  constructor(transport: DnsTransport, options: ResolverOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  /**
   * Looks a name up. An alias is followed.
   *
   * @param name With a final dot, search domains are not used.
   * @returns One record at least.
   * @throws {DnsError} If there is none.
   */
  async resolve(name: string, type: RecordType, signal?: AbortSignal): Promise<DnsRecord[]> {
    if (this.#options.servers.length === 0) {
      throw new DnsError("failed", `"${name}" cannot be looked up: the configuration has no DNS server`);
    }
    if (!isDnsName(name)) throw new DnsError("not found", `"${name}" is not a valid host name`);
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

  /** A name without a dot is tried in the search domains first, and other names last, as with `ndots:1` in resolv.conf. */
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
          // Try the next server.
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
    // Forged and damaged answers are ignored; the right one may still come (RFC 5452 §3).
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

/** The records of a name, or of the name that it is an alias of. */
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

/** Rejects when the signal is aborted. The lookup continues for other callers. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
