import { equal } from "node:assert/strict";
import { eventDetails } from "../../../core/web/page/event_details.ts";
import { formatTime } from "../../../core/web/page/text.ts";

Deno.test("eventDetails() shows what changed, and times as people write them", () => {
  const time = "2026-01-02T03:04:05.000Z";
  equal(
    eventDetails({ before: { name: "a", expiresAt: null }, after: { name: "b", expiresAt: time } }),
    `name: a → b, expiresAt: ${formatTime(time)}`,
  );
  equal(
    eventDetails({ before: null, after: { addresses: ["10.8.0.2", "fd00::2"] } }),
    "addresses: 10.8.0.2, fd00::2",
  );
});

Deno.test("eventDetails() shows a name that looks like a time and is none", () => {
  for (const name of ["2026-99-99T99:99:99Z", "0000-00-00T.Z", "2026-01-01T:::Z"]) {
    equal(eventDetails({ before: null, after: { name } }), `name: ${name}`);
  }
});

Deno.test("eventDetails() leaves out what has no value", () => {
  equal(
    eventDetails({
      before: null,
      after: { settings: { url: "ldaps://a", ca: null, filter: "" }, owner: null },
    }),
    "settings: url ldaps://a",
  );
});
