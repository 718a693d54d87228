//! The headers of IP, TCP and UDP packets: their fields, lengths, checksums and ECN bits.

use crate::checksum::{pseudo_header, sum};
use core::ops::Range;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

pub const IPV4_HEADER: usize = 20;
pub const IPV6_HEADER: usize = 40;
pub const UDP_HEADER: usize = 8;
/// Bytes of a TCP header without options.
pub const TCP_HEADER: usize = 20;
/// Offset of the checksum in a TCP header.
pub const TCP_CHECKSUM: usize = 16;
/// Offset of the checksum in a UDP header.
pub const UDP_CHECKSUM: usize = 6;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const CWR: u8 = 0x80;

/// Bytes that are loaded with one bounds check. Single loads would need two checks each: one here and one in V8.
#[inline(always)]
pub fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("N bytes")
}

#[inline(always)]
pub fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes(array_at(bytes, at)))
}

pub fn put_u16(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}

#[inline(always)]
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array_at(bytes, at))
}

pub fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Where both addresses are in an IP header whose version was checked.
#[inline(always)]
pub fn addresses(packet: &[u8]) -> Range<usize> {
    if packet[0] >> 4 == 4 { 12..20 } else { 8..40 }
}

/// The checksum's sum over the transport header and payload from `transport` on, and the pseudo-header.
pub fn transport_sum(packet: &[u8], transport: usize, protocol: u8) -> u16 {
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

pub fn write_ipv4_checksum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 15) * 4;
    put_u16(packet, 10, 0);
    let checksum = !sum(&packet[..header], 0);
    put_u16(packet, 10, usize::from(checksum));
}

/// Computes the transport checksum over `packet[transport..]`, which must include the checksum's field.
pub fn write_transport_checksum(packet: &mut [u8], transport: usize, protocol: u8) {
    let field = transport + if protocol == TCP { TCP_CHECKSUM } else { UDP_CHECKSUM };
    put_u16(packet, field, 0);
    put_checksum(packet, field, protocol, !transport_sum(packet, transport, protocol));
}

/// A UDP checksum of zero means that there is none, so 0xffff is sent in its place (RFC 768).
pub fn put_checksum(packet: &mut [u8], field: usize, protocol: u8, checksum: u16) {
    let checksum = if checksum == 0 && protocol == UDP { 0xffff } else { checksum };
    put_u16(packet, field, usize::from(checksum));
}

/// Writes the length of a packet into its headers.
pub fn put_lengths(packet: &mut [u8], transport: usize, protocol: u8, length: usize) {
    if packet[0] >> 4 == 4 {
        put_u16(packet, 2, length);
        write_ipv4_checksum(packet);
    } else {
        put_u16(packet, 4, length - IPV6_HEADER);
    }
    if protocol == UDP {
        put_u16(packet, transport + 4, length - transport);
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
