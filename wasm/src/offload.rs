//! Super-packets: those from the TUN device are split into packets (TSO, USO), and received packets of one flow are joined
//! for it (GRO). Both follow the kernel's segmentation rules (net/ipv4/tcp_offload.c, udp_offload.c).
//!
//! Before each packet is a 10-byte `virtio_net_hdr` in host byte order (linux/virtio_net.h). It is not trusted: every
//! offset is checked against the packet, and `hdr_len` is ignored, because in forwarded packets it includes the first
//! segment's payload.

use crate::checksum::{pseudo_header, sum};
use core::ops::Range;

/// Bytes of the header in front of each packet.
pub const VIRTIO_HEADER: usize = 10;

const NEEDS_CSUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
const UDP_HEADER: usize = 8;
const MIN_TCP_HEADER: usize = 20;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

/// Bytes that are loaded with one bounds check. Single loads would need two checks each: one here and one in V8.
#[inline(always)]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}

#[inline(always)]
fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes(array_at(bytes, at)))
}

fn put_u16(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}

#[inline(always)]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array_at(bytes, at))
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Where both addresses are in an IP header whose version was checked.
#[inline(always)]
fn addresses(packet: &[u8]) -> Range<usize> {
    if packet[0] >> 4 == 4 { 12..20 } else { 8..40 }
}

/// The checksum's sum over the transport header and payload from `transport` on, and the pseudo-header.
fn transport_sum(packet: &[u8], transport: usize, protocol: u8) -> u16 {
    let (addresses, length) = (addresses(packet), packet.len() - transport);
    if addresses.end == transport {
        // Without options the addresses, which the pseudo-header includes, are right before the transport header.
        return sum(&packet[addresses.start..], u32::from(protocol) + length as u32);
    }
    sum(&packet[transport..], pseudo_header(&packet[addresses], protocol, length))
}

/// The two ECN bits of an IP packet.
pub fn ecn(packet: &[u8]) -> u8 {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => packet[1] & 3,
        Some(6) => packet[1] >> 4 & 3,
        _ => 0,
    }
}

/// Marks an ECN-capable packet with "congestion experienced" (RFC 6040 §4.2; the kernel's IP_ECN_set_ce).
pub fn set_congestion(packet: &mut [u8]) {
    let capable = matches!(ecn(packet), 1 | 2);
    if !capable {
        return;
    }
    if packet[0] >> 4 == 4 {
        packet[1] |= 3;
        write_ipv4_checksum(packet);
    } else {
        packet[1] |= 0x30;
    }
}

fn write_ipv4_checksum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 15) * 4;
    put_u16(packet, 10, 0);
    let checksum = !sum(&packet[..header], 0);
    put_u16(packet, 10, usize::from(checksum));
}

/// Computes the transport checksum over `packet[transport..]`, which must include the checksum's field.
fn write_transport_checksum(packet: &mut [u8], transport: usize, protocol: u8) {
    let field = transport + if protocol == TCP { TCP_CHECKSUM } else { UDP_CHECKSUM };
    put_u16(packet, field, 0);
    put_checksum(packet, field, protocol, !transport_sum(packet, transport, protocol));
}

/// A UDP checksum of zero means that there is none, so 0xffff is sent in its place (RFC 768).
fn put_checksum(packet: &mut [u8], field: usize, protocol: u8, checksum: u16) {
    let checksum = if checksum == 0 && protocol == UDP { 0xffff } else { checksum };
    put_u16(packet, field, usize::from(checksum));
}

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
        let native = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let (flags, gso_type, size, start, offset) = (header[0], header[1], native(4), native(6), native(8));
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
                    Some(length) if length >= MIN_TCP_HEADER => length,
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
                let length = out.len();
                if out[0] >> 4 == 4 {
                    put_u16(out, 2, length);
                    let identification = u16_at(out, 4) + index;
                    put_u16(out, 4, identification);
                    write_ipv4_checksum(out);
                } else {
                    put_u16(out, 4, length - IPV6_HEADER);
                }
                if protocol == TCP {
                    let sequence = u32_at(out, transport + 4).wrapping_add((size * index) as u32);
                    put_u32(out, transport + 4, sequence);
                    if index + 1 < self.count {
                        out[transport + 13] &= !(FIN | PSH);
                    }
                    if index > 0 {
                        out[transport + 13] &= !CWR;
                    }
                } else {
                    put_u16(out, transport + 4, length - transport);
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
const ICMPV6: u8 = 58;

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
            TCP if join.tcp && packet.len() >= transport + MIN_TCP_HEADER => {
                let length = usize::from(packet[transport + 12] >> 4) * 4;
                let flags = packet[transport + 13];
                if length < MIN_TCP_HEADER || flags & !PSH != ACK || packet[transport + 12] & 15 != 0 {
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
            && (transport + MIN_TCP_HEADER..headers).step_by(4).all(same)
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
        put_lengths(packet, self.shape, self.length);
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
    let native = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (headers, transport, field) = (native(2), native(6), native(8));
    let protocol = if field == TCP_CHECKSUM { TCP } else { UDP };
    header.fill(0);
    put_lengths(packet, Shape { transport, headers, protocol }, packet.len());
    if protocol == TCP {
        // A packet with PSH ends its super-packet, so the first of several had none.
        packet[transport + 13] &= !PSH;
    }
    write_transport_checksum(packet, transport, protocol);
    headers
}

/// Writes the length of a packet into its headers.
fn put_lengths(packet: &mut [u8], shape: Shape, length: usize) {
    if packet[0] >> 4 == 4 {
        put_u16(packet, 2, length);
        write_ipv4_checksum(packet);
    } else {
        put_u16(packet, 4, length - IPV6_HEADER);
    }
    if shape.protocol == UDP {
        put_u16(packet, shape.transport + 4, length - shape.transport);
    }
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

/// The length of an authentic inner packet by its own header. None if it is not IP, or longer than the bytes that are
/// there.
pub fn ip_length(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 if packet.len() >= IPV4_HEADER => {
            let (length, header) = (u16_at(packet, 2), usize::from(packet[0] & 15) * 4);
            ((IPV4_HEADER..=length).contains(&header) && length <= packet.len()).then_some(length)
        }
        6 if packet.len() >= IPV6_HEADER => {
            let length = u16_at(packet, 4) + IPV6_HEADER;
            (length <= packet.len()).then_some(length)
        }
        _ => None,
    }
}
