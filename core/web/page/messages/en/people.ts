/**
 * English texts: users, groups and invite links.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const PEOPLE = {
  "people.title": "People",
  "people.users": "Users",
  "people.groups": "Groups",
  "people.providers": "Sign-in providers",
  "people.invites": "Invite links",
  "users.add": "Add a user",
  "users.name": "Name",
  "users.email": "E-mail",
  "users.role": "Role",
  "users.role-user": "User",
  "users.role-admin": "Administrator",
  "users.password": "Initial password",
  "users.devices": "Devices",
  "users.max": "Device limit",
  "users.active": "Active",
  "users.disabled": "Disabled",
  "users.expired": "Expired",
  "users.expiry-hint":
    "At this time, the user is signed out and their tunnels are cut. Leave empty for never.",
  "users.new-password-hint": "At least {n} characters. Leave empty to keep the current one.",
  "users.remove-totp": "Turn the second factor off",
  "users.disable": "Disable",
  "users.enable": "Enable",
  "users.end-sessions": "Sign out everywhere",
  "users.sessions-ended": "All sessions ended",
  "users.remove-title": "Remove {name}?",
  "users.remove-text": "The user's devices are removed and their tunnels are cut at once.",
  "users.empty": "There is no user.",
  "groups.add": "Add a group",
  "groups.members": { one: "{n} member", other: "{n} members" },
  "groups.networks": "Networks that it may use",
  "groups.empty":
    "There is no group. Groups give users access to networks. Administrators have it without a group.",
  "groups.no-network": "No network",
  "groups.source": "From {source}",
  "groups.from": "Who manages its members",
  "groups.from-here": "Administrators of this server",
  "groups.external": "Name of the group at the provider",
  "groups.external-hint": "Its cn or DN, or the value of the claim. Leave empty if it has the same name.",
  "groups.remove-title": "Remove {name}?",
  "groups.remove-text": "Its members lose the access that only this group gave them.",

  "invites.add": "Add an invite link",
  "invites.empty": "There is no unused invite link.",
  "invites.for": "Who it is for",
  "invites.anybody": "Anybody",
  "invites.row": "For {name}",
  "invites.row-anybody": "For anybody",
  "invites.life": "Valid for",
  "invites.days": { one: "{n} day", other: "{n} days" },
  "invites.made": "made {when}",
  "invites.made-title": "The link is ready",
  "invites.used": "Used {when}",
  "invites.expires": "Expires {when}",
  "invites.take-back": "Revoke",
  "invites.take-back-title": "Revoke the link?",
  "invites.take-back-text": "Whoever has it can no longer use it.",
} as const satisfies Record<string, Message>;
