/**
 * What makes the packet path fast and can be done without: each feature by itself can be switched off, be missing, or
 * be given up at run time when the kernel refuses what it had promised.
 *
 * @module
 */

import type { FeatureState } from "../uapi/diagnostics.ts";

/** The features, by the names that `--disable` and `WGD_DISABLE` take. */
export const FEATURES = ["tun-tcp", "tun-udp", "udp-gso", "udp-gro", "wide"] as const;

/**
 * A feature: TCP or UDP super-packets from and to the TUN device, trains of datagrams in one send or one receive, the
 * wide build of the WebAssembly module.
 */
export type Feature = typeof FEATURES[number];

/** The value of `--disable` or `WGD_DISABLE` cannot be used. */
export class FeatureError extends Error {
  override name = "FeatureError";

  /** @param hint What to write instead. */
  constructor(message: string, readonly hint: string) {
    super(message);
  }
}

/**
 * Reads a list of features, with commas between them.
 *
 * @throws {FeatureError} If there is no feature of a name.
 */
export function parseFeatures(text: string): Feature[] {
  return text.split(",").map((word) => word.trim()).filter((word) => word !== "").map((word) => {
    const feature = FEATURES.find((name) => name === word);
    if (feature === undefined) {
      throw new FeatureError(
        `"${word}" is no feature that could be switched off`,
        `there are ${FEATURES.join(", ")}`,
      );
    }
    return feature;
  });
}

/** Which features are off, and why. */
export class Features {
  readonly #off = new Map<Feature, string>();
  /** What of a feature is off while the rest of it is on. */
  readonly #partly = new Map<Feature, string>();

  /**
   * @param disabled Features that the user does without.
   * @param log Hears of each loss, once.
   */
  constructor(disabled: readonly Feature[], readonly log: (message: string) => void) {
    for (const feature of disabled) this.#off.set(feature, "switched off");
  }

  /** Whether it may be used. */
  wanted(feature: Feature): boolean {
    return !this.#off.has(feature);
  }

  /** It is not to be had. */
  lack(feature: Feature, why: string): void {
    if (!this.#off.has(feature)) this.#off.set(feature, why);
  }

  /** A part of it was given up at run time. */
  retreat(feature: Feature, why: string): void {
    if (this.#partly.get(feature) === why) return;
    this.#partly.set(feature, why);
    this.log(`${feature}: ${why}`);
  }

  /** All of them, in the order of `FEATURES`. */
  states(): FeatureState[] {
    return FEATURES.map((feature) => {
      const off = this.#off.get(feature);
      return { feature, on: off === undefined, why: off ?? this.#partly.get(feature) ?? "" };
    });
  }
}
