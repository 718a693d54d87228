/**
 * All texts of the page in English.
 *
 * @module
 */

import { ACCOUNT } from "./en/account.ts";
import { ADD } from "./en/add.ts";
import { COMMON } from "./en/common.ts";
import { DETAILS } from "./en/details.ts";
import { DEVICES } from "./en/devices.ts";
import { ERRORS } from "./en/errors.ts";
import { OPERATION } from "./en/operation.ts";
import { PEOPLE } from "./en/people.ts";
import { PROVIDERS } from "./en/providers.ts";
import { SIGN_IN } from "./en/sign_in.ts";
import type { Message } from "./message.ts";

/** English. */
export const MESSAGES = {
  ...COMMON,
  ...ERRORS,
  ...SIGN_IN,
  ...DEVICES,
  ...DETAILS,
  ...ADD,
  ...PEOPLE,
  ...PROVIDERS,
  ...OPERATION,
  ...ACCOUNT,
} as const;

/** The name of a text. */
export type Key = keyof typeof MESSAGES;
/** All texts in one language. */
export type Messages = Readonly<Record<Key, Message>>;
