/**
 * A sign that something is being read from the server.
 *
 * @module
 */

import { useEffect, useState } from "preact/hooks";
import { t } from "../text.ts";

/** Milliseconds before the sign is shown, so that a fast response causes no flicker. */
const UNNOTICED = 500;

/** Shown until something has arrived. Screen readers announce it. @param until What arrives, or the error. */
export function Loading({ until }: { until?: unknown }) {
  return until === undefined ? <Sign /> : null;
}

function Sign() {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), UNNOTICED);
    return () => clearTimeout(timer);
  }, []);
  // Screen readers announce a text only if its place was there before.
  return <p class="loading" role="status">{late && t("loading")}</p>;
}
