//! Joining hostile traffic. With any packets in any order, the host behind the TUN device must see what it would see if
//! every packet were written alone. The reference only splits super-packets.
//!
//! No cipher is used: packets are placed as `open_batch` leaves them.

mod random;

use random::Random;
use std::collections::BTreeSet;
use wgd_wasm::joining::{Batch, Output, separate};
use wgd_wasm::offload::{Join, VIRTIO_HEADER};

const TCP: u8 = 6;
const UDP: u8 = 17;
const CASES: usize = 200_000;
/// The lengths of a datagram before and after its text.
const BEFORE: usize = 16;
const BEHIND: usize = 16;

fn sum(data: &[u8], initial: u32) -> u16 {
    let mut total = initial;
    for pair in data.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn word(packet: &[u8], at: usize) -> usize {
    usize::from(packet[at]) << 8 | usize::from(packet[at + 1])
}

fn put(packet: &mut [u8], at: usize, value: usize) {
    packet[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
}

/// Length of the IP header, without extension headers, and the protocol that follows.
fn ip(packet: &[u8]) -> (usize, u8) {
    if packet[0] >> 4 == 4 { (usize::from(packet[0] & 15) * 4, packet[9]) } else { (40, packet[6]) }
}

fn addresses(packet: &[u8]) -> &[u8] {
    if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] }
}

fn put_checksums(packet: &mut [u8]) {
    let (header, protocol) = ip(packet);
    if packet[0] >> 4 == 4 {
        put(packet, 10, 0);
        let value = usize::from(!sum(&packet[..header], 0));
        put(packet, 10, value);
    }
    let field = match protocol {
        TCP => 16,
        UDP => 6,
        _ => return,
    };
    if packet.len() < header + field + 2 {
        return;
    }
    put(packet, header + field, 0);
    let pseudo = u32::from(sum(addresses(packet), 0)) + u32::from(protocol) + (packet.len() - header) as u32;
    let value = !sum(&packet[header..], pseudo);
    put(packet, header + field, usize::from(if value == 0 && protocol == UDP { 0xffff } else { value }));
}

/// A sending connection and its state.
struct Connection {
    version: u8,
    protocol: u8,
    port: u16,
    host: u8,
    sequence: u32,
    acknowledgement: u32,
    identification: u16,
    counts: bool,
    size: usize,
    options: usize,
    flags: u16,
}

impl Connection {
    fn new(random: &mut Random) -> Connection {
        Connection {
            version: [4, 6][random.below(2)],
            protocol: [TCP, TCP, UDP][random.below(3)],
            port: 1_000 + random.below(3) as u16,
            host: 1 + random.below(2) as u8,
            sequence: u32::MAX - random.below(2_000) as u32,
            acknowledgement: random.below(5) as u32,
            identification: random.below(65_536) as u16,
            counts: random.one_in(2),
            size: 1 + random.below(60),
            options: [0, 0, 12, 4 * random.below(11)][random.below(4)],
            flags: [0x4000, 0x4000, 0][random.below(3)],
        }
    }

    /// Its next packet, which is sometimes unusual.
    fn next(&mut self, random: &mut Random) -> Vec<u8> {
        let header = if self.version == 4 { 20 } else { 40 };
        let transport = if self.protocol == TCP { 20 + self.options } else { 8 };
        let payload = if random.one_in(12) { random.below(self.size + 2) } else { self.size };
        let mut packet: Vec<u8> =
            (0..header + transport + payload).map(|_| random.below(256) as u8).collect();
        let length = packet.len();
        packet[..header].fill(0);
        if self.version == 4 {
            packet[0] = 0x45;
            put(&mut packet, 2, length);
            put(&mut packet, 4, usize::from(self.identification));
            put(&mut packet, 6, usize::from(self.flags));
            packet[8] = 64;
            packet[9] = self.protocol;
            packet[12..20].copy_from_slice(&[10, 0, 0, self.host, 10, 0, 0, 9]);
            self.identification = self.identification.wrapping_add(u16::from(self.counts));
        } else {
            packet[0] = 0x60;
            put(&mut packet, 4, length - 40);
            packet[6] = self.protocol;
            packet[7] = 64;
            packet[8..40].fill(0xfd);
            packet[23] = self.host;
        }
        put(&mut packet, header, usize::from(self.port));
        put(&mut packet, header + 2, 80);
        if self.protocol == TCP {
            let sequence = if random.one_in(30) { random.below(9_999) as u32 } else { self.sequence };
            packet[header + 4..header + 8].copy_from_slice(&sequence.to_be_bytes());
            packet[header + 8..header + 12].copy_from_slice(&self.acknowledgement.to_be_bytes());
            packet[header + 12] = ((transport / 4) << 4) as u8;
            packet[header + 13] = if random.one_in(10) { 0x18 } else { 0x10 };
            put(&mut packet, header + 14, 500);
            put(&mut packet, header + 18, 0);
            packet[header + 20..header + transport].fill(1);
            self.sequence = self.sequence.wrapping_add(payload as u32);
        } else {
            put(&mut packet, header + 4, transport + payload);
        }
        put_checksums(&mut packet);
        if random.one_in(8) {
            self.distort(&mut packet, header, random);
        }
        packet
    }

    /// Changes something. Usually the checksums are correct again afterwards.
    fn distort(&mut self, packet: &mut Vec<u8>, header: usize, random: &mut Random) {
        match random.below(12) {
            // Any header field.
            0..4 => {
                let at = 1 + random.below(header + 19);
                let length = if self.version == 4 { 2..4 } else { 4..6 };
                if at < packet.len() && !length.contains(&at) {
                    packet[at] ^= 1 << random.below(8);
                }
            }
            // A fragment, or an extension header.
            4 if self.version == 4 => put(packet, 6, [0x2000, 0x2001, 5][random.below(3)]),
            4 => packet[6] = [0, 43, 44, 60][random.below(4)],
            // TCP's flags; the class; the hop limit.
            5 if self.protocol == TCP => packet[header + 13] ^= 1 << random.below(8),
            6 => packet[1] ^= 0x10,
            7 => packet[if self.version == 4 { 8 } else { 7 }] ^= 1,
            // Another acknowledgement for all later packets.
            8 => self.acknowledgement += 1,
            // IPv4 options.
            9 if self.version == 4 => {
                packet[0] = 0x46;
                packet.splice(20..20, [1, 1, 1, 1]);
                let length = packet.len();
                put(packet, 2, length);
            }
            // Too short for its transport header.
            10 => {
                packet.truncate(header + random.below(9));
                let length = packet.len();
                if self.version == 4 { put(packet, 2, length) } else { put(packet, 4, length - 40) }
            }
            // A wrong checksum that stays wrong.
            _ => {
                let at = random.below(packet.len() - header) + header;
                packet[at] ^= 1 << random.below(8);
                return;
            }
        }
        if random.one_in(4) {
            return;
        }
        put_checksums(packet);
    }
}

/// Splits what was written as the kernel does, by the virtio header. Independent of the tested code.
fn cut(written: &[u8]) -> Vec<Vec<u8>> {
    let (header, packet) = written.split_at(VIRTIO_HEADER);
    let native = |at: usize| usize::from(header[at]) | usize::from(header[at + 1]) << 8;
    if header[1] == 0 {
        assert_eq!(header, [0; VIRTIO_HEADER]);
        return vec![packet.to_vec()];
    }
    let (ip_header, protocol) = ip(packet);
    let (headers, size) = (native(2), native(4));
    let kind = match (protocol, packet[0] >> 4) {
        (TCP, 4) => 1,
        (TCP, 6) => 4,
        (UDP, _) => 5,
        other => panic!("joined {other:?}"),
    };
    assert_eq!((header[0], header[1]), (1, kind), "NEEDS_CSUM, and a type that fits the packet");
    assert_eq!((native(6), native(8)), (ip_header, if protocol == TCP { 16 } else { 6 }));
    let transport = if protocol == TCP { usize::from(packet[ip_header + 12] >> 4) * 4 } else { 8 };
    assert_eq!(headers, ip_header + transport);
    let claimed = if packet[0] >> 4 == 4 { word(packet, 2) } else { 40 + word(packet, 4) };
    assert_eq!(claimed, packet.len());
    if packet[0] >> 4 == 4 {
        assert_eq!(sum(&packet[..ip_header], 0), 0xffff, "the kernel drops a wrong header checksum");
    }
    if protocol == UDP {
        assert_eq!(word(packet, ip_header + 4), packet.len() - ip_header);
        // linux/virtio_net.h refuses more.
        assert!(packet.len() - headers <= 64 * size);
    }
    let pseudo =
        u32::from(sum(addresses(packet), 0)) + u32::from(protocol) + (packet.len() - ip_header) as u32;
    assert_eq!(word(packet, ip_header + native(8)), usize::from(sum(&[], pseudo)), "a partial checksum");
    let chunks: Vec<_> = packet[headers..].chunks(size).collect();
    assert!(chunks.len() > 1);
    let segment = |(i, chunk): (usize, &&[u8])| {
        let mut segment = packet[..headers].to_vec();
        segment.extend_from_slice(chunk);
        let length = segment.len();
        if segment[0] >> 4 == 4 {
            put(&mut segment, 2, length);
            let identification = word(packet, 4) + i;
            put(&mut segment, 4, identification);
        } else {
            put(&mut segment, 4, length - 40);
        }
        if protocol == TCP {
            let at = ip_header + 4..ip_header + 8;
            let first = u32::from_be_bytes(segment[at.clone()].try_into().unwrap());
            segment[at].copy_from_slice(&first.wrapping_add((i * size) as u32).to_be_bytes());
            if i + 1 < chunks.len() {
                segment[ip_header + 13] &= !0x09;
            }
        } else {
            put(&mut segment, ip_header + 4, length - ip_header);
        }
        put_checksums(&mut segment);
        segment
    };
    chunks.iter().enumerate().map(segment).collect()
}

/// Packets with the same tag must keep their order. A packet may have several tags: those of its ports if these are known,
/// otherwise every tag of its addresses and protocol.
fn may_share_a_flow(a: &[u8], b: &[u8]) -> bool {
    let ports = |packet: &[u8]| {
        let (header, protocol) = ip(packet);
        let fragment = packet[0] >> 4 == 4 && word(packet, 6) & 0x3fff != 0;
        let known = (protocol == TCP || protocol == UDP) && !fragment;
        (known && packet.len() >= header + 4).then(|| packet[header..header + 4].to_vec())
    };
    if packet_kind(a) != packet_kind(b) || addresses(a) != addresses(b) {
        return false;
    }
    // An extension header of IPv6 may be followed by either protocol.
    let hidden = |packet: &[u8]| packet[0] >> 4 == 6 && [0, 43, 44, 60].contains(&packet[6]);
    if hidden(a) || hidden(b) {
        return true;
    }
    ip(a).1 == ip(b).1
        && match (ports(a), ports(b)) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        }
}

fn packet_kind(packet: &[u8]) -> u8 {
    packet[0] >> 4
}

/// What must be equal: everything except the identification of a packet that must not be fragmented.
fn comparable(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

/// Every packet exactly once, byte by byte, and those of one flow in order.
fn assert_same(case: usize, sent: &[Vec<u8>], seen: &[Vec<u8>]) {
    assert_eq!(sent.len(), seen.len(), "case {case}");
    let sent: Vec<_> = sent.iter().map(|packet| comparable(packet)).collect();
    let seen: Vec<_> = seen.iter().map(|packet| comparable(packet)).collect();
    // Each seen packet is matched with the first equal sent packet that has no match yet.
    let mut left: BTreeSet<usize> = (0..sent.len()).collect();
    for packet in &seen {
        let found = left.iter().copied().find(|&i| sent[i] == *packet);
        let found = found.unwrap_or_else(|| panic!("case {case}: nobody sent {packet:02x?}"));
        let overtaken =
            left.iter().take_while(|&&i| i < found).find(|&&i| may_share_a_flow(&sent[i], packet));
        assert!(overtaken.is_none(), "case {case}: packet {found} overtook {overtaken:?}");
        left.remove(&found);
    }
}

#[test]
fn a_host_sees_what_it_would_see_without_joining() {
    let mut random = Random(0x6a6f_696e);
    let mut output = Box::<Output>::default();
    let (mut packets, mut entries, mut joined, mut interleaved) = (0, 0, 0, 0);
    for case in 0..CASES {
        let mut connections: Vec<_> =
            (0..1 + random.below(20)).map(|_| Connection::new(&mut random)).collect();
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let bursts = random.one_in(2);
        let long = usize::from(random.one_in(100));
        let mut turn = 0;
        let turns = if long == 1 { 400 } else { 1 + random.below(40) };
        for _ in 0..turns {
            if !bursts || random.one_in([6, 200][long]) {
                turn = random.below(connections.len());
            }
            let packet = connections[turn].next(&mut random);
            sent.push(packet);
            if random.one_in(25) {
                let again = sent[random.below(sent.len())].clone();
                sent.push(again);
            }
            if random.one_in(25) && sent.len() > 1 {
                let (a, b) = (random.below(sent.len()), random.below(sent.len()));
                sent.swap(a, b);
            }
        }
        let join = Join { tcp: !random.one_in(8), udp: !random.one_in(8) };

        let mut memory = Vec::new();
        let mut places = Vec::new();
        for packet in &sent {
            memory.resize(memory.len() + BEFORE, 0xaa);
            places.push(memory.len());
            memory.extend_from_slice(packet);
            // Padding, which is not part of the packet, and the tag.
            memory.resize(memory.len() + random.below(16) + BEHIND, 0xbb);
        }
        let mut batch = Batch::begin(&mut output, join);
        for (packet, &at) in sent.iter().zip(&places) {
            batch.add(&mut memory, at, packet.len());
        }
        let count = batch.finish(&mut memory);

        let mut seen = Vec::new();
        let mut used = 0;
        for entry in &output.entries[..count] {
            assert_eq!(entry.first, used);
            used += entry.count;
            let parts = &output.parts[entry.first..used];
            let written: Vec<u8> =
                parts.iter().flat_map(|part| &memory[part.at..part.at + part.length]).copied().collect();
            assert!(written.len() <= VIRTIO_HEADER + 65_535 && parts.len() <= 1_024);
            let cut = cut(&written);
            assert_eq!(cut.len(), entry.count);
            assert!(entry.count == 1 || if ip(&cut[0]).1 == TCP { join.tcp } else { join.udp });
            joined += usize::from(entry.count > 1);
            interleaved += usize::from(parts.windows(2).any(|pair| pair[1].at > pair[0].at + 300));
            seen.extend(cut);
        }
        assert_same(case, &sent, &seen);
        packets += sent.len();
        entries += count;

        // The device refuses each joined packet.
        let mut again = Vec::new();
        for entry in &output.entries[..count] {
            let parts = &mut output.parts[entry.first..entry.first + entry.count];
            if entry.count > 1 {
                separate(&mut memory, parts);
            }
            for part in &*parts {
                let written = &memory[part.at..part.at + part.length];
                assert_eq!(written[..VIRTIO_HEADER], [0; VIRTIO_HEADER]);
                again.push(written[VIRTIO_HEADER..].to_vec());
            }
        }
        assert_same(case, &sent, &again);
    }
    println!(
        "{CASES} batches, {packets} packets in {entries} writes: {joined} joined, {interleaved} across others"
    );
    assert!(joined > CASES && interleaved > CASES / 10, "the test must meet what it is about");
}
