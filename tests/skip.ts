/**
 * Tests that do not run everywhere. The reason for a skip is appended to the test's name.
 *
 * @module
 */

/**
 * Why a test is skipped: something is missing, or it was left out by choice. A run without the tests that are left out
 * by choice counts as complete.
 */
export type Skip = string | { readonly leftOut: string };

/** The suffix of the name of a test that is left out by choice. */
export const LEFT_OUT = " (left out: ";

/**
 * Declares a test.
 *
 * @param name The rule that it checks.
 * @param skip Why it is skipped, if it is.
 * @param test The test.
 */
export function testUnless(
  name: string,
  skip: Skip | undefined,
  test: (context: Deno.TestContext) => Promise<void> | void,
): void {
  const why = typeof skip === "object" ? `${LEFT_OUT}${skip.leftOut})` : ` (skipped: ${skip})`;
  Deno.test({ name: skip === undefined ? name : name + why, ignore: skip !== undefined, fn: test });
}
