/**
 * Routes as values: what they take, what they give, and who may call them. The server, the OpenAPI document and the test
 * that walks every route all read the same list.
 *
 * @module
 */

import type * as v from "valibot";
import type { Actor } from "./actor.ts";
import type { Context, RequestInfo } from "./context.ts";
import type { Scope } from "./store/records.ts";

/** Who may call a route: anybody, whoever is signed in, or administrators. */
export type Audience = "public" | "user" | "admin";

/** One call of a route, checked. */
export interface Call<Body = unknown, Query = unknown> {
  readonly actor: Actor;
  readonly body: Body;
  readonly query: Query;
  /** The parts of the path that have names. */
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
  /** API tokens that have this scope may call it too; without one no token may. */
  readonly scope?: Scope;
  /** For the OpenAPI document. */
  readonly summary: string;
  readonly body?: v.GenericSchema;
  readonly query?: v.GenericSchema;
  /** What it answers when all is well. @default {200} */
  readonly status?: number;
  /** What it answers with, for the OpenAPI document; it is not checked. */
  readonly gives?: v.GenericSchema;
  /** @returns A value for JSON, or a whole response. */
  handle(call: Call): Promise<unknown>;
}

type Output<S> = S extends v.GenericSchema ? v.InferOutput<S> : undefined;

/** Makes a route, and lets the types of its handler follow from its schemas. */
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

/** Why a request is refused, as the answer says it. */
export class ApiError extends Error {
  /** Tells this kind of error from others. */
  override name = "ApiError";

  /**
   * @param status The HTTP status.
   * @param code For programs, as `not-found`.
   * @param message For people.
   * @param field The field of the request that is wrong.
   */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field?: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** @throws {ApiError} If there is nothing. */
export function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new ApiError(404, "not-found", `there is no such ${what}`);
  return value;
}
