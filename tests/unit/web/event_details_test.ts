import { equal } from "node:assert/strict";
import { eventDetails, type Writing } from "../../../core/web/page/event_details.ts";

/** As the page's, for which an invalid time is an error. */
const formatTime = (time: string) =>
  new Intl.DateTimeFormat("en", { dateStyle: "medium" }).format(new Date(time));

const writing: Writing = {
  time: formatTime,
  name: (name) => name === "maxDevices" ? "Höchstzahl" : name,
  word: (name, value) =>
    name === "role" && value === "admin" ? "Verwaltung" : value === true ? "ja" : undefined,
};

const details = (event: Parameters<typeof eventDetails>[0]) => eventDetails(event, writing);

Deno.test("eventDetails() shows what changed, and times as people write them", () => {
  const time = "2026-01-02T03:04:05.000Z";
  equal(
    details({ before: { name: "a", expiresAt: null }, after: { name: "b", expiresAt: time } }),
    `name: a → b, expiresAt: ${formatTime(time)}`,
  );
  equal(
    details({ before: null, after: { addresses: ["10.8.0.2", "fd00::2"] } }),
    "addresses: 10.8.0.2, fd00::2",
  );
});

Deno.test("eventDetails() shows a name that looks like a time and is none", () => {
  for (const name of ["2026-99-99T99:99:99Z", "0000-00-00T.Z", "2026-01-01T:::Z"]) {
    equal(details({ before: null, after: { name } }), `name: ${name}`);
  }
});

Deno.test("eventDetails() leaves out what has no value", () => {
  equal(
    details({
      before: null,
      after: { settings: { url: "ldaps://a", ca: null, filter: "" }, owner: null },
    }),
    "settings: url ldaps://a",
  );
});

Deno.test("eventDetails() writes names and words of the reader's language, also inside of settings", () => {
  equal(
    details({
      before: { maxDevices: 5, role: "user" },
      after: { maxDevices: 6, role: "admin" },
    }),
    "Höchstzahl: 5 → 6, role: user → Verwaltung",
  );
  equal(
    details({ before: null, after: { name: "true", settings: { startTls: true } } }),
    "name: true, settings: startTls ja",
  );
});
