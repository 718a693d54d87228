/**
 * Screens that are loaded together when one of them is first shown.
 *
 * @module
 */

export { Account } from "./account.tsx";
export { Activity } from "./activity.tsx";
export { Networks } from "./networks.tsx";
export { People } from "./people.tsx";
export { Settings } from "./settings.tsx";
