/**
 * What the page and the server ask of a new password.
 *
 * @module
 */

/** Characters (NIST SP 800-63B, section 3.1.1.2, for passwords that a second factor may join). */
export const SHORTEST_PASSWORD = 10;
