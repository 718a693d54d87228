/**
 * A line that is shown while the server does not respond.
 *
 * @module
 */

import { useConnected } from "../connection.ts";
import { t } from "../text.ts";

/**
 * The line. It is always in the document, so that screen readers notice when its text changes. A dialog has its own
 * line, because screen readers read nothing outside of an open dialog.
 */
export function ConnectionLine() {
  return <p class="connection" role="status">{useConnected() ? "" : t("connection.lost")}</p>;
}
