/**
 * English texts: lists of devices, one device, and why it does not connect.
 *
 * @module
 */

import type { Message } from "../message.ts";

/** English. */
export const DEVICES = {
  "devices.title": "Devices",
  "devices.add": "Add a device",
  "devices.search": "Search",
  "devices.search-hint": "Name, owner, address or key",
  "devices.state": "State",
  "devices.all": "All states",
  "devices.count": { one: "{n} device", other: "{n} devices" },
  "devices.empty": "There is no device yet.",
  "devices.no-match": "No device matches.",
  "devices.name": "Name",
  "devices.address": "Address",
  "devices.owner": "Owner",
  "devices.handshake": "Last handshake",
  "devices.rate": "Now",
  "devices.traffic": "Total",
  "devices.network": "Network",
  "devices.sort": "Sort by {name}",
  "devices.no-owner": "Nobody",

  "state.online": "Online",
  "state.idle": "Idle",
  "state.never": "Never connected",
  "state.expired": "Expired",
  "state.disabled": "Disabled",

  "rate.down": "Received by the device",
  "rate.up": "Sent by the device",

  "device.back": "All devices",
  "device.why": "Why it does not connect",
  "device.traffic": "Traffic",
  "device.span": "Period",
  "device.hour": "Hour",
  "device.day": "Day",
  "device.month": "Month",
  "device.year": "Year",
  "device.no-traffic": "No traffic in this period.",
  "device.chart": "Traffic in this period: {rx} received, {tx} sent by the device.",
  "device.details": "Details",
  "device.addresses": "Addresses",
  "device.routed-networks": "Networks behind it",
  "device.routed-networks-hint":
    "One on each line, such as 192.168.7.0/24. The server sends packets for them through this device’s tunnel.",
  "device.endpoint": "Calls from",
  "device.public-key": "Public key",
  "device.created": "Added",
  "device.expires": "Expires",
  "device.config": "Configuration",
  "device.config-note": "The private key is missing here, because only the device has it.",
  "device.rename": "Rename",
  "device.set-expiry": "Set expiry",
  "device.expiry-hint": "The tunnel is cut at this time. Leave empty for never.",
  "device.disable": "Disable",
  "device.enable": "Enable",
  "device.remove-title": "Remove {name}?",
  "device.remove-text": "Its tunnel is cut at once and its address becomes free. This cannot be undone.",
  "device.live-down": "Receives {rate}",
  "device.live-up": "Sends {rate}",

  "reason.expired": "The device expired {when}. Set a later date to let it connect again.",
  "reason.user-expired": "Its owner’s account expired. Set a later date for the account.",
  "reason.disabled": "The device is disabled. Enable it to let it connect again.",
  "reason.user-disabled": "Its owner’s account is disabled.",
  "reason.no-access": "Its owner no longer belongs to a group that may use this network.",
  "reason.interface-down": "The interface {interface} is not running on the server.",
  "reason.missing":
    "The interface does not know this device. It will be added the next time the server compares both.",
  "reason.unroutable": "The server has no route to networks behind the device: {networks}.",
  "reason.never-called":
    "Nothing from this device has reached the server. Is the tunnel switched on there? Is UDP port {port} open on the way to {endpoint}?",
  "reason.wrong-key":
    "Handshakes arrive with a public key that the server does not know. Does the device have an old configuration?",
  "reason.wrong-server-key":
    "Handshakes arrive for another public key than the server's. Does the device have an old configuration?",
  "reason.no-answer":
    "The device sends handshakes, but the server's answers do not arrive there. A firewall or NAT on the way drops them.",
  "reason.nothing-after-handshake":
    "The handshake works, but no data follows. Check the allowed IPs of the device and its DNS server.",
  "reason.silent":
    "The device was connected, and has been silent since {when}. It is probably off or asleep.",
  "reason.connected": "It is connected.",

  "mine.title": "My devices",
  "mine.empty": "Connect your first device. It takes less than a minute.",
  "mine.count": "{n} of {max} devices",
} as const satisfies Record<string, Message>;
