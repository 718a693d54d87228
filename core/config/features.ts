/**
 * Features of the packet path that can be turned off by name. They speed it up, but kernels and network cards may have
 * bugs in them.
 *
 * @module
 */

/**
 * A feature: TCP or UDP super-packets from and to the TUN device, trains of datagrams in one send or one receive, the
 * wide build of the WebAssembly module.
 */
export type Feature = "tun-tcp" | "tun-udp" | "udp-gso" | "udp-gro" | "wide";

/** All features, by their names in `--disable` and `WGD_DISABLE`. */
export const FEATURES: readonly Feature[] = ["tun-tcp", "tun-udp", "udp-gso", "udp-gro", "wide"];

/** The value of `--disable` or `WGD_DISABLE` is invalid. */
export class FeatureError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "FeatureError";

  /**
   * Makes the error; nothing is printed.
   *
   * @param message Which name is unknown.
   * @param hint What to write instead.
   */
  constructor(message: string, readonly hint: string) {
    super(message);
  }
}

/**
 * Reads a comma-separated list of features.
 *
 * @throws {FeatureError} If a name is not a feature.
 */
export function parseFeatures(text: string): Feature[] {
  return text.split(",").map((word) => word.trim()).filter((word) => word !== "").map((word) => {
    const feature = FEATURES.find((name) => name === word);
    if (feature === undefined) {
      throw new FeatureError(
        `"${word}" is not a feature that can be turned off`,
        `there are ${FEATURES.join(", ")}`,
      );
    }
    return feature;
  });
}

/** The environment's features that an interface's process turns off, separated by commas. `--disable` adds to them. */
export const DISABLE_VARIABLE = "WGD_DISABLE";

/** Reads names of features. @param from Where they were written. @throws {FeatureError} If one is unknown. */
export function parseFeaturesOf(from: string, text: string): Feature[] {
  try {
    return parseFeatures(text);
  } catch (error) {
    if (!(error instanceof FeatureError)) throw error;
    throw new FeatureError(`${from}: ${error.message}`, error.hint);
  }
}
