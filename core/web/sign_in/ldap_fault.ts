/**
 * Why a directory cannot be used, as a text of the page.
 *
 * @module
 */

import {
  AdminLimitExceededError,
  BusyError,
  ConfidentialityRequiredError,
  InappropriateAuthError,
  InsufficientAccessError,
  InvalidCredentialsError,
  NoSuchObjectError,
  ResultCodeError,
  SizeLimitExceededError,
  StrongAuthRequiredError,
  TimeLimitExceededError,
  UnavailableError,
} from "ldapts";
import { code } from "../english.ts";
import { connectionFault, detailOf, type Fault, type Server, serverName } from "./fault.ts";

/** What was asked. */
export type Question =
  | { readonly what: "start-tls" }
  | { readonly what: "bind"; readonly account: string }
  | { readonly what: "search"; readonly base: string };

/** Why a question was not answered. */
export function directoryFault(error: unknown, to: Server, question: Question): Fault {
  if (!(error instanceof ResultCodeError)) {
    return connectionFault(error, to) ?? code("fault", "directory", { detail: detailOf(error) });
  }
  if (question.what === "start-tls") return code("fault", "no-start-tls", { server: serverName(to) });
  if (isOneOf(error, [ConfidentialityRequiredError, StrongAuthRequiredError])) {
    return code("fault", "tls-required");
  }
  if (isOneOf(error, [BusyError, UnavailableError])) return code("fault", "busy");
  if (question.what === "bind") {
    const { account } = question;
    return isOneOf(error, [InvalidCredentialsError, InappropriateAuthError, NoSuchObjectError])
      ? code("fault", "wrong-account", { account })
      : code("fault", "directory", { detail: detailOf(error) });
  }
  if (error instanceof NoSuchObjectError) return code("fault", "no-base", { base: question.base });
  if (error instanceof InsufficientAccessError) return code("fault", "no-rights", { base: question.base });
  return isOneOf(error, [SizeLimitExceededError, TimeLimitExceededError, AdminLimitExceededError])
    ? code("fault", "limited")
    : code("fault", "directory", { detail: detailOf(error) });
}

function isOneOf(error: Error, kinds: readonly (abstract new (...args: never) => Error)[]): boolean {
  return kinds.some((kind) => error instanceof kind);
}
