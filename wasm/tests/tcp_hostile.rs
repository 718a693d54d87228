//! A peer that sends whatever segment it likes: nothing panics, nothing grows, nobody else suffers.

mod random;
mod wire;

use random::Random;
use wgd_wasm::offload::Segments;
use wgd_wasm::tcp::connection::State;
use wgd_wasm::tcp::seq::Seq;
use wgd_wasm::tcp::wire::{self as segment, Endpoint, Header, Options, Tuple};
use wire::{PERFECT, World, packet, tuple};

const MEMORY: usize = 1 << 20;

/// Something near a number, or far from it.
fn near(random: &mut Random, number: u32) -> Seq {
    let distance = match random.below(6) {
        0 => 0,
        1 => random.below(3) as u32,
        2 => random.below(3_000) as u32,
        3 => random.below(100_000) as u32,
        4 => 65_535,
        _ => return Seq(random.below(1 << 32) as u32),
    };
    Seq(if random.one_in(2) { number.wrapping_add(distance) } else { number.wrapping_sub(distance) })
}

fn options(random: &mut Random, ack: u32) -> Options {
    let mut options = Options {
        max_segment: random.one_in(8).then(|| random.below(65_536) as u16),
        window_scale: random.one_in(8).then(|| random.below(20) as u8),
        sack_permitted: random.one_in(8),
        timestamp: random.one_in(2).then(|| (random.below(1 << 32) as u32, random.below(1 << 32) as u32)),
        ..Options::default()
    };
    if options.max_segment.is_none() {
        options.sack_count = random.below(3);
    }
    for block in 0..options.sack_count {
        options.sacks[block] = (near(random, ack), near(random, ack));
    }
    options
}

/// What the peer would send next, as far as it can be known from outside: read off the last segment that it got.
fn last_sent(world: &mut World, host: usize) -> Option<(u32, u32)> {
    world.take(host).last().map(|(header, _)| (header.ack.0, header.seq.0))
}

#[test]
fn a_million_segments_that_a_hostile_peer_makes_up() {
    let rounds = if cfg!(debug_assertions) { 40 } else { 2_000 };
    for round in 0..rounds {
        let mut random = Random(round * 2 + 1);
        let mut world = World::new(round, PERFECT, PERFECT, 1_420, MEMORY);
        let v6 = round % 2 == 1;
        let (near_id, far_id) = world.connect(40_000, v6);
        world.run(10_000);
        let theirs = Tuple { local: tuple(40_000, 80, v6).remote, remote: tuple(40_000, 80, v6).local };
        let (mut seq, mut ack) = (0, 0);
        for step in 0..500 {
            let payload = random.below(3_000);
            let payload = random.bytes(payload);
            let header = Header {
                // As host 1 sends it to host 0.
                tuple: Tuple { local: theirs.local, remote: theirs.remote },
                seq: near(&mut random, seq),
                ack: near(&mut random, ack),
                flags: if random.one_in(3) { random.below(256) as u8 } else { segment::ACK },
                window: random.below(65_536) as u16,
                options: options(&mut random, ack),
            };
            world.hosts[0].stack.receive(&packet(&header, &payload), &[], false, world.now);
            match random.below(12) {
                0 => drop(world.write(0, near_id, &payload)),
                1 => drop(world.read(0, near_id, &mut Vec::new())),
                2 if step > 250 => {
                    world.hosts[0].stack.with(near_id, |connection, _| connection.finish());
                }
                3 => world.now += random.below(3_000_000) as u64,
                _ => {}
            }
            world.hosts[0].stack.expire(world.now);
            if let Some((next, sent)) = last_sent(&mut world, 0) {
                (seq, ack) = (next, sent);
            }
            while world.hosts[0].stack.event().is_some() {}
            assert!(world.hosts[0].stack.memory() <= MEMORY);
        }
        let now = world.now;
        world.hosts[0].stack.release(near_id, now);
        world.hosts[1].stack.release(far_id, now);
        for _ in 0..400 {
            world.now += 1_000_000;
            world.hosts[0].stack.expire(world.now);
            last_sent(&mut world, 0);
        }
        assert_eq!((world.hosts[0].stack.len(), world.hosts[0].stack.memory()), (0, 0), "round {round}");
    }
}

#[test]
fn whoever_only_guesses_does_not_disturb_a_stream() {
    let mut random = Random(5);
    let mut world = World::new(5, PERFECT, PERFECT, 1_420, 8 << 20);
    let (near_id, far_id) = world.connect(40_000, false);
    let data = random.bytes(300_000);
    let (mut written, mut got) = (0, Vec::new());
    while got.len() < data.len() {
        written += world.write(0, near_id, &data[written..]);
        world.read(1, far_id, &mut got);
        let header = Header {
            tuple: tuple(40_000, 80, false),
            seq: Seq(random.below(1 << 32) as u32),
            ack: Seq(random.below(1 << 32) as u32),
            flags: [segment::ACK, segment::RST, segment::SYN, segment::FIN | segment::ACK][random.below(4)],
            window: 0,
            options: Options::default(),
        };
        world.hosts[1].stack.receive(&packet(&header, b"wrong"), &[], false, world.now);
        assert!(world.step(world.now + 10_000_000));
    }
    assert!(got == data);
}

#[test]
fn bytes_of_every_kind_are_no_segment_and_no_panic() {
    let mut random = Random(11);
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, MEMORY);
    world.hosts[0].stack.listen(80);
    let header = Header {
        tuple: Tuple { local: tuple(1, 80, false).remote, remote: tuple(1, 80, false).local },
        seq: Seq(1),
        ack: Seq(0),
        flags: segment::SYN,
        window: 1,
        options: Options { max_segment: Some(1_000), timestamp: Some((1, 2)), ..Options::default() },
    };
    let whole = packet(&header, b"payload");
    for _ in 0..if cfg!(debug_assertions) { 20_000 } else { 1_000_000 } {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
        bytes.truncate(if random.one_in(3) { random.below(bytes.len() + 1) } else { bytes.len() });
        // As if the checksum had been verified, so that what is inside is looked at.
        world.hosts[0].stack.receive(&bytes, &[], true, world.now);
        while world.hosts[0].stack.event().is_some() {}
    }
}

#[test]
fn a_flood_of_syns_takes_a_bounded_number_of_places() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, MEMORY);
    world.hosts[1].stack.listen(80);
    for number in 0..200_000u32 {
        let mut from = tuple((number % 60_000) as u16 + 1, 80, false);
        from.local = Endpoint {
            address: segment::Address::V4([10, 1, (number >> 8) as u8, number as u8]),
            port: from.local.port,
        };
        let header = Header {
            tuple: from,
            seq: Seq(number),
            ack: Seq(0),
            flags: segment::SYN,
            window: 1_000,
            options: Options::default(),
        };
        world.hosts[1].stack.receive(&packet(&header, &[]), &[], false, world.now);
    }
    assert!(world.hosts[1].stack.len() <= 256, "{}", world.hosts[1].stack.len());
    // They are forgotten, and then others are served.
    for _ in 0..100 {
        world.now += 1_000_000;
        world.hosts[1].stack.expire(world.now);
        last_sent(&mut world, 1);
    }
    assert_eq!(world.hosts[1].stack.len(), 0);
    world.connect(40_000, false);
}

#[test]
fn segments_for_nobody_are_reset_a_hundred_times_a_second() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, MEMORY);
    let header = Header {
        tuple: tuple(1, 2, false),
        seq: Seq(1),
        ack: Seq(7),
        flags: segment::ACK,
        window: 0,
        options: Options::default(),
    };
    for _ in 0..1_000 {
        assert!(world.hosts[1].stack.receive(&packet(&header, b"x"), &[], false, world.now));
    }
    let mut out = vec![0; 70_000];
    let mut resets = 0;
    while world.hosts[1].stack.transmit(&mut out, world.now) > 0 {
        resets += 1;
    }
    assert_eq!(resets, 100);
    let elsewhere = Header { tuple: Tuple { remote: header.tuple.remote, ..header.tuple }, ..header };
    let mut other = packet(&elsewhere, b"x");
    other[19] = 200;
    assert!(!world.hosts[1].stack.receive(&other, &[], true, world.now), "another host's address");
}

#[test]
fn a_reset_counts_only_at_the_very_place() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, MEMORY);
    let (near_id, far_id) = world.connect(40_000, false);
    world.write(0, near_id, b"hello");
    // The next sequence number of host 0, and what it has received.
    let mut out = vec![0; 70_000];
    world.run(5_000);
    world.write(0, near_id, b"again");
    let length = world.hosts[0].stack.transmit(&mut out, world.now);
    let segments = Segments::parse(&out[..length]).expect("one");
    let mut bytes = vec![0; segments.length(0)];
    segments.write(0, &mut bytes);
    let (header, _) = segment::parse(&bytes, 0, false).expect("one");
    let sender = Tuple { local: header.tuple.remote, remote: header.tuple.local };
    let reset = |seq: Seq| {
        let options = Options::default();
        packet(&Header { tuple: sender, flags: segment::RST, seq, options, ..header }, &[])
    };
    world.hosts[1].stack.receive(&reset(header.seq.plus(1)), &[], false, world.now);
    assert_eq!(world.state(1, far_id), Some(State::Established), "in the window, so it is challenged");
    world.hosts[1].stack.receive(&reset(header.seq), &[], false, world.now);
    assert_eq!(world.state(1, far_id), Some(State::Closed));
}
