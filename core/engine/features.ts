/**
 * Which features of the packet path an engine does without, and why: they were switched off, the machine lacks them, or
 * the kernel refused at run time what it had promised.
 *
 * @module
 */

import { type Feature, FEATURES } from "../config/features.ts";
import type { FeatureState } from "../uapi/diagnostics.ts";

/** Which features are off, and why. */
export class Features {
  readonly #off = new Map<Feature, string>();
  /** What of a feature is off while the rest of it is on. */
  readonly #partly = new Map<Feature, string>();

  /**
   * @param disabled Features that the user does without.
   * @param log Called once for each part that is given up at run time.
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
