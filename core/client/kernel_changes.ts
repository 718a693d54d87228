/**
 * Notices that something may have changed of what surrounds an interface. Apart from all else, since one command needs it.
 *
 * @module
 */

export { ChangeWatch } from "../../ffi/linux/change_watch.ts";
