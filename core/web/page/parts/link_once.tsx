/**
 * An invite link, which is shown once.
 *
 * @module
 */

import { t } from "../text.ts";
import { CopyButton, Field } from "./form.tsx";

/**
 * The link with its token in the fragment. Browsers do not send the fragment, so no log on the way contains the token.
 */
export function LinkOnce({ token }: { token: string }) {
  const link = `${location.origin}/invite#${token}`;
  return (
    <>
      <Field label={t("add.invite-link")} value={link} onValue={() => {}} readOnly required autofocus />
      <p class="hint">{t("add.invite-once")}</p>
      <div class="actions start">
        <CopyButton text={link} />
      </div>
    </>
  );
}
