/**
 * Setting all peers of an interface, in slices.
 *
 * @module
 */

import { formatKey, type Key, KEY_LENGTH, parseKey } from "../../config/key.ts";
import { formatPrefix, type Prefix } from "../../config/prefix.ts";
import type { PeerState } from "../../uapi/get.ts";
import { type PeerChange, peerChange } from "../../uapi/set.ts";
import { KeeperError } from "./verbs.ts";

/** An attempt to set all peers of an interface. Changes that others make meanwhile are newer, so they stay. */
export class PeerSetting {
  static #last = Date.now();
  /** Its number. It differs from those of all earlier and later keepers. */
  readonly attempt: number = ++PeerSetting.#last;
  /**
   * Settings of peers that existed at the beginning and have not been changed since, by public key. They are texts, because
   * the objects of 100,000 peers would take several times the memory.
   */
  readonly #untouched = new Map<string, string>();
  /** Public keys of peers that existed at the beginning and that no request has named since. */
  readonly #unnamed = new Set<string>();

  /** Notes a peer that exists at the beginning. */
  existed({ publicKey, presharedKey, allowedIps, persistentKeepalive }: PeerState): void {
    const name = formatKey(publicKey);
    this.#untouched.set(name, settingsText(presharedKey, allowedIps, persistentKeepalive));
    this.#unnamed.add(name);
  }

  /** Notes that peers are changed. */
  changed(peers: readonly PeerChange[]): void {
    for (const { publicKey } of peers) this.#untouched.delete(formatKey(publicKey));
    this.named(peers);
  }

  /** Notes that somebody wants peers as they are. */
  named(peers: readonly PeerChange[]): void {
    for (const { publicKey } of peers) this.#unnamed.delete(formatKey(publicKey));
  }

  /** The changes that are necessary for these peers. Unchanged ones are left alone, so they keep their sessions. */
  difference(wanted: readonly PeerChange[]): PeerChange[] {
    return wanted.flatMap((change) => {
      const name = formatKey(change.publicKey);
      this.#unnamed.delete(name);
      const running = this.#untouched.get(name);
      if (running === undefined) return [change];
      this.#untouched.delete(name);
      const { presharedKey, allowedIps } = change;
      if (running === settingsText(presharedKey, allowedIps.map(({ prefix }) => prefix))) return [];
      return [running.startsWith("0 ") ? change : { ...change, persistentKeepalive: 0 }];
    });
  }

  /** The changes that remove those of these peers that existed at the beginning and have not been named since. */
  removal(publicKeys: readonly string[]): PeerChange[] {
    return publicKeys.filter((key) => this.#unnamed.has(key)).map(removed);
  }

  /** The changes that remove all peers that existed at the beginning and have not been named since. */
  rest(): PeerChange[] {
    return [...this.#unnamed].map(removed);
  }
}

/** The attempts of all connections. They run side by side, also at the same interface. */
export class PeerSettings {
  readonly #all = new Map<number, { caller: object; name: string; setting: PeerSetting }>();

  /**
   * Begins an attempt. An earlier one of the same connection at this interface ends.
   *
   * @param caller The connection.
   * @param setting It has the interface's peers.
   * @returns Its number.
   */
  begin(caller: object, name: string, setting: PeerSetting): number {
    this.#remove((one) => one.caller === caller && one.name === name);
    this.#all.set(setting.attempt, { caller, name, setting });
    return setting.attempt;
  }

  /** @throws {KeeperError} If it has ended, or the keeper has started again. */
  get(name: string, attempt: number): PeerSetting {
    const found = this.#all.get(attempt);
    if (found?.name === name) return found.setting;
    throw new KeeperError(`the peers of ${name} are no longer being set by this process`);
  }

  /** Notes in all attempts that peers of an interface are changed. */
  changed(name: string, peers: readonly PeerChange[]): void {
    for (const one of this.#all.values()) if (one.name === name) one.setting.changed(peers);
  }

  /** Notes in all attempts but one that somebody wants peers of an interface as they are. */
  named(name: string, peers: readonly PeerChange[], except?: PeerSetting): void {
    for (const one of this.#all.values()) {
      if (one.name === name && one.setting !== except) one.setting.named(peers);
    }
  }

  /** Ends an attempt. */
  end(attempt: number): void {
    this.#all.delete(attempt);
  }

  /** Ends the attempts of a connection. */
  endOf(caller: object): void {
    this.#remove((one) => one.caller === caller);
  }

  /** Ends the attempts at an interface. */
  endAt(name: string): void {
    this.#remove((one) => one.name === name);
  }

  #remove(isMeant: (one: { caller: object; name: string }) => boolean): void {
    for (const [attempt, one] of this.#all) if (isMeant(one)) this.#all.delete(attempt);
  }
}

function removed(publicKey: string): PeerChange {
  return peerChange(parseKey(publicKey)!, { remove: true });
}

const NO_KEY = formatKey(new Uint8Array(KEY_LENGTH));

/** The settings of a peer, without its public key. Two peers with the same settings have the same text. */
function settingsText(
  presharedKey: Key | undefined,
  allowedIps: readonly Prefix[],
  persistentKeepalive = 0,
): string {
  const words = [persistentKeepalive, presharedKey ? formatKey(presharedKey) : NO_KEY];
  return [...words, ...allowedIps.map(formatPrefix).sort()].join(" ");
}
