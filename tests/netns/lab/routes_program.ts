/** Sets the keeper's routes through wg0 and prints what it refused. Its arguments are the networks. */

import { setRoutes } from "../../../core/web/keeper/routes.ts";

for (const { network, cause } of await setRoutes("wg0", Deno.args)) console.log(`${network}: ${cause}`);
