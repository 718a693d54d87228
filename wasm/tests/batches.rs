//! Super-packets through both ends of a tunnel. The received packets, joined or not, must be those that a host without
//! offloads would have received.

mod random;

use random::Random;
use wgd_wasm::joining::{Output, separate};
use wgd_wasm::keypairs::Keypair;
use wgd_wasm::offload::{Join, Segments, VIRTIO_HEADER};
use wgd_wasm::replay::Seen;
use wgd_wasm::transport::{DATA_HEADER, Found, MAX_FOUND, OVERHEAD, open_batch, seal_batch};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ALL: Join = Join { tcp: true, udp: true };
const NONE: Join = Join { tcp: false, udp: false };

fn keypairs() -> (Keypair, Keypair) {
    let (mut sender, mut receiver) = (Keypair::new(7), Keypair::new(8));
    sender.send_key = [1; 32];
    receiver.receive_key = [1; 32];
    (sender, receiver)
}

/// A packet as a host may send it: IP and transport header with options, payload.
#[derive(Clone)]
struct Shape {
    version: u8,
    protocol: u8,
    ip_options: usize,
    tcp_options: usize,
    payload: usize,
    flags: u8,
    sequence: u32,
    port: u16,
    tos: u8,
    ttl: u8,
    fragment: u16,
    identification: u16,
    window: u16,
    label: u8,
}

impl Shape {
    fn plain(version: u8, protocol: u8, payload: usize) -> Shape {
        let (flags, sequence, port, tos, ttl) = (0x10, 1_000, 5_000, 0, 64);
        Shape {
            version,
            protocol,
            ip_options: 0,
            tcp_options: 0,
            payload,
            flags,
            sequence,
            port,
            tos,
            ttl,
            fragment: 0x4000,
            identification: 0x1234,
            window: 0x0707,
            label: 0,
        }
    }

    fn ip_header(&self) -> usize {
        if self.version == 4 { 20 + self.ip_options } else { 40 }
    }

    fn headers(&self) -> usize {
        self.ip_header() + if self.protocol == TCP { 20 + self.tcp_options } else { 8 }
    }

    /// The packet with correct lengths and checksums.
    fn packet(&self, random: &mut Random) -> Vec<u8> {
        let (ip, headers) = (self.ip_header(), self.headers());
        let mut packet = random.bytes(headers + self.payload);
        let length = packet.len();
        if self.version == 4 {
            packet[0] = 0x40 | (ip / 4) as u8;
            packet[1] = self.tos;
            packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            packet[4..6].copy_from_slice(&self.identification.to_be_bytes());
            packet[6..8].copy_from_slice(&self.fragment.to_be_bytes());
            packet[8] = self.ttl;
            packet[9] = self.protocol;
            packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
            packet[20..ip].fill(1);
            packet[10..12].fill(0);
            let sum = !reference_sum(&packet[..ip], 0);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        } else {
            packet[0] = 0x60 | self.tos >> 4;
            packet[1] = self.tos << 4;
            packet[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
            packet[2..4].copy_from_slice(&[0, self.label]);
            packet[6] = self.protocol;
            packet[7] = self.ttl;
            packet[8..40].fill(0xfd);
        }
        let transport = &mut packet[ip..];
        transport[..2].copy_from_slice(&self.port.to_be_bytes());
        transport[2..4].copy_from_slice(&80u16.to_be_bytes());
        if self.protocol == TCP {
            transport[4..8].copy_from_slice(&self.sequence.to_be_bytes());
            transport[8..12].copy_from_slice(&[9; 4]);
            transport[12] = (((20 + self.tcp_options) / 4) << 4) as u8;
            transport[13] = self.flags;
            transport[14..16].copy_from_slice(&self.window.to_be_bytes());
            transport[18..20].fill(0);
            transport[20..20 + self.tcp_options].fill(1);
        } else {
            let length = (transport.len() as u16).to_be_bytes();
            transport[4..6].copy_from_slice(&length);
        }
        put_checksum(&mut packet, ip, self.protocol);
        packet
    }
}

fn reference_sum(data: &[u8], initial: u32) -> u16 {
    let mut total = initial;
    for pair in data.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn pseudo(packet: &[u8], ip: usize, protocol: u8) -> u32 {
    let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    u32::from(reference_sum(addresses, 0)) + u32::from(protocol) + (packet.len() - ip) as u32
}

fn put_checksum(packet: &mut [u8], ip: usize, protocol: u8) {
    let at = ip + if protocol == TCP { 16 } else { 6 };
    packet[at..at + 2].fill(0);
    let sum = !reference_sum(&packet[ip..], pseudo(packet, ip, protocol));
    let sum = if sum == 0 && protocol == UDP { 0xffff } else { sum };
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn virtio(flags: u8, gso_type: u8, headers: usize, size: usize, start: usize, offset: usize) -> Vec<u8> {
    let mut header = vec![flags, gso_type];
    for value in [headers, size, start, offset] {
        header.extend_from_slice(&(value as u16).to_le_bytes());
    }
    header
}

/// The super-packet that the kernel would pass on for these headers and a payload of this length.
fn super_packet(shape: &Shape, size: usize, random: &mut Random) -> Vec<u8> {
    let mut packet = shape.packet(random);
    let (ip, headers) = (shape.ip_header(), shape.headers());
    let offset = if shape.protocol == TCP { 16 } else { 6 };
    let partial = reference_sum(&[], pseudo(&packet, ip, shape.protocol));
    packet[ip + offset..ip + offset + 2].copy_from_slice(&partial.to_be_bytes());
    let gso_type = match (shape.protocol, shape.version) {
        (TCP, 4) => 1,
        (TCP, _) => 4,
        _ => 5,
    };
    // hdr_len is wrong on purpose, because forwarded packets have a wrong one.
    let mut whole = virtio(1, gso_type, headers + 500, size, ip, offset);
    whole.extend_from_slice(&packet);
    whole
}

fn seal_all(keypair: &mut Keypair, packet: &[u8], mtu: usize) -> Vec<(Vec<u8>, usize)> {
    let mut trains = Vec::new();
    let mut first = 0;
    loop {
        let mut out = vec![0; 65_507];
        let sealed = seal_batch(keypair, packet, &mut out, mtu, first, 64);
        assert!(!sealed.malformed && sealed.segments > 0, "{sealed:?}");
        assert!(sealed.segments <= 64 && sealed.written <= 65_507);
        out.truncate(sealed.written);
        trains.push((out, sealed.stride));
        first += sealed.segments;
        if first == sealed.total {
            return trains;
        }
    }
}

/// What one batch passed to the TUN device.
struct Given {
    memory: Vec<u8>,
    output: Box<Output>,
    count: usize,
}

impl Given {
    /// Opens a train.
    fn open(
        keypair: &mut Keypair,
        train: &[u8],
        stride: usize,
        join: Join,
    ) -> (Given, wgd_wasm::transport::Opened) {
        let mut given = Given { memory: train.to_vec(), output: Box::default(), count: 0 };
        let mut seen = keypair.seen().clone();
        let opened = open_batch(keypair, &mut given.memory, stride, false, join, &mut given.output);
        given.count = opened.entries;
        if train.len() <= MAX_FOUND * stride {
            given.agrees_with_stages(&opened, (keypair, &mut seen), train, stride, join);
        }
        (given, opened)
    }

    /// Opens the train again, in stages and with the previous window, and compares.
    fn agrees_with_stages(
        &self,
        opened: &wgd_wasm::transport::Opened,
        (keypair, seen): (&Keypair, &mut Seen),
        train: &[u8],
        stride: usize,
        join: Join,
    ) {
        let mut given = Given { memory: train.to_vec(), output: Box::default(), count: 0 };
        let mut found = Found::new();
        found.authenticate(&keypair.receive_key, &mut given.memory, stride);
        assert_eq!(found.admit(seen), opened.authenticated);
        let staged = found.join(&mut given.memory, false, join, &mut given.output);
        given.count = staged.entries;
        assert_eq!(given.packets(), self.packets());
        let same = |opened: &wgd_wasm::transport::Opened| {
            // A modified copy may be counted as either of the two, because stages authenticate first.
            (
                opened.keepalives,
                opened.wire_bytes,
                opened.malformed,
                opened.too_short,
                opened.bad_tag + opened.replayed,
            )
        };
        assert_eq!(same(&staged), same(opened));
    }

    /// The number of received packets in each of them.
    fn counts(&self) -> Vec<usize> {
        self.output.entries[..self.count].iter().map(|entry| entry.count).collect()
    }

    /// Each one as the kernel sees it: the virtio header, then all parts.
    fn packets(&self) -> Vec<Vec<u8>> {
        let Output { entries, parts, .. } = &*self.output;
        entries[..self.count]
            .iter()
            .map(|entry| {
                let parts = &parts[entry.first..entry.first + entry.count];
                parts.iter().flat_map(|part| &self.memory[part.at..part.at + part.length]).copied().collect()
            })
            .collect()
    }

    /// The packets again, after the device has refused each joined one.
    fn separated(&mut self) -> Vec<Vec<u8>> {
        let Output { entries, parts, .. } = &mut *self.output;
        let mut packets = Vec::new();
        for entry in &entries[..self.count] {
            let parts = &mut parts[entry.first..entry.first + entry.count];
            if parts.len() > 1 {
                separate(&mut self.memory, parts);
            }
            packets.extend(parts.iter().map(|part| self.memory[part.at..part.at + part.length].to_vec()));
        }
        packets
    }
}

fn open_all(keypair: &mut Keypair, trains: &[(Vec<u8>, usize)], join: Join) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for (train, stride) in trains {
        let (given, opened) = Given::open(keypair, train, *stride, join);
        assert_eq!(opened.bad_tag + opened.replayed + opened.malformed + opened.too_short, 0);
        packets.extend(given.packets());
    }
    packets
}

/// Splits a packet for the TUN device as the kernel would before a host sees it.
fn split(with_header: &[u8]) -> Vec<Vec<u8>> {
    let segments = Segments::parse(with_header).expect("what we write is well-formed");
    (0..segments.count())
        .map(|i| {
            let mut out = vec![0; segments.length(i)];
            segments.write(i, &mut out);
            out
        })
        .collect()
}

fn is_valid(packet: &[u8]) -> bool {
    let (ip, protocol) =
        if packet[0] >> 4 == 4 { (usize::from(packet[0] & 15) * 4, packet[9]) } else { (40, packet[6]) };
    let length = if packet[0] >> 4 == 4 {
        usize::from(u16::from_be_bytes([packet[2], packet[3]]))
    } else {
        40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]))
    };
    let header = packet[0] >> 4 == 6 || reference_sum(&packet[..ip], 0) == 0xffff;
    header && length == packet.len() && reference_sum(&packet[ip..], pseudo(packet, ip, protocol)) == 0xffff
}

/// The identification of packets that must not be fragmented has no meaning (RFC 6864), so joining may lose it.
fn without_identification(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

#[test]
fn super_packets_arrive_as_the_packets_they_stand_for() {
    let mut random = Random(11);
    for round in 0..600 {
        let (mut sender, mut receiver) = keypairs();
        let version = if random.below(2) == 0 { 4 } else { 6 };
        let protocol = if random.below(3) == 0 { UDP } else { TCP };
        let mut shape = Shape::plain(version, protocol, 0);
        shape.tcp_options = 4 * random.below(11);
        shape.ip_options = if random.below(8) == 0 { 4 * random.below(11) } else { 0 };
        shape.flags = if random.below(2) == 0 { 0x10 } else { 0x18 };
        shape.sequence = u32::MAX - random.below(100_000) as u32;
        let size = [1, 37, 500, 1_340, 8_900][random.below(5)] + random.below(20);
        shape.payload = (1 + random.below(size * 70)).min(65_535 - shape.headers());
        let whole = super_packet(&shape, size, &mut random);
        let payload = &whole[VIRTIO_HEADER + shape.headers()..];

        let trains = seal_all(&mut sender, &whole, 1_420);
        let plain = open_all(&mut receiver, &trains, NONE);
        let packets: Vec<_> = plain.iter().map(|packet| &packet[VIRTIO_HEADER..]).collect();
        assert_eq!(packets.len(), shape.payload.div_ceil(size), "round {round}");
        let mut carried = Vec::new();
        for (i, packet) in packets.iter().enumerate() {
            assert!(is_valid(packet), "round {round}, packet {i}");
            carried.extend_from_slice(&packet[shape.headers()..]);
            if protocol == TCP {
                let transport = &packet[shape.ip_header()..];
                let sequence = u32::from_be_bytes(transport[4..8].try_into().unwrap());
                assert_eq!(sequence, shape.sequence.wrapping_add((i * size) as u32));
                let last = i + 1 == packets.len();
                assert_eq!(transport[13], if last { shape.flags } else { 0x10 }, "PSH belongs to the last");
            }
        }
        assert_eq!(carried, payload);

        let (_, mut joining) = keypairs();
        let joined = open_all(&mut joining, &trains, ALL);
        let again: Vec<_> = joined.iter().flat_map(|packet| split(packet)).collect();
        let expected: Vec<_> = packets.iter().map(|packet| without_identification(packet)).collect();
        assert_eq!(again.iter().map(|packet| without_identification(packet)).collect::<Vec<_>>(), expected);
        assert!(again.iter().all(|packet| is_valid(packet)), "round {round}");
        if shape.ip_options == 0 && packets.len() > 1 && packets.len() < 60 && trains.len() == 1 {
            assert_eq!(joined.len(), 1, "round {round}: a whole flow is one super-packet again");
        }
    }
}

/// Opens packets that were sealed one by one, and returns the number of packets in each result.
fn joined(packets: &[Vec<u8>]) -> Vec<usize> {
    let (mut sender, mut receiver) = keypairs();
    let stride = packets.iter().map(Vec::len).max().unwrap().next_multiple_of(16) + OVERHEAD;
    let mut train = Vec::new();
    for packet in packets {
        let mut padded = vec![0; VIRTIO_HEADER];
        padded.extend_from_slice(packet);
        // All packets of a train but the last have one length, so shorter packets get more padding here than from a sender.
        padded.resize(VIRTIO_HEADER + stride - OVERHEAD, 0);
        let mut out = vec![0; stride];
        assert_eq!(seal_batch(&mut sender, &padded, &mut out, 0, 0, 1).segments, 1);
        train.extend_from_slice(&out);
    }
    let (mut given, opened) = Given::open(&mut receiver, &train, stride, ALL);
    assert_eq!(opened.authenticated, packets.len());
    let counts = given.counts();
    let again: Vec<_> = given.packets().iter().flat_map(|packet| split(packet)).collect();
    let by_flow = |packets: &[Vec<u8>]| {
        let mut packets: Vec<_> = packets.iter().map(|packet| without_identification(packet)).collect();
        packets.sort_by_key(|packet| {
            let (ip, protocol) = match packet[0] >> 4 {
                4 => (usize::from(packet[0] & 15) * 4, packet[9]),
                _ => (40, packet[6]),
            };
            (protocol, packet[ip..ip + 2].to_vec())
        });
        packets
    };
    assert_eq!(by_flow(&again), by_flow(packets));
    let separated = given.separated();
    assert!(separated.iter().all(|packet| packet[..VIRTIO_HEADER] == [0; VIRTIO_HEADER]));
    let separated: Vec<_> = separated.iter().map(|packet| packet[VIRTIO_HEADER..].to_vec()).collect();
    assert_eq!(by_flow(&separated), by_flow(packets), "separated again");
    counts
}

#[test]
fn only_what_the_kernels_gro_would_join_is_joined() {
    let mut random = Random(5);
    let next = |shape: &Shape| Shape {
        sequence: shape.sequence.wrapping_add(shape.payload as u32),
        ..shape.clone()
    };
    for version in [4, 6] {
        let first = Shape::plain(version, TCP, 100);
        let second = next(&first);
        let other = Shape { port: 6_000, ..first.clone() };
        let datagram = Shape::plain(version, UDP, 99);
        let cases: Vec<(&str, Vec<Shape>, Vec<usize>)> = vec![
            ("three in order", vec![first.clone(), second.clone(), next(&second)], vec![3]),
            (
                "a shorter one is the last",
                vec![first.clone(), Shape { payload: 50, ..second.clone() }],
                vec![2],
            ),
            (
                "a larger one is another",
                vec![first.clone(), Shape { payload: 150, ..second.clone() }],
                vec![1, 1],
            ),
            (
                "nothing follows a shorter one",
                vec![
                    first.clone(),
                    Shape { payload: 50, ..second.clone() },
                    Shape { sequence: first.sequence + 150, ..first.clone() },
                ],
                vec![2, 1],
            ),
            ("nothing follows PSH", vec![Shape { flags: 0x18, ..first.clone() }, second.clone()], vec![1, 1]),
            ("PSH on the last", vec![first.clone(), Shape { flags: 0x18, ..second.clone() }], vec![2]),
            ("a gap", vec![first.clone(), next(&second)], vec![1, 1]),
            ("another port", vec![first.clone(), Shape { port: 5_001, ..second.clone() }], vec![1, 1]),
            ("another hop limit", vec![first.clone(), Shape { ttl: 63, ..second.clone() }], vec![1, 1]),
            ("another class", vec![first.clone(), Shape { tos: 0x10, ..second.clone() }], vec![1, 1]),
            ("other options", vec![first.clone(), Shape { tcp_options: 12, ..second.clone() }], vec![1, 1]),
            ("FIN", vec![first.clone(), Shape { flags: 0x11, ..second.clone() }], vec![1, 1]),
            ("SYN", vec![Shape { flags: 0x12, ..first.clone() }, second.clone()], vec![1, 1]),
            ("ECE", vec![first.clone(), Shape { flags: 0x50, ..second.clone() }], vec![1, 1]),
            ("another window", vec![first.clone(), Shape { window: 9, ..second.clone() }], vec![1, 1]),
            ("no payload", vec![Shape { payload: 0, ..first.clone() }, first.clone()], vec![1, 1]),
            ("UDP", vec![Shape::plain(version, UDP, 99), Shape::plain(version, UDP, 99)], vec![2]),
            (
                "UDP, larger",
                vec![Shape::plain(version, UDP, 99), Shape::plain(version, UDP, 100)],
                vec![1, 1],
            ),
            ("UDP beside TCP", vec![first.clone(), Shape::plain(version, UDP, 99)], vec![1, 1]),
            (
                "two flows in turn",
                vec![first.clone(), other.clone(), second.clone(), next(&other), next(&second)],
                vec![3, 2],
            ),
            (
                "UDP between TCP",
                vec![first.clone(), datagram.clone(), second.clone(), datagram.clone()],
                vec![2, 2],
            ),
            (
                "a bare acknowledgement between",
                vec![first.clone(), Shape { payload: 0, ..second.clone() }, second.clone(), next(&second)],
                vec![1, 1, 2],
            ),
            (
                "another flow's bare acknowledgement between",
                vec![first.clone(), Shape { payload: 0, ..other.clone() }, second.clone()],
                vec![2, 1],
            ),
            ("more UDP than the kernel takes", vec![datagram.clone(); 100], vec![64, 36]),
        ];
        for (name, shapes, expected) in cases {
            let packets: Vec<_> = shapes.iter().map(|shape| shape.packet(&mut random)).collect();
            assert_eq!(joined(&packets), expected, "IPv{version}: {name}");
        }
        let mut broken = second.packet(&mut random);
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(joined(&[first.packet(&mut random), broken]), [1, 1], "IPv{version}: a wrong checksum");
        let mut broken = first.packet(&mut random);
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(
            joined(&[broken, second.packet(&mut random)]),
            [1, 1],
            "IPv{version}: a wrong checksum first"
        );
    }
    let first = Shape::plain(4, TCP, 100);
    let second = next(&first);
    for fragment in [0x2000, 0x0001, 0x0000, 0xc000] {
        let packets = [first.packet(&mut random), Shape { fragment, ..second.clone() }.packet(&mut random)];
        assert_eq!(joined(&packets), [1, 1], "fragment field {fragment:#x}");
    }
    let between = Shape { fragment: 0x2000, ..first.clone() };
    let packets = [&first, &between, &second].map(|shape| shape.packet(&mut random));
    assert_eq!(joined(&packets), [1, 1, 1], "a fragment, which may be of the flow, between");

    let numbered = |fragment, ids: [u16; 3]| {
        let shapes = [&first, &second, &next(&second)];
        let packets: Vec<_> = shapes
            .iter()
            .zip(ids)
            .map(|(shape, identification)| Shape { identification, fragment, ..(*shape).clone() })
            .map(|shape| shape.packet(&mut random))
            .collect();
        joined(&packets)
    };
    let mut numbered = numbered;
    assert_eq!(numbered(0x4000, [7, 7, 7]), [3], "identifications that mean nothing");
    assert_eq!(numbered(0x4000, [65_535, 0, 1]), [3], "identifications that count");
    assert_eq!(numbered(0x4000, [7, 7, 8]), [2, 1], "identifications that stand, then count");
    assert_eq!(numbered(0x4000, [7, 8, 8]), [2, 1], "identifications that count, then stand");
    assert_eq!(numbered(0x4000, [7, 90, 3]), [1, 1, 1], "identifications by chance");
    assert_eq!(numbered(0, [7, 8, 9]), [3], "without DF, identifications that count");
    assert_eq!(numbered(0, [7, 7, 7]), [1, 1, 1], "without DF, identifications that stand");

    let mut broken = second.packet(&mut random);
    broken[10] ^= 1;
    assert_eq!(joined(&[first.packet(&mut random), broken]), [1, 1], "a wrong checksum of the IPv4 header");
    let packets = [Shape::plain(6, UDP, 99), Shape { label: 1, ..Shape::plain(6, UDP, 99) }];
    assert_eq!(joined(&packets.map(|shape| shape.packet(&mut random))), [1, 1], "another flow label");

    let options = Shape { ip_options: 4, ..first.clone() };
    assert_eq!(
        joined(&[options.packet(&mut random), next(&options).packet(&mut random)]),
        [1, 1],
        "IP options"
    );
}

#[test]
fn a_corrupt_datagram_costs_only_itself() {
    let mut random = Random(3);
    let shape = Shape::plain(4, TCP, 20 * 1_000);
    let whole = super_packet(&shape, 1_000, &mut random);
    for victim in 0..20 {
        let (mut sender, mut receiver) = keypairs();
        let mut trains = seal_all(&mut sender, &whole, 1_420);
        let (train, stride) = &mut trains[0];
        let at = victim * *stride + DATA_HEADER + random.below(1_000);
        train[at] ^= 1;
        let (given, opened) = Given::open(&mut receiver, train, *stride, ALL);
        assert_eq!((opened.authenticated, opened.bad_tag), (19, 1));
        assert_eq!(given.counts().iter().sum::<usize>(), 19);
        assert!(given.packets().iter().all(|packet| split(packet).iter().all(|packet| is_valid(packet))));
    }
}

/// A datagram is opened before the previous one is authenticated, so a copy directly after it looks new.
#[test]
fn a_datagram_twice_in_a_train_arrives_once() {
    let mut random = Random(15);
    let (mut sender, mut receiver) = keypairs();
    let packet = super_packet(&Shape::plain(4, TCP, 3 * 1_000), 1_000, &mut random);
    let [(train, stride)] = &seal_all(&mut sender, &packet, 1_420)[..] else { panic!("one train") };
    let datagrams: Vec<&[u8]> = train.chunks(*stride).collect();
    let twice: Vec<u8> = [0, 0, 1, 2, 1, 2, 2].iter().flat_map(|&i| datagrams[i]).copied().collect();
    let (given, opened) = Given::open(&mut receiver, &twice, *stride, ALL);
    assert_eq!((opened.authenticated, opened.replayed, opened.bad_tag), (3, 4, 0));
    assert_eq!(given.counts(), [3]);
}

/// Random and partly valid virtio headers and packets cause a bounded result and no panic.
#[test]
fn hostile_headers_are_refused_or_bounded() {
    let mut random = Random(9);
    let (mut sender, mut receiver) = keypairs();
    let mut out = vec![0; 65_507];
    let mut output = Box::<Output>::default();
    for _ in 0..100_000 {
        let mut packet = if random.below(2) == 0 {
            let shape = Shape::plain([4, 6][random.below(2)], [TCP, UDP][random.below(2)], random.below(300));
            super_packet(&shape, 1 + random.below(200), &mut random)
        } else {
            let length = random.below(120);
            random.bytes(length)
        };
        for _ in 0..random.below(4) {
            if !packet.is_empty() {
                let at = random.below(packet.len().min(70));
                packet[at] = random.below(256) as u8;
            }
        }
        packet.truncate(packet.len() - random.below(packet.len().min(40) + 1));
        let mtu = [0, 576, 1_280, 1_420][random.below(4)];
        let sealed = seal_batch(&mut sender, &packet, &mut out, mtu, random.below(3), 64);
        assert!(sealed.written <= out.len() && sealed.segments <= 64);
        if sealed.segments == 0 {
            continue;
        }
        let train = &mut out[..sealed.written];
        let congested = random.below(2) == 0;
        let opened = open_batch(&mut receiver, train, sealed.stride, congested, ALL, &mut output);
        assert_eq!(opened.authenticated, sealed.segments);
    }
}

/// A hostile peer with the keys may send any inner packet.
#[test]
fn hostile_inner_packets_stay_in_bounds() {
    let mut random = Random(13);
    for _ in 0..20_000 {
        let (mut sender, mut receiver) = keypairs();
        let length = 16 * (1 + random.below(8));
        let mut train = Vec::new();
        for _ in 0..1 + random.below(6) {
            let mut packet = vec![0; VIRTIO_HEADER];
            packet.extend(random.bytes(length.max(48)));
            packet[VIRTIO_HEADER] = [0x45, 0x46, 0x60, 0x4f, 0x00][random.below(5)];
            for at in [2, 4] {
                let claimed = [0, 19, 20, 40, 65_495, 65_496, 65_535, length][random.below(8)] as u16;
                packet[VIRTIO_HEADER + at..VIRTIO_HEADER + at + 2].copy_from_slice(&claimed.to_be_bytes());
            }
            let mut out = vec![0; length.max(48) + OVERHEAD];
            let sealed = seal_batch(&mut sender, &packet, &mut out, 0, 0, 1);
            if sealed.malformed {
                continue;
            }
            train.extend_from_slice(&out);
        }
        let (given, _) = Given::open(&mut receiver, &train, length.max(48) + OVERHEAD, ALL);
        assert!(given.packets().iter().all(|packet| packet.len() >= VIRTIO_HEADER + 20));
    }
}

/// The kernel's padding (send.c, calculate_skb_padding), never past the MTU.
#[test]
fn padding_is_to_sixteen_bytes_but_not_past_the_mtu() {
    let mut random = Random(21);
    for (length, mtu, sealed) in [
        (20, 1_420, 32),
        (32, 1_420, 32),
        (1_419, 1_420, 1_420),
        (1_420, 1_420, 1_420),
        (1_409, 1_413, 1_413),
        (1_421, 1_420, 1_421 + 15),
        (100, 0, 112),
    ] {
        let (mut sender, _) = keypairs();
        let mut packet = vec![0; VIRTIO_HEADER];
        packet.extend(
            Shape::plain(4, UDP, usize::saturating_sub(length, 28)).packet(&mut random)[..length].to_vec(),
        );
        let mut out = vec![0; 3_000];
        assert_eq!(
            seal_batch(&mut sender, &packet, &mut out, mtu, 0, 64).written,
            sealed + OVERHEAD,
            "{length} in {mtu}"
        );
    }
}
