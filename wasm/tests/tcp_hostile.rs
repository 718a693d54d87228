//! A peer that sends arbitrary segments. There is no panic, no growth, and no effect on other connections.

mod random;
mod wire;

use random::Random;
use std::collections::BTreeMap;
use wgd_wasm::offload::Segments;
use wgd_wasm::tcp::connection::State;
use wgd_wasm::tcp::seq::Seq;
use wgd_wasm::tcp::wire::{self as segment, Endpoint, Header, Options, Tuple};
use wire::{PERFECT, World, packet, tuple};

const MEMORY: usize = 1 << 20;

/// A number that is near another one, or far from it.
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

/// A connection of host 0 whose peer sends arbitrary segments.
struct Victim {
    world: World,
    id: u32,
    tuple: Tuple,
    /// The peer's next sequence number and acknowledgement.
    seq: u32,
    ack: u32,
}

impl Victim {
    /// In even rounds, a correct peer has opened the connection. In odd rounds, host 0 has sent a SYN.
    fn new(round: u64) -> Self {
        let mut world = World::new(round, PERFECT, PERFECT, 1_420, MEMORY);
        world.sacks = !round.is_multiple_of(3);
        let tuple = tuple(40_000, 80, round % 4 >= 2);
        let id = if round.is_multiple_of(2) {
            let (near, far) = world.connect(40_000, round % 4 >= 2);
            world.run(10_000);
            let now = world.now;
            world.hosts[1].stack.release(far, now);
            near
        } else {
            world.hosts[0].stack.connect(tuple, world.now).expect("a free pair")
        };
        Self { world, id, tuple, seq: 0, ack: 0 }
    }

    fn state(&mut self) -> Option<State> {
        self.world.state(0, self.id)
    }

    /// Replaces the connection with a new one when it has ended.
    fn again(&mut self) {
        let now = self.world.now;
        self.world.hosts[0].stack.release(self.id, now);
        self.tuple.local.port = if self.tuple.local.port == u16::MAX { 1 } else { self.tuple.local.port + 1 };
        self.id = self.world.hosts[0].stack.connect(self.tuple, now).expect("a free pair");
        self.sent();
    }

    /// Reads the peer's next numbers from what host 0 sends. Returns the number of segments without payload.
    fn sent(&mut self) -> usize {
        let taken = self.world.take(0);
        // The header is as the peer receives it, so our end is the remote one.
        let ours = taken.iter().rev().find(|(header, _)| header.tuple.remote == self.tuple.local);
        if let Some((header, payload)) = ours {
            let more = u64::from(header.has(segment::SYN)) + u64::from(header.has(segment::FIN));
            (self.seq, self.ack) = (header.ack.0, header.seq.plus(*payload as u64 + more).0);
        }
        taken.iter().filter(|(_, payload)| *payload == 0).count()
    }

    fn hit(&mut self, random: &mut Random) {
        let payload = random.below(3_000);
        let payload = random.bytes(payload);
        let opening = matches!(self.state(), Some(State::SynSent | State::SynReceived));
        let flags = match random.below(6) {
            0 | 1 => random.below(256) as u8,
            2 | 3 if opening => segment::SYN | (random.below(2) as u8 * segment::ACK),
            _ => segment::ACK,
        };
        let header = Header {
            // As host 1 sends it to host 0.
            tuple: Tuple { local: self.tuple.remote, remote: self.tuple.local },
            seq: near(random, self.seq),
            ack: near(random, self.ack),
            flags,
            window: random.below(65_536) as u16,
            options: options(random, self.ack),
        };
        let now = self.world.now;
        self.world.hosts[0].stack.receive(&packet(&header, &payload), &[], false, now);
        if random.one_in(8) {
            let mtu = random.one_in(3).then(|| random.below(1_600) as u64);
            let quoted = near(random, self.ack);
            self.world.hosts[0].stack.icmp(&self.tuple, quoted, mtu, now);
        }
    }
}

#[test]
fn a_million_segments_that_a_hostile_peer_makes_up() {
    let rounds = if cfg!(debug_assertions) { 40 } else { 2_000 };
    let mut states = BTreeMap::<String, usize>::new();
    for round in 0..rounds {
        let mut random = Random(round * 2 + 1);
        let mut victim = Victim::new(round);
        victim.sent();
        for step in 0..500 {
            if matches!(victim.state(), None | Some(State::Closed)) {
                victim.again();
            }
            *states.entry(format!("{:?}", victim.state().expect("one"))).or_default() += 1;
            victim.hit(&mut random);
            let id = victim.id;
            match random.below(12) {
                0 => drop(victim.world.write(0, id, &[step as u8; 2_000])),
                1 => drop(victim.world.read(0, id, &mut Vec::new())),
                2 if random.one_in(10) => {
                    victim.world.hosts[0].stack.with(id, |connection, _| connection.finish());
                }
                3 => victim.world.now += random.below(3_000_000) as u64,
                _ => {}
            }
            let now = victim.world.now;
            victim.world.hosts[0].stack.expire(now);
            // A peer cannot make host 0 send much: a response, what a timer requires, and the end.
            let answers = victim.sent();
            assert!(answers <= 4, "{answers} segments without payload in round {round}");
            while victim.world.hosts[0].stack.event().is_some() {}
            assert!(victim.world.hosts[0].stack.memory() <= MEMORY);
        }
        let Victim { mut world, id, .. } = victim;
        let now = world.now;
        world.hosts[0].stack.release(id, now);
        for _ in 0..400 {
            world.now += 1_000_000;
            world.hosts[0].stack.expire(world.now);
            world.take(0);
        }
        assert_eq!((world.hosts[0].stack.len(), world.hosts[0].stack.memory()), (0, 0), "round {round}");
    }
    println!("{states:?}");
    // All states but the last, which has no segments.
    assert_eq!(states.len(), 9, "{states:?}");
    assert!(states.values().all(|&segments| segments > rounds as usize / 10), "{states:?}");
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
        // As if the checksum had been verified, so that the content is processed.
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
    // They expire, and then new connections are accepted.
    for _ in 0..100 {
        world.now += 1_000_000;
        world.hosts[1].stack.expire(world.now);
        world.take(1);
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
