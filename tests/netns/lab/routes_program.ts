/** Sets the keeper's routes through wg0 and prints what it refused. Its arguments are the networks. */

import { setRoutes } from "../../../core/web/keeper/routes.ts";
import { KeeperError } from "../../../core/web/keeper/verbs.ts";

try {
  await setRoutes("wg0", Deno.args);
} catch (error) {
  if (!(error instanceof KeeperError)) throw error;
  console.log(error.message);
}
