/**
 * English texts: signing in, the setup, and invite links as their receiver sees them.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const SIGN_IN = {
  "sign-in.title": "Sign in",
  "sign-in.provider-failed": "The provider did not sign you in. Try again, or ask your administrator.",
  "sign-in.disabled": "Your account is disabled. Ask your administrator.",
  "sign-in.name": "Name",
  "sign-in.password": "Password",
  "sign-in.code": "Code",
  "sign-in.code-hint": "Six digits from your authenticator app.",
  "sign-in.submit": "Sign in",
  "sign-in.with": "Sign in with {name}",
  "sign-in.provider": "Account",
  "sign-in.local": "Account of this server",

  "setup.title": "Set up this server",
  "setup.lead": "Fill in three fields. Then the first device can connect.",
  "setup.endpoint": "Public address",
  "setup.endpoint-hint": "Host name or IP address, and UDP port, at which devices reach this server.",
  "setup.address": "Private network",
  "setup.address-hint": "The server's address inside the tunnel. Devices get the addresses that follow.",
  "setup.password": "Your password",
  "setup.password-hint": "At least {n} characters.",
  "setup.more": "More settings",
  "setup.name": "Your name",
  "setup.interface": "Name of the interface",
  "setup.dns": "DNS servers",
  "setup.submit": "Set up",
  "setup.no-token":
    "This link is incomplete. Open the whole setup link that wgd printed when it started for the first time.",
  "setup.done": "This server is already set up.",

  "invite.title": "You are invited",
  "invite.lead": "Connect one device to this network.",
  "invite.no-token": "This link is incomplete. Ask for a new one.",
} as const satisfies Record<string, Message>;
