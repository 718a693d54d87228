/**
 * Activity: who did what, newest first.
 *
 * @module
 */

import { useCallback, useEffect, useState } from "preact/hooks";
import { get, query } from "../api.ts";
import { eventDetails, type Writing } from "../event_details.ts";
import { useAction, useResource, useTitle } from "../hooks.ts";
import { Failure } from "../parts/form.tsx";
import { Loading } from "../parts/loading.tsx";
import { useSession } from "../session.ts";
import { formatTime, t, tIfKnown } from "../text.ts";
import type { Listed, Named } from "../types.ts";

interface Event {
  readonly id: number;
  readonly at: string;
  readonly actor: { readonly kind: string; readonly name?: string };
  readonly action: string;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
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
  // Details have identifiers of networks and groups. Those that were removed have no name.
  const { me: { networks } } = useSession();
  const { data: groups = [] } = useResource<readonly Named[]>("groups");
  const names = new Map([...networks, ...groups].map(({ id, name }) => [id, name]));
  const writing: Writing = {
    time: formatTime,
    name: (name) => tIfKnown(`detail.${name}`) ?? name,
    word: (name, value) =>
      tIfKnown(`word.${name}.${value}`) ??
        (typeof value === "boolean" ? t(`word.${value}`) : names.get(value)),
  };
  return (
    <>
      <header class="head">
        <h1>{t("activity.title")}</h1>
      </header>
      <Failure error={error} retry={() => read()} />
      <Loading until={events ?? error} />
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
              <tr key={event.id}>
                <td class="time">{formatTime(event.at)}</td>
                <td>{event.actor.name ?? tIfKnown(`actor.${event.actor.kind}`) ?? event.actor.kind}</td>
                <td class="what">{tIfKnown(`action.${event.action}`) ?? event.action}</td>
                <td class="details">{eventDetails(event, writing)}</td>
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
