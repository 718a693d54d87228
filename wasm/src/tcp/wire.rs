//! TCP segments in IP packets: read, checked and written (RFC 9293 §3.1, RFC 7323, RFC 2018, RFC 8200, RFC 791).

use super::seq::Seq;
use crate::checksum::pseudo_header;
use crate::headers::{
    IPV4_HEADER, IPV6_HEADER, TCP, TCP_CHECKSUM, TCP_HEADER, addresses, transport_sum, u16_at, u32_at,
    write_ipv4_checksum,
};
use crate::offload::{GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VIRTIO_HEADER};

pub use crate::headers::{ACK, FIN, PSH, RST, SYN};

const HOP_LIMIT: u8 = 64;
/// SACK blocks that fit beside a timestamp (RFC 2018 §3).
pub const MAX_SACKS: usize = 3;
/// Bytes of the timestamp option with its padding: every segment after the handshake carries it.
pub const TIMESTAMP_BYTES: usize = 12;
/// Bytes of the longest headers that are written: IPv6, TCP and all its options.
pub const MAX_HEADERS: usize = IPV6_HEADER + 60;

/// An IP address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Address {
    pub fn is_v4(&self) -> bool {
        matches!(self, Self::V4(_))
    }

    /// Whether a connection may use this address: it identifies one host (RFC 1122 §4.2.3.10).
    pub fn is_unicast(&self) -> bool {
        match self {
            Self::V4(bytes) => !matches!(bytes[0], 0 | 224..),
            Self::V6(bytes) => bytes[0] != 0xff && bytes != &[0; 16],
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Endpoint {
    pub address: Address,
    pub port: u16,
}

/// The 4-tuple that identifies a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tuple {
    pub remote: Endpoint,
    pub local: Endpoint,
}

/// The options of a segment, as far as this endpoint knows them.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Options {
    pub max_segment: Option<u16>,
    pub window_scale: Option<u8>,
    pub sack_permitted: bool,
    /// Value and echo (RFC 7323 §3).
    pub timestamp: Option<(u32, u32)>,
    pub sacks: [(Seq, Seq); MAX_SACKS + 1],
    pub sack_count: usize,
}

impl Options {
    pub fn sacks(&self) -> &[(Seq, Seq)] {
        &self.sacks[..self.sack_count]
    }
}

/// A segment without its payload.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub tuple: Tuple,
    pub seq: Seq,
    pub ack: Seq,
    pub flags: u8,
    pub window: u16,
    pub options: Options,
}

impl Header {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Where a packet's TCP header is, and where the packet ends. None if it is not TCP, or only a fragment.
fn find(packet: &[u8]) -> Option<(usize, usize)> {
    match packet.first()? >> 4 {
        4 if packet.len() >= IPV4_HEADER => {
            let header = usize::from(packet[0] & 15) * 4;
            let length = u16_at(packet, 2);
            let fragment = u16_at(packet, 6) & 0x3fff != 0;
            (header >= IPV4_HEADER && packet[9] == TCP && !fragment).then_some((header, length))
        }
        // A segment behind extension headers is dropped. No system that we know sends one through a tunnel.
        6 if packet.len() >= IPV6_HEADER && packet[6] == TCP => {
            Some((IPV6_HEADER, IPV6_HEADER + u16_at(packet, 4)))
        }
        _ => None,
    }
}

/// Reads a segment.
///
/// `packet` is one IP packet, or the first part of a joined one. The parts behind it have `more` bytes. Returns the header
/// and where the payload begins. None if it is not a well-formed TCP segment. `summed` means that the checksum was already
/// verified.
pub fn parse(packet: &[u8], more: usize, summed: bool) -> Option<(Header, usize)> {
    let (tcp, length) = find(packet)?;
    if length != packet.len() + more || packet.len() < tcp + TCP_HEADER {
        return None;
    }
    let payload = tcp + usize::from(packet[tcp + 12] >> 4) * 4;
    if payload < tcp + TCP_HEADER || payload > packet.len() {
        return None;
    }
    let v4 = packet[0] >> 4 == 4;
    if !summed && (more > 0 || transport_sum(packet, tcp, TCP) != 0xffff) {
        return None;
    }
    let address = |at4: usize, at6: usize| {
        if v4 {
            Address::V4(packet[at4..at4 + 4].try_into().expect("four bytes"))
        } else {
            Address::V6(packet[at6..at6 + 16].try_into().expect("sixteen bytes"))
        }
    };
    let header = Header {
        tuple: Tuple {
            remote: Endpoint { address: address(12, 8), port: u16_at(packet, tcp) as u16 },
            local: Endpoint { address: address(16, 24), port: u16_at(packet, tcp + 2) as u16 },
        },
        seq: Seq(u32_at(packet, tcp + 4)),
        ack: Seq(u32_at(packet, tcp + 8)),
        flags: packet[tcp + 13],
        window: u16_at(packet, tcp + 14) as u16,
        options: parse_options(&packet[tcp + TCP_HEADER..payload]),
    };
    Some((header, payload))
}

/// Reads the known options. A malformed option ends the list, as in the kernel (tcp_parse_options).
fn parse_options(mut rest: &[u8]) -> Options {
    let mut options = Options::default();
    while let Some((&kind, behind)) = rest.split_first() {
        match kind {
            0 => break,
            1 => {
                rest = behind;
                continue;
            }
            _ => {}
        }
        let Some(length) = behind.first().map(|&length| usize::from(length)) else { break };
        if length < 2 || length > rest.len() {
            break;
        }
        let body = &rest[2..length];
        match (kind, body.len()) {
            (2, 2) => options.max_segment = Some(u16_at(body, 0) as u16),
            (3, 1) => options.window_scale = Some(body[0].min(14)),
            (4, 0) => options.sack_permitted = true,
            (5, bytes) if bytes % 8 == 0 => {
                for block in body.chunks_exact(8).take(options.sacks.len() - options.sack_count) {
                    options.sacks[options.sack_count] = (Seq(u32_at(block, 0)), Seq(u32_at(block, 4)));
                    options.sack_count += 1;
                }
            }
            (8, 8) => options.timestamp = Some((u32_at(body, 0), u32_at(body, 4))),
            _ => {}
        }
        rest = &rest[length..];
    }
    options
}

/// Bytes of the IP and TCP headers of a data segment: with a timestamp but without SACK blocks, or without both.
pub fn headers_length(v4: bool, timestamps: bool) -> usize {
    let ip = if v4 { IPV4_HEADER } else { IPV6_HEADER };
    ip + TCP_HEADER + if timestamps { TIMESTAMP_BYTES } else { 0 }
}

/// Writes a segment's virtio header, IP header and TCP header. Then `fill` writes its payload.
///
/// A payload longer than `segment` is a super-packet, which the sealing code splits (TSO). That code also computes the
/// checksum: the field holds the sum of the pseudo-header (`NEEDS_CSUM` of linux/virtio_net.h).
///
/// Returns the bytes written, including the virtio header. `out` must have space for them.
pub fn write(
    out: &mut [u8],
    header: &Header,
    payload: usize,
    segment: usize,
    fill: impl FnOnce(&mut [u8]),
) -> usize {
    let mut options = [0u8; 40];
    let option_bytes = write_options(&header.options, &mut options);
    let v4 = header.tuple.local.address.is_v4();
    let ip = if v4 { IPV4_HEADER } else { IPV6_HEADER };
    let headers = ip + TCP_HEADER + option_bytes;
    let length = headers + payload;
    let (virtio, packet) = out[..VIRTIO_HEADER + length].split_at_mut(VIRTIO_HEADER);
    virtio.fill(0);
    virtio[0] = NEEDS_CSUM;
    if payload > segment {
        virtio[1] = if v4 { GSO_TCPV4 } else { GSO_TCPV6 };
        virtio[2..4].copy_from_slice(&(headers as u16).to_le_bytes());
        virtio[4..6].copy_from_slice(&(segment as u16).to_le_bytes());
    }
    virtio[6..8].copy_from_slice(&(ip as u16).to_le_bytes());
    virtio[8..10].copy_from_slice(&(TCP_CHECKSUM as u16).to_le_bytes());
    match (header.tuple.local.address, header.tuple.remote.address) {
        (Address::V4(from), Address::V4(to)) => {
            packet[..12].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0, HOP_LIMIT, TCP, 0, 0]);
            packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            packet[12..16].copy_from_slice(&from);
            packet[16..20].copy_from_slice(&to);
            write_ipv4_checksum(packet);
        }
        (Address::V6(from), Address::V6(to)) => {
            packet[..8].copy_from_slice(&[0x60, 0, 0, 0, 0, 0, TCP, HOP_LIMIT]);
            packet[4..6].copy_from_slice(&((length - IPV6_HEADER) as u16).to_be_bytes());
            packet[8..24].copy_from_slice(&from);
            packet[24..40].copy_from_slice(&to);
        }
        _ => unreachable!("both addresses of a connection are of one family"),
    }
    let pseudo = pseudo_header(&packet[addresses(packet)], TCP, length - ip);
    let tcp = &mut packet[ip..];
    tcp[..2].copy_from_slice(&header.tuple.local.port.to_be_bytes());
    tcp[2..4].copy_from_slice(&header.tuple.remote.port.to_be_bytes());
    tcp[4..8].copy_from_slice(&header.seq.0.to_be_bytes());
    tcp[8..12].copy_from_slice(&header.ack.0.to_be_bytes());
    tcp[12] = (((TCP_HEADER + option_bytes) / 4) as u8) << 4;
    tcp[13] = header.flags;
    tcp[14..16].copy_from_slice(&header.window.to_be_bytes());
    tcp[16..18].copy_from_slice(&(pseudo as u16).to_be_bytes());
    tcp[18..20].fill(0);
    tcp[TCP_HEADER..TCP_HEADER + option_bytes].copy_from_slice(&options[..option_bytes]);
    fill(&mut tcp[TCP_HEADER + option_bytes..]);
    VIRTIO_HEADER + length
}

/// Writes options padded to whole words. Timestamps are first and aligned, so that receivers use their fast path.
fn write_options(options: &Options, out: &mut [u8; 40]) -> usize {
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    if let Some(size) = options.max_segment {
        put(&[2, 4]);
        put(&size.to_be_bytes());
    }
    if options.sack_permitted {
        put(&[1, 1, 4, 2]);
    }
    if let Some((value, echo)) = options.timestamp {
        put(&[1, 1, 8, 10]);
        put(&value.to_be_bytes());
        put(&echo.to_be_bytes());
    }
    if let Some(scale) = options.window_scale {
        put(&[1, 3, 3, scale]);
    }
    if options.sack_count > 0 {
        put(&[1, 1, 5, (2 + 8 * options.sack_count) as u8]);
        for (start, end) in options.sacks() {
            put(&start.0.to_be_bytes());
            put(&end.0.to_be_bytes());
        }
    }
    at
}
