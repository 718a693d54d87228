/**
 * All texts of the page in German.
 *
 * @module
 */

import { ACCOUNT } from "./de/account.ts";
import { ADD } from "./de/add.ts";
import { COMMON } from "./de/common.ts";
import { DETAILS } from "./de/details.ts";
import { DEVICES } from "./de/devices.ts";
import { ERRORS } from "./de/errors.ts";
import { OPERATION } from "./de/operation.ts";
import { PEOPLE } from "./de/people.ts";
import { PROVIDERS } from "./de/providers.ts";
import { SIGN_IN } from "./de/sign_in.ts";
import type { Messages } from "./en.ts";

/** German. */
export const MESSAGES: Messages = {
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
};
