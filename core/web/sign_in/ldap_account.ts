/**
 * Detects accounts that a directory itself has disabled.
 *
 * @module
 */

/** Bit of Active Directory's userAccountControl: the account is disabled ([MS-ADTS] 2.2.16). */
const ACCOUNTDISABLE = 0x2;
/** Milliseconds from 1601, where Windows' time begins, to 1970. */
const FROM_1601 = 11_644_473_600_000n;
/** `accountExpires` of an account that never expires. */
const NEVER = 0x7fff_ffff_ffff_ffffn;

/** Why an account may not be used: its directory has disabled it, it has expired there, or it is locked. */
export type AccountFault = "disabled" | "expired" | "locked";

/** The same as texts. */
export const ACCOUNT_FAULTS: Readonly<Record<AccountFault, string>> = {
  disabled: "the account is disabled in the directory",
  expired: "the account has expired in the directory",
  locked: "the account is locked in the directory",
};

/**
 * Why an account may not be used.
 *
 * @param attribute Returns the first value of an attribute.
 * @param now Milliseconds since 1970.
 * @returns Null if it may.
 */
export function accountFault(
  attribute: (name: string) => string | undefined,
  now: number,
): AccountFault | null {
  const control = Number(attribute("userAccountControl") ?? 0);
  if ((control & ACCOUNTDISABLE) !== 0) return "disabled";
  const expires = attribute("accountExpires");
  if (expires !== undefined && /^\d{1,19}$/.test(expires)) {
    // In units of 100 ns.
    const time = BigInt(expires);
    if (time !== 0n && time !== NEVER && time / 10_000n - FROM_1601 <= BigInt(Math.floor(now))) {
      return "expired";
    }
  }
  // 389 Directory Server and FreeIPA.
  if (attribute("nsAccountLock")?.toLowerCase() === "true") return "locked";
  // OpenLDAP's ppolicy: this time means that it is locked until an administrator unlocks it (slapo-ppolicy(5)).
  if (attribute("pwdAccountLockedTime") === "000001010000Z") return "locked";
  return null;
}
