/**
 * The address of the first network that the page suggests. The certificate of the page names it from the start, so
 * that it stays the same when the server has been set up.
 *
 * @module
 */

/** With its prefix length. */
export const SUGGESTED_ADDRESS = "10.8.0.1/24";
