/**
 * Says that the server does not answer, for as long as it does not.
 *
 * @module
 */

import { useConnected } from "../connection.ts";
import { t } from "../text.ts";

/** The line. It is there all the time, so that screen readers notice the text in it. */
export function ConnectionLine() {
  return <p class="connection" role="status">{useConnected() ? "" : t("connection.lost")}</p>;
}
