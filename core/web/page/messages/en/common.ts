/**
 * English texts: the frame of the page, and words that several screens use.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const COMMON = {
  "nav.label": "Sections",
  "nav.devices": "Devices",
  "nav.mine": "My devices",
  "nav.people": "People",
  "nav.network": "Network",
  "nav.activity": "Activity",
  "nav.settings": "Settings",
  "nav.account": "Account",
  "nav.more": "More",
  "skip": "Skip to the content",
  "sign-out": "Sign out",
  "theme": "Appearance",
  "theme.auto": "Same as the system",
  "theme.light": "Light",
  "theme.dark": "Dark",
  "language": "Language",
  "loading": "Loading…",
  "retry": "Try again",
  "cancel": "Cancel",
  "save": "Save",
  "saved": "Saved",
  "close": "Close",
  "remove": "Remove",
  "edit": "Edit",
  "copy": "Copy",
  "copied": "Copied",
  "optional": "optional",
  "none": "None",
  "never": "Never",
  "more": "Show more",
  "not-found": "There is no such page.",
  "to-start": "Go to the start page",
  "list-hint": "Separate entries with commas.",

  "connection.lost": "Not connected to the server. Trying again …",
  "settling": "Not every change has reached the interfaces yet. The server is working on it.",
} as const satisfies Record<string, Message>;
