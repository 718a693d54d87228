/**
 * Routes as values: their requests and responses, and who may call them. The server, the OpenAPI document and the test
 * of all routes use the same list.
 *
 * @module
 */

import type * as v from "valibot";
import type { Actor } from "./actor.ts";
import type { Context, RequestInfo } from "./context.ts";
import type { Detail } from "./store/errors.ts";
import type { Scope } from "./store/records.ts";

/** Who may call a route: anybody, signed-in users, or administrators. */
export type Audience = "public" | "user" | "admin";

/** A checked call of a route. */
export interface Call<Body = unknown, Query = unknown> {
  readonly actor: Actor;
  readonly body: Body;
  readonly query: Query;
  /** The named parts of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly request: Request;
  readonly info: RequestInfo;
  readonly context: Context;
}

/** A route. */
export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below `/api/v1`, as `/devices/:id`. */
  readonly path: string;
  readonly audience: Audience;
  /** API tokens with this scope may also call it. Without a scope, no token may. */
  readonly scope?: Scope;
  /** For the OpenAPI document. */
  readonly summary: string;
  readonly body?: v.GenericSchema;
  readonly query?: v.GenericSchema;
  /** The status of a successful response. @default {200} */
  readonly status?: number;
  /** The change may be stored before an interface can be changed. Then the response is 202. */
  readonly mayPend?: boolean;
  /** The response, for the OpenAPI document. It is not checked. */
  readonly gives?: v.GenericSchema;
  /** @returns A value for JSON, or a whole response. */
  handle(call: Call): Promise<unknown>;
}

type Output<S> = S extends v.GenericSchema ? v.InferOutput<S> : undefined;

/** Makes a route whose handler is typed by its schemas. */
export function route<
  Body extends v.GenericSchema | undefined = undefined,
  Query extends v.GenericSchema | undefined = undefined,
>(
  route: Omit<Route, "body" | "query" | "handle"> & {
    readonly body?: Body;
    readonly query?: Query;
    handle(call: Call<Output<Body>, Output<Query>>): Promise<unknown>;
  },
): Route {
  return route as unknown as Route;
}

/** The reason for refusing a request, which is sent in the response. */
export class ApiError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "ApiError";

  /**
   * @param status The HTTP status.
   * @param code For programs, as `not-found`.
   * @param message For people.
   * @param field The field of the request that is wrong.
   * @param detail What exactly is wrong with the field.
   */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
    readonly detail?: Detail,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** @throws {ApiError} If it is undefined. */
export function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new ApiError(404, "not-found", `there is no such ${what}`);
  return value;
}
