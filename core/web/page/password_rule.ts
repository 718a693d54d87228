/**
 * The rule for new passwords, which the page and the server share.
 *
 * @module
 */

/**
 * Least number of characters (NIST SP 800-63B, section 3.1.1.2, for passwords that may be combined with a second
 * factor).
 */
export const SHORTEST_PASSWORD = 10;
