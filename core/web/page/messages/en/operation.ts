/**
 * English texts: networks, activity and settings of the server.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const OPERATION = {
  "network.title": "Network",
  "network.add": "Add a network",
  "network.endpoint": "Public address",
  "network.addresses": "Addresses",
  "network.dns": "DNS servers",
  "network.allowed-ips": "What devices reach through the tunnel",
  "network.mtu": "MTU",
  "network.keepalive": "Persistent keepalive in seconds",
  "network.say-calls": "Devices connect to {endpoint} over UDP.",
  "network.say-addresses": "They get addresses from {addresses}.",
  "network.say-all": "All their traffic goes through the tunnel.",
  "network.say-some": "They reach {prefixes} through the tunnel. Other traffic does not use the tunnel.",
  "network.say-dns": "They look up names at {dns}.",
  "network.say-no-dns": "They keep their own DNS servers.",
  "network.say-keepalive": "They send a keepalive every {n} seconds.",
  "network.change-note": "Changes take effect on a device when it imports a new configuration.",
  "network.empty": "There is no network yet.",

  "activity.title": "Activity",
  "activity.time": "Time",
  "activity.who": "Who",
  "activity.what": "What",
  "activity.details": "Details",
  "activity.empty": "Nothing has happened yet.",

  "settings.title": "Settings",
  "settings.tokens": "API tokens",
  "settings.tokens-text": "A program sends the token in the header Authorization: Bearer.",
  "settings.token-add": "Add a token",
  "settings.token-name": "Name",
  "settings.token-scopes": "What it may do",
  "settings.token-once": "The token is shown only now.",
  "settings.token-used": "Last used {when}",
  "settings.token-unused": "Never used",
  "settings.token-remove-title": "Remove the token {name}?",
  "settings.token-remove-text": "Programs that use it are refused from now on.",
  "settings.tokens-empty": "There is no token.",
  "settings.https": "HTTPS",
  "settings.certificate-problem":
    "The certificate expires on {time} and could not be renewed. The log of wgd web says why.",
  "settings.fingerprint": "Fingerprint of the certificate (SHA-256)",
  "settings.backup": "Backup",
  "settings.backup-text": "A copy of the database. It contains no keys of tunnels.",
  "settings.backup-save": "Save a backup",
  "settings.api": "API",
  "settings.api-link": "OpenAPI description",
} as const satisfies Record<string, Message>;
