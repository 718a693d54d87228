/**
 * The records of the store. Times are milliseconds since 1970.
 *
 * @module
 */

import type { DisabledBy } from "./identities.ts";

/** The most characters of a name that a user chooses. */
export const LONGEST_NAME = 64;

/** A network: one WireGuard interface. */
export interface Network {
  readonly id: string;
  readonly name: string;
  /** Name of the interface. */
  readonly interface: string;
  /** The server's own addresses with prefix lengths. */
  readonly addresses: readonly string[];
  /** The server's endpoint for clients, `host:port`. */
  readonly endpoint: string;
  /** DNS servers and search domains for clients. */
  readonly dns: readonly string[];
  /** The allowed IPs of clients. */
  readonly allowedIps: readonly string[];
  readonly mtu: number | null;
  /** PersistentKeepalive of clients in seconds. */
  readonly keepalive: number | null;
  readonly publicKey: string;
  readonly listenPort: number;
  readonly createdAt: number;
}

/** The settings of a network that can be changed. The interface is changed only through the keeper. */
export type NetworkChange = {
  readonly [Key in "name" | "endpoint" | "dns" | "allowedIps" | "mtu" | "keepalive"]?:
    | Network[Key]
    | undefined;
};

/** The role of a user. */
export type Role = "user" | "admin";

/** A user. */
export interface User {
  readonly id: string;
  /** The unique name for signing in. */
  readonly name: string;
  readonly email: string | null;
  /** The role that they have directly or through a group. */
  readonly role: Role;
  /** The role that was set for them. */
  readonly ownRole: Role;
  readonly disabledAt: number | null;
  readonly disabledBy: DisabledBy | null;
  /** Why they are disabled. */
  readonly reason: string | null;
  readonly expiresAt: number | null;
  /** The maximum number of devices they may add; null for the setting's. */
  readonly maxDevices: number | null;
  readonly createdAt: number;
}

/** Why an interface must not have a device's peer. */
export type Cut = "disabled" | "expired" | "user-disabled" | "user-expired" | "no-access";

/** A device: one peer. */
export interface Device {
  readonly id: string;
  readonly network: { readonly id: string; readonly name: string; readonly interface: string };
  readonly name: string;
  readonly owner: { readonly id: string; readonly name: string } | null;
  readonly publicKey: string;
  /** Without prefix lengths. */
  readonly addresses: readonly string[];
  /** Networks that the server reaches through the device, such as `192.168.7.0/24`. */
  readonly routedNetworks: readonly string[];
  readonly disabledAt: number | null;
  readonly reason: string | null;
  readonly expiresAt: number | null;
  /** Why it is cut off; null if it may connect. */
  readonly cut: Cut | null;
  readonly createdAt: number;
  /** 0 if there was none. */
  readonly lastHandshakeAt: number;
  readonly endpoint: string | null;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** The settings of a device that can be changed. */
export type DeviceChange = Partial<
  Pick<Device, "name" | "disabledAt" | "reason" | "expiresAt" | "routedNetworks"> & {
    readonly ownerId: string | null;
  }
>;

/** A device to add. */
export interface NewDevice {
  readonly networkId: string;
  readonly name: string;
  readonly publicKey: string;
  readonly ownerId?: string | undefined;
  readonly expiresAt?: number | undefined;
  /** Given addresses, in place of free ones. */
  readonly addresses?: readonly string[] | undefined;
  /** @default None */
  readonly routedNetworks?: readonly string[] | undefined;
}

/** The orders of the list of devices. */
export type DeviceSort = "name" | "created" | "handshake";
/** The state of a device. */
export type DeviceState = "online" | "idle" | "never" | "expired" | "disabled";

/** Which devices to list. */
export interface DeviceQuery {
  /** Identifier of the network. */
  readonly networkId?: string | undefined;
  readonly ownerId?: string | undefined;
  /** Words, all of which must be in its name, its owner's name, its addresses or its public key. */
  readonly search?: string | undefined;
  readonly state?: DeviceState | undefined;
  readonly sort?: DeviceSort | undefined;
  readonly descending?: boolean | undefined;
  /** `next` of the previous part. */
  readonly cursor?: string | undefined;
  /** @default {50} */
  readonly limit?: number | undefined;
}

/** A part of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** The cursor of the next part; null at the end. */
  readonly next: string | null;
  readonly total: number;
}

/** A session. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  readonly createdAt: number;
  readonly usedAt: number;
  readonly expiresAt: number;
  readonly address: string | null;
  readonly agent: string | null;
}

/** The scopes of tokens. */
export const SCOPES = ["devices"] as const;
/** One of them. */
export type Scope = typeof SCOPES[number];

/** An API token. */
export interface Token {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly usedAt: number | null;
}

/** A line of the audit log. */
export interface AuditEvent {
  readonly number: number;
  readonly time: number;
  /** `user:ID NAME`, `token:ID NAME`, `system`. */
  readonly actor: string;
  /** As `device.add`. */
  readonly action: string;
  /** As `device:ID`. */
  readonly target: string | null;
  readonly address: string | null;
  /** What was changed, as JSON; without secrets. */
  readonly detail: Readonly<Record<string, unknown>>;
  readonly previousHash: string;
  readonly hash: string;
}
