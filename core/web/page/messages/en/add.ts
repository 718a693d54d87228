/**
 * English texts: adding a device.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const ADD = {
  "add.title": "Add a device",
  "add.how": "Which device?",
  "add.phone": "Phone or tablet",
  "add.phone-text": "Scan a QR code",
  "add.this": "This computer",
  "add.this-text": "Save a file",
  "add.invite": "Someone else",
  "add.invite-text": "Send an invite link",
  "add.name": "Name of the device",
  "add.default-phone": "Phone",
  "add.default-this": "Computer",
  "add.network": "Network",
  "add.expires": "Expires",
  "add.make-qr": "Show QR code",
  "add.make-file": "Make the configuration",
  "add.make-invite": "Make the link",
  "add.keys-note":
    "The keys are made in this browser. The private key never leaves it. The server gets only the public key.",
  "add.ready": "{name} is ready",
  "add.qr-label": "QR code with the configuration of {name}",
  "add.step-1": "Install the WireGuard app and open it.",
  "add.step-2": "Tap the plus sign and choose “Scan from QR code”.",
  "add.step-3": "Switch the tunnel on.",
  "add.file-step-1": "Save the file.",
  "add.file-step-2": "Import it in the WireGuard app, or run: {command}",
  "add.save-file": "Save {file}",
  "add.once": "This is shown once. When you leave this page, the private key is gone.",
  "add.waiting": "Waiting for the first handshake…",
  "add.connected": "Connected",
  "add.another": "Add another",
  "add.to-device": "Open {name}",
  "add.to-invites": "All invite links",
  "add.invite-hint": "The first person who opens the link can add one device.",
  "add.invite-link": "Invite link",
  "add.invite-once": "The link works once and is shown only now. Send it over a channel that you trust.",
  "add.limit": {
    one: "You have {n} device, which is your limit.",
    other: "You have {n} devices, which is your limit.",
  },
  "add.no-network": "You may not use any network yet. Ask the administrator.",
} as const satisfies Record<string, Message>;
