//! Super-packets: those from the TUN device are split into packets (TSO, USO), and received packets of one flow are joined
//! for it (GRO). Both follow the kernel's segmentation rules (net/ipv4/tcp_offload.c, udp_offload.c).
//!
//! Before each packet is a 10-byte `virtio_net_hdr` in host byte order (linux/virtio_net.h).

mod joiner;
mod segments;

pub use joiner::{Join, Joiner, Shape, separate};
pub use segments::Segments;

/// Bytes of the header in front of each packet.
pub const VIRTIO_HEADER: usize = 10;

/// A flag: the checksum must be completed.
pub const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
pub const GSO_TCPV4: u8 = 1;
pub const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// A 16-bit field of a virtio header.
fn field_at(header: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([header[at], header[at + 1]]))
}
