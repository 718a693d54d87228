/**
 * Watches for possible changes of an interface's addresses, routes and rules. A separate module, because only one
 * command needs it.
 *
 * @module
 */

export { ChangeWatch } from "../../ffi/linux/change_watch.ts";
