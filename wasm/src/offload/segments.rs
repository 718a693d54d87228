//! Splitting a super-packet into packets.
//!
//! The virtio header is not trusted: every offset is checked against the packet, and `hdr_len` is ignored, because in
//! forwarded packets it includes the first segment's payload.

use super::{GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VIRTIO_HEADER, field_at};
use crate::checksum::sum;
use crate::headers::{
    CWR, FIN, IPV4_HEADER, IPV6_HEADER, PSH, TCP, TCP_HEADER, UDP, UDP_CHECKSUM, UDP_HEADER, ecn,
    put_checksum, put_lengths, put_u16, put_u32, u16_at, u32_at, write_transport_checksum,
};

/// What a virtio header says about its packet, after it was checked.
#[derive(Clone, Copy)]
enum Kind {
    /// One complete packet.
    Whole,
    /// One packet whose transport checksum must be computed from `start` on and written to `field`.
    Unsummed { start: usize, field: usize },
    /// A super-packet: `headers` bytes are repeated before each `size` bytes of payload.
    Super { transport: usize, headers: usize, size: usize, protocol: u8 },
}

/// A super-packet and how to split it.
pub struct Segments<'a> {
    packet: &'a [u8],
    kind: Kind,
    count: usize,
}

impl<'a> Segments<'a> {
    /// Reads a virtio header and the packet behind it. None if the header does not fit the packet.
    pub fn parse(with_header: &'a [u8]) -> Option<Self> {
        let (header, packet) = with_header.split_at_checked(VIRTIO_HEADER)?;
        let (flags, gso_type) = (header[0], header[1]);
        let [size, start, offset] = [4, 6, 8].map(|at| field_at(header, at));
        let version = packet.first()? >> 4;
        let minimum = match version {
            4 => IPV4_HEADER,
            6 => IPV6_HEADER,
            _ => return None,
        };
        if packet.len() < minimum {
            return None;
        }
        let protocol = match gso_type & !GSO_ECN {
            GSO_NONE if flags & NEEDS_CSUM == 0 => {
                return Some(Segments { packet, kind: Kind::Whole, count: 1 });
            }
            GSO_NONE => {
                let field = start + offset;
                if start < minimum || field + 2 > packet.len() {
                    return None;
                }
                return Some(Segments { packet, kind: Kind::Unsummed { start, field }, count: 1 });
            }
            GSO_TCPV4 if version == 4 => TCP,
            GSO_TCPV6 if version == 6 => TCP,
            GSO_UDP_L4 => UDP,
            _ => return None,
        };
        let ip_header = if version == 4 { usize::from(packet[0] & 15) * 4 } else { IPV6_HEADER };
        if size == 0 || ip_header < minimum || start < ip_header {
            return None;
        }
        let headers = start
            + match protocol {
                TCP => match packet.get(start + 12).map(|byte| usize::from(byte >> 4) * 4) {
                    Some(length) if length >= TCP_HEADER => length,
                    _ => return None,
                },
                _ => UDP_HEADER,
            };
        if headers > packet.len() {
            return None;
        }
        let count = (packet.len() - headers).div_ceil(size).max(1);
        Some(Segments { packet, kind: Kind::Super { transport: start, headers, size, protocol }, count })
    }

    /// Number of packets that it becomes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The ECN bits, which are the same in all packets.
    pub fn ecn(&self) -> u8 {
        ecn(self.packet)
    }

    /// Length of one packet in bytes.
    pub fn length(&self, index: usize) -> usize {
        match self.kind {
            Kind::Super { headers, size, .. } => headers + self.payload(headers, size, index).len(),
            _ => self.packet.len(),
        }
    }

    /// Writes one packet with its lengths, sequence number and checksums. `out` has exactly its length.
    pub fn write(&self, index: usize, out: &mut [u8]) {
        match self.kind {
            Kind::Whole => out.copy_from_slice(self.packet),
            Kind::Unsummed { start, field } => {
                out.copy_from_slice(self.packet);
                // The field holds the pseudo-header's sum already.
                let checksum = !sum(&out[start..], 0);
                let protocol = if field - start == UDP_CHECKSUM { UDP } else { TCP };
                put_checksum(out, field, protocol, checksum);
            }
            Kind::Super { transport, headers, size, protocol } => {
                let payload = self.payload(headers, size, index);
                out[..headers].copy_from_slice(&self.packet[..headers]);
                out[headers..].copy_from_slice(payload);
                if out[0] >> 4 == 4 {
                    let identification = u16_at(out, 4) + index;
                    put_u16(out, 4, identification);
                }
                put_lengths(out, transport, protocol, out.len());
                if protocol == TCP {
                    let sequence = u32_at(out, transport + 4).wrapping_add((size * index) as u32);
                    put_u32(out, transport + 4, sequence);
                    if index + 1 < self.count {
                        out[transport + 13] &= !(FIN | PSH);
                    }
                    if index > 0 {
                        out[transport + 13] &= !CWR;
                    }
                }
                write_transport_checksum(out, transport, protocol);
            }
        }
    }

    fn payload(&self, headers: usize, size: usize, index: usize) -> &'a [u8] {
        let payload = &self.packet[headers..];
        let from = (size * index).min(payload.len());
        &payload[from..(from + size).min(payload.len())]
    }
}
