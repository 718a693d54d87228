/**
 * All routes of the API.
 *
 * @module
 */

import type { Route } from "../routing.ts";
import { deviceRoutes } from "./devices.ts";
import { groupRoutes } from "./groups.ts";
import { inviteRoutes } from "./invites.ts";
import { meRoutes } from "./me.ts";
import { networkRoutes } from "./networks.ts";
import { operationRoutes } from "./operation.ts";
import { providerRoutes } from "./providers.ts";
import { sessionRoutes } from "./sessions.ts";
import { setupRoutes } from "./setup.ts";
import { signInRoutes } from "./sign_in.ts";
import { userRoutes } from "./users.ts";
import { liveRoutes } from "./live.ts";

/** All routes. */
export const routes: readonly Route[] = [
  ...setupRoutes,
  ...signInRoutes,
  ...meRoutes,
  ...sessionRoutes,
  ...networkRoutes,
  ...deviceRoutes,
  ...userRoutes,
  ...groupRoutes,
  ...providerRoutes,
  ...inviteRoutes,
  ...operationRoutes,
  ...liveRoutes,
];
