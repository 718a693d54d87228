/**
 * People: users, groups, sign-in providers, and invite links.
 *
 * @module
 */

import { useTitle } from "../hooks.ts";
import { Link } from "../router.tsx";
import { t } from "../text.ts";
import { Groups } from "./groups.tsx";
import { Invites } from "./invites.tsx";
import { Providers } from "./providers.tsx";
import { Users } from "./users.tsx";

const PARTS = ["users", "groups", "providers", "invites"] as const;

const SCREENS = { users: Users, groups: Groups, providers: Providers, invites: Invites };

/** The screen. @param part The part to show. */
export function People({ part = "users" }: { part?: string | undefined }) {
  useTitle(t("people.title"));
  const Part = SCREENS[part as typeof PARTS[number]] ?? Users;
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
      <Part />
    </>
  );
}
