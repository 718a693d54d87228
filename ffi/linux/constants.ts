/**
 * Constants and struct offsets of the Linux ABI, each with its header. x86-64 and arm64 agree on all of them but
 * two flags of open(2), the packing of `struct epoll_event` and the numbers of two system calls; both are little-endian with 64-bit pointers.
 *
 * @module
 */

/** asm-generic/errno-base.h, asm-generic/errno.h: the numbers that the code compares with. */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  EROFS: 30,
  EPIPE: 32,
  ENOSYS: 38,
  EPROTO: 71,
  EBADFD: 77,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ENOBUFS: 105,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
} as const;

/** asm-generic/fcntl.h */
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
/** linux/fcntl.h */
export const F_DUPFD_CLOEXEC = 1030;
/** asm/fcntl.h of arm64 has different numbers for these two. */
export const O_DIRECTORY = Deno.build.arch === "x86_64" ? 0o200000 : 0o40000;
export const O_NOFOLLOW = Deno.build.arch === "x86_64" ? 0o400000 : 0o100000;

/** bits/socket.h, asm-generic/socket.h */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = O_CLOEXEC;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_PEERCRED = 17;
export const SO_ACCEPTCONN = 30;
export const SO_SNDBUFFORCE = 32;
export const SO_LINGER = 13;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;
export const SO_MEMINFO = 55;
/** sys/socket.h */
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;
/** linux/tcp.h */
export const SOL_TCP = 6;
export const TCP_NODELAY = 1;
/** linux/sock_diag.h, enum sk_meminfo */
export const SK_MEMINFO = { received: 0, receiveBound: 1, sent: 2, sendBound: 3, drops: 8, words: 9 };
/** struct ucred, linux/socket.h */
export const UCRED = { pid: 0, uid: 4, size: 12 };
export const MSG_NOSIGNAL = 0x4000;
export const MSG_TRUNC = 0x20;
export const MSG_CTRUNC = 0x08;

/** linux/in.h, linux/in6.h */
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IP_TOS = 1;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVTOS = 13;
export const IP_PMTUDISC_DONT = 0;
export const IPV6_MTU_DISCOVER = 23;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;
export const IPV6_RECVTCLASS = 66;
export const IPV6_TCLASS = 67;
export const IPV6_PMTUDISC_DONT = 0;

/** linux/udp.h */
export const SOL_UDP = 17;
export const UDP_CORK = 1;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

/** bits/types/struct_msghdr.h */
export const MSGHDR = {
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  size: 56,
};
/** bits/types/struct_iovec.h */
export const IOVEC = { base: 0, length: 8, size: 16 };
/** bits/socket.h: struct cmsghdr, and the alignment of CMSG_NXTHDR. */
export const CMSGHDR = { length: 0, level: 8, type: 12, size: 16, align: 8 };

/** linux/if_tun.h */
export const IFF_TUN = 0x0001;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
export const TUNSETIFF = 0x400454ca;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNGETIFF = 0x800454d2;
export const TUNGETDEVNETNS = 0x54e3;
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

/** net/if.h */
export const IFNAMSIZ = 16;
export const IFREQ = { name: 0, data: 16, size: 40 };
export const IFF_UP = 1;
/** linux/sockios.h */
export const SIOCGIFFLAGS = 0x8913;
export const SIOCGIFMTU = 0x8921;
export const SIOCSIFMTU = 0x8922;
export const SIOCGIFINDEX = 0x8933;

/** sys/epoll.h; packed only on x86-64. */
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLLRDHUP = 0x2000;
export const EPOLLONESHOT = 1 << 30;
export const EPOLLET = 2 ** 31;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLL_EVENT = Deno.build.arch === "x86_64"
  ? { events: 0, data: 4, size: 12 }
  : { events: 0, data: 8, size: 16 };

/** linux/time.h */
export const CLOCK_REALTIME = 0;
export const CLOCK_BOOTTIME = 7;
export const TFD_TIMER_ABSTIME = 1;

/** linux/netlink.h */
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
export const NETLINK_GENERIC = 16;
export const NLM_F_REQUEST = 0x01;
export const NLM_F_MULTI = 0x02;
export const NLM_F_ACK = 0x04;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
/** Types below this one are netlink's own. */
export const NLMSG_MIN_TYPE = 0x10;
export const NLA_F_NESTED = 0x8000;
/** A mask that removes this flag and NLA_F_NET_BYTEORDER. */
export const NLA_TYPE_MASK = ~0xc000;
export const NLMSGHDR = { length: 0, type: 4, flags: 6, sequence: 8, size: 16 };
export const NLATTR = { length: 0, type: 2, size: 4 };

/** linux/rtnetlink.h, linux/if_link.h */
export const RTMGRP_LINK = 0x1;
export const RTMGRP_IPV4_IFADDR = 0x10;
export const RTMGRP_IPV4_ROUTE = 0x40;
export const RTMGRP_IPV6_IFADDR = 0x100;
export const RTMGRP_IPV6_ROUTE = 0x400;
/** The groups RTNLGRP_IPV4_RULE (8) and RTNLGRP_IPV6_RULE (19). */
export const RTMGRP_IPV4_RULE = 0x80;
export const RTMGRP_IPV6_RULE = 0x40000;
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_LINKINFO = 18;
export const IFLA_INFO_KIND = 1;
export const IFINFOMSG = { index: 4, flags: 8, change: 12, size: 16 };
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_GETRULE = 34;
export const RTM_F_CLONED = 0x200;
export const RTMSG = { family: 0, destinationLength: 1, table: 4, flags: 8, size: 12 };
export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_TABLE = 15;
export const RT_TABLE_DEFAULT = 253;

/** linux/netfilter/nfnetlink.h: the group NFNLGRP_NFTABLES (7) as a bit. */
export const NF_GROUP_NFTABLES = 0x40;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;

/** linux/if_addr.h */
export const IFADDRMSG = { family: 0, length: 1, index: 4, size: 8 };
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;

/** linux/fib_rules.h */
export const FIB_RULE_INVERT = 2;
export const FIB_RULE_HDR = { family: 0, tos: 3, table: 4, action: 7, flags: 8, size: 12 };
export const FR_ACT_TO_TBL = 1;
export const FRA_PRIORITY = 6;
export const FRA_FWMARK = 10;
export const FRA_SUPPRESS_PREFIXLEN = 14;
export const FRA_TABLE = 15;
export const FRA_FWMASK = 16;
export const FRA_PROTOCOL = 21;

/** linux/genetlink.h */
export const GENL_ID_CTRL = 0x10;
export const CTRL_CMD_GETFAMILY = 3;
export const CTRL_ATTR_FAMILY_ID = 1;
export const CTRL_ATTR_FAMILY_NAME = 2;
export const GENLMSGHDR = { command: 0, version: 1, size: 4 };

/** linux/in.h, linux/in6.h */
export const SOCKADDR_IN = { family: 0, port: 2, address: 4, size: 16 };
export const SOCKADDR_IN6 = { family: 0, port: 2, address: 8, scope: 24, size: 28 };

/** linux/wireguard.h */
export const WG_GENL_NAME = "wireguard";
export const WG_GENL_VERSION = 1;
export const WG_CMD_GET_DEVICE = 0;
export const WG_CMD_SET_DEVICE = 1;
export const WGDEVICE_F_REPLACE_PEERS = 1;
export const WGDEVICE_A_IFNAME = 2;
export const WGDEVICE_A_PRIVATE_KEY = 3;
export const WGDEVICE_A_FLAGS = 5;
export const WGDEVICE_A_LISTEN_PORT = 6;
export const WGDEVICE_A_FWMARK = 7;
export const WGDEVICE_A_PEERS = 8;
export const WGPEER_F_REMOVE_ME = 1;
export const WGPEER_F_REPLACE_ALLOWEDIPS = 2;
export const WGPEER_F_UPDATE_ONLY = 4;
export const WGPEER_A_PUBLIC_KEY = 1;
export const WGPEER_A_PRESHARED_KEY = 2;
export const WGPEER_A_FLAGS = 3;
export const WGPEER_A_ENDPOINT = 4;
export const WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL = 5;
export const WGPEER_A_LAST_HANDSHAKE_TIME = 6;
export const WGPEER_A_RX_BYTES = 7;
export const WGPEER_A_TX_BYTES = 8;
export const WGPEER_A_ALLOWEDIPS = 9;
export const WGALLOWEDIP_F_REMOVE_ME = 1;
export const WGALLOWEDIP_A_FAMILY = 1;
export const WGALLOWEDIP_A_IPADDR = 2;
export const WGALLOWEDIP_A_CIDR_MASK = 3;
export const WGALLOWEDIP_A_FLAGS = 4;

/** linux/inotify.h */
export const IN_ATTRIB = 0x4;
export const IN_DELETE_SELF = 0x400;
export const IN_DELETE = 0x200;
export const IN_CLOSE_WRITE = 0x8;
export const IN_MOVED_FROM = 0x40;
export const IN_MOVED_TO = 0x80;
export const IN_CREATE = 0x100;
export const IN_Q_OVERFLOW = 0x4000;

/** linux/sched.h */
export const CLONE_NEWNET = 0x40000000;

/** linux/sched.h, linux/sched/types.h, asm/unistd.h */
export const SCHED_OTHER = 0;
export const SCHED_BATCH = 3;
export const SCHED_ATTR = { size: 56, policy: 4, runtime: 24 };
export const SYS_SCHED_SETATTR = Deno.build.arch === "x86_64" ? 314 : 274;
export const SYS_SCHED_GETATTR = Deno.build.arch === "x86_64" ? 315 : 275;

/** asm-generic/signal-defs.h, asm-generic/signal.h */
export const SIG_BLOCK = 0;
export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGABRT = 6;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGSEGV = 11;
export const SIGPROF = 27;
export const SIGSYS = 31;
/** The last one before the real-time signals, of which the C library uses some itself. */
export const LAST_STANDARD_SIGNAL = SIGSYS;
export const SYS_RT_SIGPROCMASK = Deno.build.arch === "x86_64" ? 14 : 135;

/** net/if.h, struct if_nameindex */
export const IF_NAMEINDEX = { size: 16, index: 0, name: 8 };

/** asm-generic/unistd.h: the same on every architecture. */
export const SYS_PIDFD_OPEN = 434;
export const SYS_PIDFD_GETFD = 438;
/** asm-generic/ioctls.h */
export const FIONBIO = 0x5421;
