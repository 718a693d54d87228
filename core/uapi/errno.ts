/**
 * The numbers by which the protocol, sockets and packet devices say what failed. They are those of Linux.
 *
 * @module
 */

export { Errno } from "../../ffi/linux/constants.ts";
