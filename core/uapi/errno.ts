/**
 * Error numbers of the protocol, sockets and packet devices. They are those of Linux.
 *
 * @module
 */

export { Errno } from "../../ffi/linux/constants.ts";
