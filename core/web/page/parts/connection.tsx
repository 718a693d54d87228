/**
 * Says that the server does not answer, for as long as it does not.
 *
 * @module
 */

import { useConnected } from "../connection.ts";
import { t } from "../text.ts";

/**
 * The line. It is always in the document, so that screen readers notice the text in it. A dialog has its own, because
 * nothing outside of the dialog is read while it is open.
 */
export function ConnectionLine() {
  return <p class="connection" role="status">{useConnected() ? "" : t("connection.lost")}</p>;
}
