//! Joining received packets of one flow into a super-packet.

use super::{GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM, VIRTIO_HEADER, field_at};
use crate::checksum::{pseudo_header, sum};
use crate::headers::{
    ACK, ICMPV6, IPV4_HEADER, IPV6_HEADER, PSH, TCP, TCP_CHECKSUM, TCP_HEADER, UDP, UDP_CHECKSUM, UDP_HEADER,
    addresses, array_at, put_lengths, put_u16, transport_sum, u16_at, u32_at, write_transport_checksum,
};

/// Which packets may be joined.
#[derive(Clone, Copy, Default)]
pub struct Join {
    pub tcp: bool,
    pub udp: bool,
}

/// The most segments of a UDP super-packet. The kernel refuses more (linux/virtio_net.h; UDP_MAX_SEGMENTS, until 6.9).
const MAX_UDP_SEGMENTS: usize = 64;
/// The most parts of one write (IOV_MAX, linux/uio.h).
const MAX_PARTS: usize = 1_024;

/// Where the headers of a packet are that may be joined with others.
#[derive(Clone, Copy)]
pub struct Shape {
    transport: usize,
    headers: usize,
    protocol: u8,
}

impl Shape {
    /// None for packets that the kernel's GRO would not join: those with IP options, extension headers or flags other than
    /// ACK and PSH, fragments, and packets without payload. `packet` is exactly as long as its IP header says.
    pub fn of(packet: &[u8], join: Join) -> Option<Shape> {
        let (transport, protocol) = match packet[0] {
            0x45 => {
                let fragment = u16_at(packet, 6) & 0x3fff != 0;
                if fragment {
                    return None;
                }
                (IPV4_HEADER, packet[9])
            }
            byte if byte >> 4 == 6 => (IPV6_HEADER, packet[6]),
            _ => return None,
        };
        let headers = match protocol {
            TCP if join.tcp && packet.len() >= transport + TCP_HEADER => {
                let length = usize::from(packet[transport + 12] >> 4) * 4;
                let flags = packet[transport + 13];
                if length < TCP_HEADER || flags & !PSH != ACK || packet[transport + 12] & 15 != 0 {
                    return None;
                }
                transport + length
            }
            UDP if join.udp && packet.len() >= transport + UDP_HEADER => {
                let unsummed = u16_at(packet, transport + UDP_CHECKSUM) == 0;
                if unsummed || u16_at(packet, transport + 4) != packet.len() - transport {
                    return None;
                }
                transport + UDP_HEADER
            }
            _ => return None,
        };
        (packet.len() > headers).then_some(Shape { transport, headers, protocol })
    }

    /// Checks the transport checksum, and over IPv4 that of the header too, since joining would replace a wrong one.
    fn checksums_are_valid(&self, packet: &[u8]) -> bool {
        transport_sum(packet, self.transport, self.protocol) == 0xffff
            && (packet[0] >> 4 == 6 || sum(&packet[..IPV4_HEADER], 0) == 0xffff)
    }

    fn is_pushed(&self, packet: &[u8]) -> bool {
        self.protocol == TCP && packet[self.transport + 13] & PSH != 0
    }
}

/// A super-packet that may still grow. The packets stay where they are, and only the headers of the first one are changed.
#[derive(Clone, Copy)]
pub struct Joiner {
    shape: Shape,
    /// Both ports. They tell most flows apart without reading the first packet.
    ports: [u8; 4],
    /// Payload bytes of each packet. The last may have fewer.
    size: usize,
    /// Bytes of the super-packet.
    length: usize,
    packets: usize,
    next_sequence: u32,
    /// By how much the IPv4 identification increases: 1, or 0 if fragments are forbidden, since it has no meaning then
    /// (RFC 6864).
    step: Option<u16>,
    /// Whether the checksums of the first packet were verified.
    verified: bool,
    /// Whether the last packet has PSH set.
    pushed: bool,
    /// Whether no packet may be added.
    closed: bool,
}

impl Joiner {
    /// Begins with one packet.
    pub fn begin(packet: &[u8], shape: Shape) -> Joiner {
        let size = packet.len() - shape.headers;
        let next_sequence = match shape.protocol {
            TCP => u32_at(packet, shape.transport + 4).wrapping_add(size as u32),
            _ => 0,
        };
        let pushed = shape.is_pushed(packet);
        Joiner {
            shape,
            ports: array_at(packet, shape.transport),
            size,
            length: packet.len(),
            packets: 1,
            next_sequence,
            step: None,
            verified: false,
            pushed,
            closed: pushed,
        }
    }

    /// Whether `packet`, which has a shape, belongs to the flow of `first`.
    #[inline(always)]
    pub fn is_of(&self, first: &[u8], packet: &[u8], shape: Shape) -> bool {
        array_at(packet, shape.transport) == self.ports
            && shape.protocol == self.shape.protocol
            && shape.transport == self.shape.transport
            && same_addresses(packet, first)
    }

    /// Whether `packet`, which has no shape, belongs to the flow of `first`, or may belong to it.
    pub fn concerns(&self, first: &[u8], packet: &[u8]) -> bool {
        let Shape { transport, protocol, .. } = self.shape;
        let ports = transport..transport + 4;
        (match packet[0] >> 4 {
            4 => {
                let transport = usize::from(packet[0] & 15) * 4;
                let fragment = u16_at(packet, 6) & 0x3fff != 0;
                packet[9] == protocol
                    && (fragment
                        || packet.get(transport..transport + 4).is_none_or(|own| *own == first[ports]))
            }
            _ => match packet[6] {
                TCP | UDP => {
                    packet[6] == protocol
                        && packet.get(IPV6_HEADER..IPV6_HEADER + 4).is_none_or(|own| *own == first[ports])
                }
                // Any protocol may follow an extension header.
                other => other != ICMPV6,
            },
        }) && same_addresses(packet, first)
    }

    /// Adds a packet that continues the flow of `first`, by the rules of the kernel's GRO (tcp_offload.c, udp_offload.c,
    /// af_inet.c). Returns the length of its headers, which are left out. None if it was not added.
    pub fn accept(&mut self, first: &[u8], packet: &[u8], other: Shape) -> Option<usize> {
        let Shape { transport, headers, protocol } = self.shape;
        let limit = if protocol == TCP { MAX_PARTS } else { MAX_UDP_SEGMENTS };
        let payload = packet.len() - other.headers;
        if self.closed
            || self.packets == limit
            || other.transport != transport
            || other.headers != headers
            || other.protocol != protocol
            || payload > self.size
            || self.length + payload > usize::from(u16::MAX)
            || !same_ip_header(first, packet)
            || array_at(packet, transport) != self.ports
            || protocol == TCP && !self.continues(first, packet)
        {
            return None;
        }
        let step = self.identification_step(first, packet)?;
        if !self.verified {
            if !self.shape.checksums_are_valid(first) {
                self.closed = true;
                return None;
            }
            self.verified = true;
        }
        if !self.shape.checksums_are_valid(packet) {
            return None;
        }
        self.step = Some(step);
        self.packets += 1;
        self.length += payload;
        self.next_sequence = self.next_sequence.wrapping_add(payload as u32);
        self.pushed = self.shape.is_pushed(packet);
        self.closed = self.pushed || payload < self.size;
        Some(headers)
    }

    /// Whether a TCP packet has the next sequence number, and the acknowledgement, window, urgent pointer and options of the
    /// first.
    fn continues(&self, first: &[u8], packet: &[u8]) -> bool {
        let Shape { transport, headers, .. } = self.shape;
        let same = |at: usize| array_at::<4>(first, at) == array_at::<4>(packet, at);
        let same_half = |at: usize| array_at::<2>(first, at) == array_at::<2>(packet, at);
        u32_at(packet, transport + 4) == self.next_sequence
            && same(transport + 8)
            && same_half(transport + 14)
            && same_half(transport + 18)
            && (transport + TCP_HEADER..headers).step_by(4).all(same)
    }

    /// By how much the identification increases. None if this packet's does not fit.
    fn identification_step(&self, first: &[u8], packet: &[u8]) -> Option<u16> {
        if packet[0] >> 4 == 6 {
            return Some(0);
        }
        let unfragmentable = packet[6] & 0x40 != 0;
        let distance = (u16_at(packet, 4) as u16).wrapping_sub(u16_at(first, 4) as u16);
        let step = match self.step {
            Some(step) => step,
            None if distance == 0 && unfragmentable => 0,
            None => 1,
        };
        (distance == step.wrapping_mul(self.packets as u16)).then_some(step)
    }

    /// Whether no packet can be added.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Turns the headers of the first packet and its virtio header into those of the super-packet.
    pub fn finish(&self, with_header: &mut [u8]) {
        if self.packets == 1 {
            return;
        }
        let Shape { transport, headers, protocol } = self.shape;
        let (header, packet) = with_header.split_at_mut(VIRTIO_HEADER);
        let version = packet[0] >> 4;
        put_lengths(packet, transport, protocol, self.length);
        let (gso_type, field) = match (protocol, version) {
            (TCP, 4) => (GSO_TCPV4, TCP_CHECKSUM),
            (TCP, _) => (GSO_TCPV6, TCP_CHECKSUM),
            _ => (GSO_UDP_L4, UDP_CHECKSUM),
        };
        if self.pushed {
            packet[transport + 13] |= PSH;
        }
        // The device completes the checksum, so the field holds the sum of the pseudo-header, not inverted.
        let pseudo = pseudo_header(&packet[addresses(packet)], protocol, self.length - transport);
        put_u16(packet, transport + field, usize::from(sum(&[], pseudo)));
        header[0] = NEEDS_CSUM;
        header[1] = gso_type;
        for (at, value) in [(2, headers), (4, self.size), (6, transport), (8, field)] {
            header[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
        }
    }
}

/// Undoes `Joiner::finish` on the first packet. Returns the length of the headers that were left out of the others.
pub fn separate(with_header: &mut [u8]) -> usize {
    let (header, packet) = with_header.split_at_mut(VIRTIO_HEADER);
    let [headers, transport, field] = [2, 6, 8].map(|at| field_at(header, at));
    let protocol = if field == TCP_CHECKSUM { TCP } else { UDP };
    header.fill(0);
    put_lengths(packet, transport, protocol, packet.len());
    if protocol == TCP {
        // A packet with PSH ends its super-packet, so the first of several had none.
        packet[transport + 13] &= !PSH;
    }
    write_transport_checksum(packet, transport, protocol);
    headers
}
/// Compares slices of constant length, which compiles to a few loads. Other slices are compared byte by byte in
/// WebAssembly.
fn same_addresses(a: &[u8], b: &[u8]) -> bool {
    match (a[0] >> 4, b[0] >> 4) {
        (4, 4) => a[12..20] == b[12..20],
        (6, 6) => a[8..40] == b[8..40],
        _ => false,
    }
}

/// Compares all fields but length, identification and checksum.
fn same_ip_header(a: &[u8], b: &[u8]) -> bool {
    if a[0] != b[0] {
        return false;
    }
    if a[0] >> 4 == 4 {
        // Type of service, the DF and reserved bits, time to live and protocol, both addresses.
        a[1] == b[1] && a[6] & 0xe0 == b[6] & 0xe0 && a[8..10] == b[8..10] && a[12..20] == b[12..20]
    } else {
        // Traffic class and flow label, next header and hop limit, both addresses.
        a[1..4] == b[1..4] && a[6..8] == b[6..8] && a[8..40] == b[8..40]
    }
}
