/**
 * Activity: who did what, newest first.
 *
 * @module
 */

import { useCallback, useEffect, useState } from "preact/hooks";
import { get, query } from "../api.ts";
import { useAction, useTitle } from "../hooks.ts";
import { Failure } from "../parts/form.tsx";
import { formatTime, t } from "../text.ts";
import type { Listed } from "../types.ts";

interface Event {
  readonly number: number;
  readonly time: string;
  /** As `user:ID NAME`, `system`. */
  readonly actor: string;
  readonly action: string;
  readonly target: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** The screen. */
export function Activity() {
  useTitle(t("activity.title"));
  const [events, setEvents] = useState<readonly Event[]>();
  const [next, setNext] = useState<string | null>(null);
  const { run, busy, error } = useAction();
  const read = useCallback((cursor?: string) =>
    run(async () => {
      const page = await get<Listed<Event>>(`events${query({ cursor })}`);
      setEvents((before = []) => cursor === undefined ? page.items : [...before, ...page.items]);
      setNext(page.next);
    }), [run]);
  useEffect(() => void read(), [read]);
  return (
    <>
      <header class="head">
        <h1>{t("activity.title")}</h1>
      </header>
      <Failure error={error} retry={() => read()} />
      {events?.length === 0 && <p class="empty">{t("activity.empty")}</p>}
      {events && events.length > 0 && (
        <table class="activity">
          <thead>
            <tr>
              <th scope="col">{t("activity.time")}</th>
              <th scope="col">{t("activity.who")}</th>
              <th scope="col">{t("activity.what")}</th>
              <th scope="col">{t("activity.details")}</th>
            </tr>
          </thead>
          <tbody>
            {events.map((event) => (
              <tr key={event.number}>
                <td>{formatTime(event.time)}</td>
                <td>{actorName(event.actor)}</td>
                <td>{event.action}</td>
                <td class="details">{details(event)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {next && (
        <button type="button" class="quiet" disabled={busy} onClick={() => read(next)}>{t("more")}</button>
      )}
    </>
  );
}

/** The name alone: the identifier is for programs. */
function actorName(actor: string): string {
  return actor.replace(/^(user|token):\S+ /, "");
}

/** What it was about, as `name: Phone, network: wg0`. */
function details({ detail }: Event): string {
  return Object.entries(detail).map(([name, value]) =>
    `${name}: ${typeof value === "object" && value !== null ? JSON.stringify(value) : value}`
  ).join(", ");
}
