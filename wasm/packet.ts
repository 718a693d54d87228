/**
 * The layout of packets in memory: each follows a `struct virtio_net_hdr` (linux/virtio_net.h).
 *
 * @module
 */

/** Bytes of the header. */
export const VIRTIO_HEADER = 10;

/** `gso_type`, at offset 1: the kind of packets into which a super-packet is split. */
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;
