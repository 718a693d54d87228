//! Super-packets: what the TUN device hands over is split into packets (TSO, USO), and received packets of one flow are
//! joined for it (GRO). Both follow the kernel's segmentation rules (net/ipv4/tcp_offload.c, udp_offload.c).
//!
//! A packet always follows a 10-byte `virtio_net_hdr` in host byte order (linux/virtio_net.h). What it says is not
//! trusted: `hdr_len` is ignored, since forwarded packets carry a whole first segment in it, and every offset is checked
//! against the packet.

use crate::checksum::{pseudo_header, sum};

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

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn put_u16(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Both addresses of an IP header whose version was checked.
fn addresses(packet: &[u8]) -> &[u8] {
    if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] }
}

/// The two ECN bits of an IP packet.
pub fn ecn(packet: &[u8]) -> u8 {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => packet[1] & 3,
        Some(6) => packet[1] >> 4 & 3,
        _ => 0,
    }
}

/// Marks an ECN-capable packet as having met congestion (RFC 6040 §4.2; the kernel's IP_ECN_set_ce).
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

/// Computes the transport checksum over `packet[transport..]`, whose field must be inside.
fn write_transport_checksum(packet: &mut [u8], transport: usize, protocol: u8) {
    let field = transport + if protocol == TCP { TCP_CHECKSUM } else { UDP_CHECKSUM };
    put_u16(packet, field, 0);
    let pseudo = pseudo_header(addresses(packet), protocol, packet.len() - transport);
    put_checksum(packet, field, protocol, !sum(&packet[transport..], pseudo));
}

/// A UDP checksum of zero means that there is none, so the other zero is sent (RFC 768).
fn put_checksum(packet: &mut [u8], field: usize, protocol: u8, checksum: u16) {
    let checksum = if checksum == 0 && protocol == UDP { 0xffff } else { checksum };
    put_u16(packet, field, usize::from(checksum));
}

/// What the virtio header says about a packet, once checked.
#[derive(Clone, Copy)]
enum Kind {
    /// One packet as it is.
    Whole,
    /// One packet whose transport checksum at `field` is still to be computed from `start` on.
    Unsummed { start: usize, field: usize },
    /// A super-packet: `headers` bytes are repeated before every `size` bytes of payload.
    Super { transport: usize, headers: usize, size: usize, protocol: u8 },
}

/// A super-packet and how to cut it.
pub struct Segments<'a> {
    packet: &'a [u8],
    kind: Kind,
    count: usize,
}

impl<'a> Segments<'a> {
    /// Reads a virtio header and the packet behind it. None if they do not fit together.
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

    /// How many packets it becomes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The ECN bits that all of them carry.
    pub fn ecn(&self) -> u8 {
        ecn(self.packet)
    }

    /// Bytes of one packet.
    pub fn length(&self, index: usize) -> usize {
        match self.kind {
            Kind::Super { headers, size, .. } => headers + self.payload(headers, size, index).len(),
            _ => self.packet.len(),
        }
    }

    /// Writes one packet, complete with lengths, sequence number and checksums. `out` has just its length.
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

/// Where the parts of a packet are that could be joined with its neighbours.
#[derive(Clone, Copy)]
struct Shape {
    transport: usize,
    headers: usize,
    protocol: u8,
}

impl Shape {
    /// None for what the kernel's GRO would not touch: options, extension headers, fragments, any flag but ACK and PSH,
    /// or no payload. `packet` is exactly as long as its IP header says.
    fn of(packet: &[u8], join: Join) -> Option<Shape> {
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

    fn checksum_is_valid(&self, packet: &[u8]) -> bool {
        let pseudo = pseudo_header(addresses(packet), self.protocol, packet.len() - self.transport);
        sum(&packet[self.transport..], pseudo) == 0xffff
    }
}

/// One packet of the output, which may grow: the joined ones behind each other's payload.
///
/// Invariant: packets are joined only within one keypair (a joiner lives for one batch of one keypair) and one full
/// 5-tuple. Whoever checks the source address of the result has checked all of them.
pub struct Joiner {
    join: Join,
    /// Of the first packet, if it can be joined with.
    shape: Option<Shape>,
    /// Payload bytes of each packet but the last.
    size: usize,
    next_sequence: u32,
    /// Whether a checksum of the first one was verified.
    verified: bool,
    /// Whether nothing may follow: a short packet or a PSH was the last.
    closed: bool,
    packets: usize,
}

impl Joiner {
    /// Begins with a packet that stands alone for now.
    pub fn begin(packet: &[u8], join: Join) -> Joiner {
        let shape = Shape::of(packet, join);
        let mut joiner =
            Joiner { join, shape, size: 0, next_sequence: 0, verified: false, closed: false, packets: 1 };
        if let Some(shape) = shape {
            joiner.size = packet.len() - shape.headers;
            if shape.protocol == TCP {
                joiner.next_sequence = u32_at(packet, shape.transport + 4).wrapping_add(joiner.size as u32);
                joiner.closed = packet[shape.transport + 13] & PSH != 0;
            }
        }
        joiner
    }

    pub fn packets(&self) -> usize {
        self.packets
    }

    /// Whether `packet` continues the flow whose super-packet so far is `first`. Returns the length of the headers that
    /// it then loses.
    pub fn accept(&mut self, first: &[u8], packet: &[u8]) -> Option<usize> {
        let shape = self.shape?;
        if self.closed {
            return None;
        }
        let other = Shape::of(packet, self.join)?;
        let Shape { transport, headers, protocol } = shape;
        let payload = packet.len() - other.headers;
        if other.transport != transport
            || other.headers != headers
            || other.protocol != protocol
            || payload > self.size
            || first.len() + payload > usize::from(u16::MAX)
            || !same_ip_header(first, packet)
            || first[transport..transport + 4] != packet[transport..transport + 4]
        {
            return None;
        }
        if protocol == TCP {
            let acknowledgement = transport + 8..transport + 12;
            let options = transport + MIN_TCP_HEADER..headers;
            if u32_at(packet, transport + 4) != self.next_sequence
                || first[acknowledgement.clone()] != packet[acknowledgement]
                || first[options.clone()] != packet[options]
            {
                return None;
            }
        }
        if !self.verified {
            if !shape.checksum_is_valid(first) {
                self.closed = true;
                return None;
            }
            self.verified = true;
        }
        if !shape.checksum_is_valid(packet) {
            return None;
        }
        self.packets += 1;
        self.next_sequence = self.next_sequence.wrapping_add(payload as u32);
        let pushed = protocol == TCP && packet[transport + 13] & PSH != 0;
        self.closed = pushed || payload < self.size;
        Some(headers)
    }

    /// Completes the virtio header and, of a joined packet, lengths and checksums. `pushed` is the last one's PSH.
    pub fn finish(&self, with_header: &mut [u8], pushed: bool) {
        let (header, packet) = with_header.split_at_mut(VIRTIO_HEADER);
        header.fill(0);
        let (Some(Shape { transport, headers, protocol }), true) = (self.shape, self.packets > 1) else {
            return;
        };
        let length = packet.len();
        let version = packet[0] >> 4;
        if version == 4 {
            put_u16(packet, 2, length);
            write_ipv4_checksum(packet);
        } else {
            put_u16(packet, 4, length - IPV6_HEADER);
        }
        let (gso_type, field) = match (protocol, version) {
            (TCP, 4) => (GSO_TCPV4, TCP_CHECKSUM),
            (TCP, _) => (GSO_TCPV6, TCP_CHECKSUM),
            _ => (GSO_UDP_L4, UDP_CHECKSUM),
        };
        if protocol == UDP {
            put_u16(packet, transport + 4, length - transport);
        } else if pushed {
            packet[transport + 13] |= PSH;
        }
        // The device completes the checksum from here on, so the field holds the pseudo-header's sum, not inverted.
        let pseudo = pseudo_header(addresses(packet), protocol, length - transport);
        put_u16(packet, transport + field, usize::from(sum(&[], pseudo)));
        header[0] = NEEDS_CSUM;
        header[1] = gso_type;
        for (at, value) in [(2, headers), (4, self.size), (6, transport), (8, field)] {
            header[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
        }
    }

    /// Whether a packet that was accepted has PSH set.
    pub fn is_pushed(&self, packet: &[u8]) -> bool {
        self.shape.is_some_and(|shape| shape.protocol == TCP && packet[shape.transport + 13] & PSH != 0)
    }
}

/// Everything but length, identification and checksum.
fn same_ip_header(a: &[u8], b: &[u8]) -> bool {
    if a[0] != b[0] {
        return false;
    }
    if a[0] >> 4 == 4 {
        // Type of service, the DF and reserved bits, time to live and protocol, both addresses.
        a[1] == b[1] && a[6] & 0xe0 == b[6] & 0xe0 && a[8..10] == b[8..10] && a[12..20] == b[12..20]
    } else {
        // Traffic class (not the flow label), next header and hop limit, both addresses.
        a[1] & 0xf0 == b[1] & 0xf0 && a[6..8] == b[6..8] && a[8..40] == b[8..40]
    }
}

/// The length an authentic inner packet has by its own header, or None if it is not IP or lies.
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
