/**
 * Tests that do not run everywhere. Why one is skipped stands behind its name.
 *
 * @module
 */

/**
 * Why a test is skipped: what is missing, or what was chosen. A run without the tests that are left out by choice is still
 * whole.
 */
export type Skip = string | { readonly leftOut: string };

/** What stands behind the name of a test that is skipped by choice. */
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
