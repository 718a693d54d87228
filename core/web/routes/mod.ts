/**
 * All routes. What is not in this list does not exist.
 *
 * @module
 */

import type { Route } from "../routing.ts";
import { deviceRoutes } from "./devices.ts";
import { liveRoutes } from "./live.ts";

/** All routes. */
export const routes: readonly Route[] = [
  ...deviceRoutes,
  ...liveRoutes,
];
