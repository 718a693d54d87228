/**
 * Requests to the server's API.
 *
 * @module
 */

import { isGateway, whenConnected } from "./connection.ts";

const BASE = "/api/v1/";

/** Milliseconds after which a GET request is given up. Requests that change something may take longer. */
const PATIENCE = 10_000;
/** Attempts to get a response to a request from a server that responds to other requests. */
const ATTEMPTS = 4;

/** An error response of the server. */
export class ApiError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "ApiError";

  constructor(
    /** The HTTP status; 0 if there was no response. */
    readonly status: number,
    /** The server's error code, such as `wrong-sign-in`. */
    readonly code: string,
    message: string,
    /** The field of the request that is wrong, if there is one. */
    readonly field?: string,
    /** What exactly is wrong with it: the code of a text, and its values. */
    readonly detail?: { readonly code: string; readonly values: Readonly<Record<string, string>> },
  ) {
    super(message);
  }
}

let signedOut = () => {};

/** Sets what happens when the server no longer knows the session. */
export function onSignedOut(handler: () => void): void {
  signedOut = handler;
}

let pending = () => {};

/** Sets what happens when a change is stored, but has not reached the interfaces yet. */
export function onPending(handler: () => void): void {
  pending = handler;
}

/** How a request is made. */
export interface RequestOptions {
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** A 401 is then an error of this request, and does not mean that the session has ended. */
  readonly signingIn?: boolean;
}

/**
 * Makes one request. If a GET request gets no response, it is repeated when the server responds again. Others are not
 * repeated.
 *
 * @param path Below /api/v1/, with its query.
 * @throws {ApiError} If the server refuses it or does not respond.
 */
export async function request<T>(
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  options: RequestOptions = {},
): Promise<T> {
  for (let attempts = 1;; attempts++) {
    try {
      return await attempt<T>(method, path, options);
    } catch (error) {
      if (error instanceof ApiError && error.code !== "no-answer" || options.signal?.aborted) throw error;
      const connected = whenConnected();
      if (method !== "GET" || attempts === ATTEMPTS) throw new ApiError(0, "no-answer", "");
      await connected;
    }
  }
}

async function attempt<T>(
  method: string,
  path: string,
  { body, signal, signingIn = false }: RequestOptions,
): Promise<T> {
  const signals = [signal, method === "GET" && AbortSignal.timeout(PATIENCE)].filter((signal) => !!signal);
  const response = await fetch(BASE + path, {
    method,
    credentials: "same-origin",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.any(signals),
  });
  const json = response.headers.get("content-type")?.includes("json");
  if (isGateway(response.status) && !json) throw new ApiError(response.status, "no-answer", "");
  if (response.status === 401 && !signingIn) signedOut();
  if (!response.ok) throw await refusal(response);
  if (response.status === 202) pending();
  if (response.status === 202 || response.status === 204) return undefined as T;
  return (json ? await response.json() : await response.text()) as T;
}

async function refusal(response: Response): Promise<ApiError> {
  const body = await response.json().catch(() => undefined);
  const { code = "failed", message = "", field, detail } = body?.error ?? {};
  return new ApiError(response.status, code, message, field, detail);
}

/** Reads something. */
export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return request<T>("GET", path, { signal });
}

/** Creates something. */
export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return request<T>("POST", path, { body });
}

/** Changes something. */
export function patch<T>(path: string, body: unknown): Promise<T> {
  return request<T>("PATCH", path, { body });
}

/** Removes something. */
export function remove(path: string): Promise<void> {
  return request<void>("DELETE", path);
}

/** A query string of the values that are set. */
export function query(values: Record<string, string | number | undefined>): string {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return set.length === 0 ? "" : `?${new URLSearchParams(set.map(([key, value]) => [key, String(value)]))}`;
}
