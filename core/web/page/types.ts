/**
 * The server's responses in JSON. Times are ISO 8601 text, bytes are numbers, rates are bytes per second.
 *
 * @module
 */

/** The state of a device. */
export type State = "online" | "idle" | "never" | "expired" | "disabled";

/** Something with an identifier and a name. */
export interface Named {
  readonly id: string;
  readonly name: string;
}

/** The signed-in user. */
export interface Me {
  readonly user: Named & { readonly email: string | null; readonly role: "user" | "admin" };
  readonly networks: readonly Named[];
  readonly maxDevices: number | null;
  readonly deviceCount: number;
  /** Whether the user has a password on this server, which can be changed here. */
  readonly hasPassword: boolean;
  /** Whether a second factor is required at sign-in. */
  readonly totp: boolean;
  /** The interfaces have all devices. */
  readonly settled: boolean;
}

/** A device as it is in every list. */
export interface Device extends Named {
  readonly network: Named;
  readonly owner: Named | null;
  readonly publicKey: string;
  readonly addresses: readonly string[];
  /** Networks that the server reaches through the device. */
  readonly routedNetworks: readonly string[];
  readonly state: State;
  readonly reason: string | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly endpoint: string | null;
  readonly lastHandshake: string | null;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** The live values of a device. */
export interface Live {
  readonly id: string;
  readonly state: State;
  readonly rxRate: number;
  readonly txRate: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly lastHandshake: string | null;
  readonly endpoint: string | null;
}

/** One page of a list. */
export interface Listed<T> {
  readonly items: readonly T[];
  readonly next: string | null;
  readonly total?: number;
}

/** A new device: its configuration lacks the PrivateKey line. */
export interface Added {
  readonly id: string;
  readonly config: string;
}

/** A network, which is one interface. */
export interface Network extends Named {
  readonly interface: string;
  readonly addresses: readonly string[];
  readonly endpoint: string;
  readonly dns: readonly string[];
  readonly allowedIps: readonly string[];
  readonly mtu?: number | null;
  readonly keepalive?: number | null;
  readonly publicKey: string;
  readonly listenPort: number;
  readonly deviceCount: number;
}

/** Bytes in each time step. */
export interface Traffic {
  readonly step: number;
  readonly points: readonly (readonly [time: number | string, rx: number, tx: number])[];
}

/** Why a device does not connect. */
export interface Reason {
  readonly code: string;
  readonly text: string;
  /** The values in the text, for texts in other languages. `when` is a time. */
  readonly values?: Readonly<Record<string, string>>;
}

/** A way to sign in. */
export interface SignInProvider extends Named {
  readonly kind: "local" | "ldap" | "oidc";
}
