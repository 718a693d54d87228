/**
 * English texts: the user’s own account.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const ACCOUNT = {
  "account.title": "Account",
  "account.password": "Change password",
  "account.old": "Current password",
  "account.new": "New password",
  "account.change": "Change password",
  "account.changed": "The password is changed. All other sessions have ended.",
  "account.totp": "Second factor",
  "account.totp-text":
    "An authenticator app shows a new code every 30 seconds, which you enter when you sign in.",
  "account.totp-on": "The second factor is on.",
  "account.totp-start": "Set up",
  "account.totp-scan": "Scan this code with an authenticator app and enter the code that it shows.",
  "account.totp-confirm": "Turn on",
  "account.totp-remove": "Turn off",
  "account.totp-qr": "QR code for the authenticator app",
  "account.sessions": "Sessions",
  "account.session-this": "This session",
  "account.session-since": "Signed in {when}",
  "account.session-end": "End",
} as const satisfies Record<string, Message>;
