/**
 * Passwords as Argon2id hashes in PHC strings, computed in a thread of their own.
 *
 * @module
 */

import { randomBytes, timingSafeEqual } from "node:crypto";
import { SHORTEST_PASSWORD } from "../page/password_rule.ts";
import type { HashAnswer, HashQuestion } from "./password_worker.ts";

/** What a hash costs: KiB of memory, and how often and by how many lanes it is filled (RFC 9106). */
export interface Costs {
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
}

/** The costs of new hashes: the first choice of OWASP's Password Storage Cheat Sheet. */
const COSTS: Costs = { memory: 19_456, passes: 2, lanes: 1 };
const SALT = 16;
const TAG = 32;
/** Bytes of UTF-8. A longer one is refused, never truncated. */
export const LONGEST_PASSWORD = 1_024;
/** The maximum number of waiting hashes. Each takes about 30 ms, so the last one waits two seconds. */
const QUEUE = 64;

/** The contents of a PHC string. */
interface Phc extends Costs {
  readonly salt: Uint8Array;
  readonly tag: Uint8Array;
}

const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{11,86})$/;

/** Too many passwords are being checked. */
export class BusyError extends Error {
  override name = "BusyError";
  constructor() {
    super("too many people are signing in at once; try again in a few seconds");
  }
}

/** Hashes and verifies passwords. */
export class Passwords implements Disposable {
  #worker: Worker | undefined;
  #waiting = new Map<number, PromiseWithResolvers<Uint8Array>>();
  #next = 0;
  readonly #costs: Costs;
  readonly #dummy: Phc;
  readonly #ready = Promise.withResolvers<void>();

  /** @param costs Costs of new hashes. Tests of other things have cheap ones. */
  constructor(costs: Costs = COSTS) {
    this.#costs = costs;
    this.#dummy = { ...costs, salt: randomBytes(SALT), tag: randomBytes(TAG) };
    this.#ready.promise.catch(() => {});
  }

  /** Loads the thread at the start, because later this process may no longer read the program's files. */
  static async start(): Promise<Passwords> {
    const passwords = new Passwords();
    passwords.#thread();
    await passwords.#ready.promise;
    return passwords;
  }

  /**
   * Hashes a new password.
   *
   * @returns `$argon2id$v=19$m=19456,t=2,p=1$…$…`
   * @throws {BusyError} If too many wait.
   */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT);
    const { memory, passes, lanes } = this.#costs;
    const tag = await this.#compute(password, { memory, passes, lanes, salt, tag: new Uint8Array(TAG) });
    return `$argon2id$v=19$m=${memory},t=${passes},p=${lanes}$${base64(salt)}$${base64(tag)}`;
  }

  /**
   * Compares a password with a hash. Without a hash (no such user) it takes the same time and returns false, so that
   * the time does not reveal which names exist.
   *
   * @throws {BusyError} If too many wait.
   */
  async verify(password: string, hash: string | undefined): Promise<boolean> {
    const wanted = hash === undefined ? undefined : parse(hash);
    const tag = await this.#compute(password, wanted ?? this.#dummy);
    return wanted !== undefined && tag.length === wanted.tag.length && timingSafeEqual(tag, wanted.tag);
  }

  /** Ends the thread. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(new Error("the server is stopping"));
    this.#waiting.clear();
  }

  #compute(password: string, { tag, ...rest }: Phc): Promise<Uint8Array> {
    const bytes = new TextEncoder().encode(password.normalize("NFC"));
    if (bytes.length > LONGEST_PASSWORD) throw new RangeError("the password is too long");
    if (this.#waiting.size >= QUEUE) throw new BusyError();
    const id = this.#next++;
    const answer = Promise.withResolvers<Uint8Array>();
    this.#waiting.set(id, answer);
    const question: HashQuestion = { id, password: bytes, ...rest, length: tag.length };
    this.#thread().postMessage(question, [bytes.buffer]);
    return answer.promise;
  }

  #thread(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL("./password_worker.ts", import.meta.url), {
      type: "module",
      name: "wgd passwords",
    });
    worker.onmessage = ({ data }: MessageEvent<HashAnswer | "ready">) => {
      if (data === "ready") return this.#ready.resolve();
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("tag" in data) waiting?.resolve(data.tag);
      else waiting?.reject(new RangeError(data.error));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#worker = undefined;
      worker.terminate();
      this.#ready.reject(new Error(event.message));
      for (const { reject } of this.#waiting.values()) reject(new Error(event.message));
      this.#waiting.clear();
    };
    return this.#worker = worker;
  }
}

/** @throws {SyntaxError} If it is not a PHC string of Argon2id. */
function parse(hash: string): Phc {
  const match = PHC.exec(hash);
  if (!match) throw new SyntaxError("a stored password hash is not an Argon2id PHC string");
  const [, memory, passes, lanes, salt, tag] = match;
  return {
    memory: Number(memory),
    passes: Number(passes),
    lanes: Number(lanes),
    salt: Uint8Array.fromBase64(salt!),
    tag: Uint8Array.fromBase64(tag!),
  };
}

/** The PHC format leaves out the padding. */
function base64(bytes: Uint8Array): string {
  return bytes.toBase64({ omitPadding: true });
}

/**
 * Why a new password is not accepted.
 *
 * @param names Names of the user, which are not accepted.
 * @returns Undefined if it is accepted.
 */
export function flawOf(password: string, names: readonly string[]): string | undefined {
  const length = [...password].length;
  if (length < SHORTEST_PASSWORD) return `a password has at least ${SHORTEST_PASSWORD} characters`;
  if (new TextEncoder().encode(password.normalize("NFC")).length > LONGEST_PASSWORD) {
    return `a password has at most ${LONGEST_PASSWORD} bytes`;
  }
  if (new Set(password).size < 4) return "a password has at least four different characters";
  const lower = password.toLowerCase();
  if (names.some((name) => name.toLowerCase() === lower)) return "the password is the user's name";
  return undefined;
}
