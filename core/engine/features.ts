/**
 * Which features of the packet path are off, and why: the user turned them off, the machine lacks them, or the kernel
 * refused them at run time.
 *
 * @module
 */

import { type Feature, FEATURES } from "../config/features.ts";
import type { FeatureState } from "../uapi/diagnostics.ts";

/** Which features are off, and why. */
export class Features {
  readonly #off = new Map<Feature, string>();
  /** The parts of a feature that are off while the rest is on. */
  readonly #partly = new Map<Feature, string>();

  /**
   * @param disabled Features that the user turned off.
   * @param log Called once for each part that is turned off at run time.
   */
  constructor(disabled: readonly Feature[], readonly log: (message: string) => void) {
    for (const feature of disabled) this.#off.set(feature, "switched off");
  }

  /** Whether it may be used. */
  wanted(feature: Feature): boolean {
    return !this.#off.has(feature);
  }

  /** The machine lacks it. */
  lack(feature: Feature, why: string): void {
    if (!this.#off.has(feature)) this.#off.set(feature, why);
  }

  /** A part of it is turned off at run time. */
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
