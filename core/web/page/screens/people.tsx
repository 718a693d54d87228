/**
 * People: users, groups, and what they sign in with.
 *
 * @module
 */

import { useTitle } from "../hooks.ts";
import { Link } from "../router.tsx";
import { t } from "../text.ts";
import { Groups } from "./groups.tsx";
import { Providers } from "./providers.tsx";
import { Users } from "./users.tsx";

const PARTS = ["users", "groups", "providers"] as const;

/** The screen. @param part Which of its three parts. */
export function People({ part = "users" }: { part?: string | undefined }) {
  useTitle(t("people.title"));
  return (
    <>
      <header class="head">
        <h1>{t("people.title")}</h1>
      </header>
      <nav class="parts" aria-label={t("people.title")}>
        {PARTS.map((each) => (
          <Link key={each} to={`/people/${each}`} current={part === each}>{t(`people.${each}`)}</Link>
        ))}
      </nav>
      {part === "groups" ? <Groups /> : part === "providers" ? <Providers /> : <Users />}
    </>
  );
}
