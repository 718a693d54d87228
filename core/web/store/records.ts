/**
 * What the store holds, as values. Times are milliseconds since 1970.
 *
 * @module
 */

import type { DisabledBy } from "./identities.ts";

/** A network: one WireGuard interface and who may be in it. */
export interface Network {
  readonly id: string;
  readonly name: string;
  /** Name of the interface. */
  readonly interface: string;
  /** The server's own addresses with prefix lengths. */
  readonly addresses: readonly string[];
  /** Where clients find the server, `host:port`. */
  readonly endpoint: string;
  /** DNS servers and search domains for clients. */
  readonly dns: readonly string[];
  /** What clients send into the tunnel. */
  readonly allowedIps: readonly string[];
  readonly mtu: number | null;
  /** PersistentKeepalive of clients in seconds. */
  readonly keepalive: number | null;
  readonly publicKey: string;
  readonly listenPort: number;
  readonly createdAt: number;
}

/** What can be changed of a network; the interface's part only through the keeper. */
export type NetworkChange = {
  readonly [Key in "name" | "endpoint" | "dns" | "allowedIps" | "mtu" | "keepalive"]?:
    | Network[Key]
    | undefined;
};

/** What a user may do. */
export type Role = "user" | "admin";

/** A person. */
export interface User {
  readonly id: string;
  /** By which they sign in; unique. */
  readonly name: string;
  readonly email: string | null;
  /** What they may do, by themselves or by a group. */
  readonly role: Role;
  /** What they may do by themselves. */
  readonly ownRole: Role;
  readonly disabledAt: number | null;
  readonly disabledBy: DisabledBy | null;
  /** Why they are disabled. */
  readonly reason: string | null;
  readonly expiresAt: number | null;
  /** Most devices they may add; null for the setting's. */
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

/** What can be changed of a device. */
export type DeviceChange = Partial<
  Pick<Device, "name" | "disabledAt" | "reason" | "expiresAt"> & { readonly ownerId: string | null }
>;

/** A device to add. */
export interface NewDevice {
  readonly networkId: string;
  readonly name: string;
  readonly publicKey: string;
  readonly ownerId?: string | undefined;
  readonly expiresAt?: number | undefined;
  /** Those that it has already, in place of free ones. */
  readonly addresses?: readonly string[] | undefined;
}

/** What the list of devices can be sorted by. */
export type DeviceSort = "name" | "created" | "handshake";
/** What a device is doing. */
export type DeviceState = "online" | "idle" | "never" | "expired" | "disabled";

/** Which devices to list. */
export interface DeviceQuery {
  /** Its identifier. */
  readonly networkId?: string | undefined;
  readonly ownerId?: string | undefined;
  /** Words that are all in its name, its owner's name, its addresses or its public key. */
  readonly search?: string | undefined;
  readonly state?: DeviceState | undefined;
  readonly sort?: DeviceSort | undefined;
  readonly descending?: boolean | undefined;
  /** `next` of the answer before. */
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

/** A sign-in, as the cookie knows it. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  readonly createdAt: number;
  readonly usedAt: number;
  readonly expiresAt: number;
  readonly address: string | null;
  readonly agent: string | null;
}

/** All that tokens may be used for. */
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
