/**
 * Why a directory or an OpenID provider cannot be used, as a text of the page. Errors also have a message in English,
 * for the log and the API, which quotes libraries and servers.
 *
 * @module
 */

import { code, type Coded, type CodeOf } from "../english.ts";

/** A text that says what failed and what to do. */
export type Fault = Coded<FaultCode>;
/** Its code. */
export type FaultCode = CodeOf<"fault">;

/** The server that a connection was to reach. */
export interface Server {
  readonly host: string;
  readonly port: number;
}

/** Host and port as they are written. */
export function serverName({ host, port }: Server): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Node's error codes, and words of the messages of Node, ldapts, rustls and the operating system. */
const SIGNS: readonly (readonly [sign: RegExp, code: ConnectionCode])[] = [
  [
    /\bCERT_HAS_EXPIRED|\bCERT_NOT_YET_VALID|certificate (has )?expired|certificate not valid yet/i,
    "certificate-expired",
  ],
  [/\bERR_TLS_CERT_ALTNAME_INVALID|certificate not valid for name/i, "certificate-name"],
  [
    /SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|CERT_UNTRUSTED|UnknownIssuer|CaUsedAsEndEntity/i,
    "certificate-authority",
  ],
  [/\bE(HOST|NET)UNREACH|\bENETDOWN|no route to host|network is unreachable/i, "unreachable"],
  [/\bECONNREFUSED|connection refused/i, "refused"],
  [/\bENOTFOUND|\bEAI_|dns error|failed to lookup/i, "no-name"],
  [/\bETIMEDOUT|OAUTH_TIMEOUT|TimeoutError|timed out|connection timeout/i, "no-answer"],
  [
    /\bECONNRESET|\bEPIPE|connection (was )?(lost|closed|reset)|socket disconnected|handshake eof/i,
    "lost",
  ],
  [/invalid peer certificate|received corrupt message|\bERR_(SSL|TLS)_|\bTLS\b/, "no-tls"],
];

type ConnectionCode =
  | "certificate-expired"
  | "certificate-name"
  | "certificate-authority"
  | "unreachable"
  | "refused"
  | "no-name"
  | "no-answer"
  | "lost"
  | "no-tls";

/** What is wrong with a connection; undefined if an error is about something else. */
export function connectionFault(error: unknown, to: Server): Fault | undefined {
  const signs = signsOf(error);
  const found = SIGNS.find(([sign]) => sign.test(signs));
  if (!found) return undefined;
  const server = serverName(to);
  switch (found[1]) {
    case "no-name":
      return code("fault", "no-name", { host: to.host });
    case "no-tls":
      return code("fault", "no-tls", { server, detail: detailOf(error) });
    default:
      return code("fault", found[1], { server });
  }
}

/** The codes, names and messages of an error and its causes. */
function signsOf(error: unknown): string {
  const signs: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, name, message } = cause as Error & { code?: unknown };
    signs.push(String(code ?? ""), name, message);
  }
  return signs.join("\n");
}

/** The words of a library or a server, on one line. */
export function detailOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\s+/g, " ").trim();
}
