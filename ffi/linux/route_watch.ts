/**
 * Reports that addresses or routes of this machine have changed.
 *
 * @module
 */

import { RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE } from "./constants.ts";
import { NetlinkNotices } from "./netlink_notices.ts";

const GROUPS = RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;

/**
 * Watches the network namespace in which it is called.
 *
 * @throws {SystemError} If the system does not report changes.
 */
export function watchRoutes(): NetlinkNotices {
  return new NetlinkNotices(GROUPS);
}
