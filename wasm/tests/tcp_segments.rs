//! Segments that a peer sends one by one, and the responses.

mod random;
mod wire;

use wgd_wasm::tcp::connection::{CONNECTED, Failure, State};
use wgd_wasm::tcp::seq::Seq;
use wgd_wasm::tcp::wire::{ACK, Header, Options, RST, SYN, Tuple};
use wire::{PERFECT, World, packet, tuple};

/// A segment from host 1 to host 0, from port 80 to port 40,000, with this sequence number.
fn from_peer(seq: u32, ack: u32, flags: u8) -> Header {
    let Tuple { remote, local } = tuple(40_000, 80, false);
    let options = if flags & SYN != 0 {
        Options {
            max_segment: Some(1_000),
            window_scale: Some(7),
            sack_permitted: true,
            ..Options::default()
        }
    } else {
        Options::default()
    };
    Header {
        tuple: Tuple { remote: local, local: remote },
        seq: Seq(seq),
        ack: Seq(ack),
        flags,
        window: 1_000,
        options,
    }
}

/// Host 0 has sent its SYN to a simulated peer. Returns the connection's name and the number of its first byte.
fn opening() -> (World, u32, u32) {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, 1 << 20);
    let id = world.hosts[0].stack.connect(tuple(40_000, 80, false), world.now).expect("a free pair");
    let first = world.take(0)[0].0.seq.0.wrapping_add(1);
    (world, id, first)
}

/// A connection of host 0 to a simulated peer whose first byte has the number 301. Returns the number of ours.
fn opened(sacks: bool) -> (World, u32, u32) {
    let (mut world, id, first) = opening();
    let mut answer = from_peer(300, first, SYN | ACK);
    answer.options.sack_permitted = sacks;
    receive(&mut world, &answer, &[]);
    assert_eq!(world.take(0).len(), 1);
    assert_eq!(world.state(0, id), Some(State::Established));
    (world, id, first)
}

fn receive(world: &mut World, header: &Header, payload: &[u8]) {
    world.hosts[0].stack.receive(&packet(header, payload), &[], false, world.now);
}

/// The flags and the numbers of the segments that host 0 has to send.
fn sent(world: &mut World) -> Vec<(u8, u32, u32)> {
    world.take(0).iter().map(|(header, _)| (header.flags, header.seq.0, header.ack.0)).collect()
}

#[test]
fn a_segment_that_fills_a_gap_is_acknowledged_at_once() {
    for sacks in [true, false] {
        let (mut world, _, ack) = opened(sacks);
        receive(&mut world, &from_peer(401, ack, ACK), &[1; 100]);
        receive(&mut world, &from_peer(601, ack, ACK), &[1; 100]);
        world.take(0);
        // First a part of the gap, and then all of it (RFC 5681 §4.2).
        for (seq, expected) in [(301, 501), (501, 701)] {
            receive(&mut world, &from_peer(seq, ack, ACK), &[1; 100]);
            assert_eq!(sent(&mut world), [(ACK, ack, expected)], "SACK {sacks}");
        }
        // The acknowledgement of segments in order may be delayed.
        receive(&mut world, &from_peer(701, ack, ACK), &[1; 100]);
        assert_eq!(sent(&mut world), []);
    }
}

#[test]
fn without_sack_each_segment_behind_a_gap_is_acknowledged_by_itself() {
    let (mut world, _, ack) = opened(false);
    // In order, so its acknowledgement would be delayed.
    receive(&mut world, &from_peer(301, ack, ACK), &[1; 100]);
    for seq in [501, 601, 701] {
        receive(&mut world, &from_peer(seq, ack, ACK), &[1; 100]);
    }
    // The first one is new to the peer, and three repeat it (RFC 5681 §3.2).
    assert_eq!(sent(&mut world), [(ACK, ack, 401); 4]);
    // Joined segments count one by one.
    let mut joined = packet(&from_peer(801, ack, ACK), &[1; 100]);
    let length = joined.len() as u16 + 200;
    joined[2..4].copy_from_slice(&length.to_be_bytes());
    world.hosts[0].stack.receive(&joined, &[&[1; 100], &[1; 100]], true, world.now);
    assert_eq!(sent(&mut world), [(ACK, ack, 401); 3]);
    // Acknowledgements that are no longer due when the gap is filled are not sent.
    receive(&mut world, &from_peer(1_101, ack, ACK), &[1; 100]);
    receive(&mut world, &from_peer(1_201, ack, ACK), &[1; 100]);
    receive(&mut world, &from_peer(401, ack, ACK), &[1; 100]);
    assert_eq!(sent(&mut world), [(ACK, ack, 1_301)]);
}

#[test]
fn without_sack_a_flight_that_arrives_at_once_recovers_without_a_timeout() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, 8 << 20);
    world.sacks = false;
    let (near, far) = world.connect(40_000, false);
    world.run(100_000);
    let mut lost = false;
    world.carries = Some(Box::new(move |from, packet| {
        let is_first = from == 0 && packet.len() > 1_000 && !lost;
        lost |= is_first;
        !is_first
    }));
    let data = [7; 12_000];
    assert_eq!(world.write(0, near, &data), data.len());
    // The shortest timeout is 200 ms.
    world.run(100_000);
    let mut got = Vec::new();
    world.read(1, far, &mut got);
    assert_eq!(got.len(), data.len());
}

#[test]
fn with_sack_one_acknowledgement_tells_of_all_segments() {
    let (mut world, _, ack) = opened(true);
    for seq in [401, 601] {
        receive(&mut world, &from_peer(seq, ack, ACK), &[1; 100]);
    }
    let taken = world.take(0);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].0.options.sacks(), [(Seq(601), Seq(701)), (Seq(401), Seq(501))]);
}

#[test]
fn both_ends_open_at_once() {
    // RFC 9293 §3.5, figure 7. In the second case the peer's SYN, ACK is lost, and its acknowledgement has the same effect.
    for last in [SYN | ACK, ACK] {
        let (mut world, id, first) = opening();
        receive(&mut world, &from_peer(300, 0, SYN), &[]);
        assert_eq!(sent(&mut world), [(SYN | ACK, first.wrapping_sub(1), 301)]);
        assert_eq!(world.state(0, id), Some(State::SynReceived));
        // A repeated SYN gets another response.
        receive(&mut world, &from_peer(300, 0, SYN), &[]);
        assert_eq!(sent(&mut world), [(SYN | ACK, first.wrapping_sub(1), 301)]);
        let seq = if last == ACK { 301 } else { 300 };
        receive(&mut world, &from_peer(seq, first, last), &[]);
        assert_eq!(world.state(0, id), Some(State::Established));
        let answers = if last == ACK { vec![] } else { vec![(ACK, first, 301)] };
        assert_eq!(sent(&mut world), answers);
        let told = world.hosts[0].stack.event().expect("something to tell");
        assert_eq!((told.0, told.1 & CONNECTED), (id, CONNECTED));
        receive(&mut world, &from_peer(301, first, ACK), b"hello");
        let mut got = Vec::new();
        world.read(0, id, &mut got);
        assert_eq!(got, b"hello");
        assert_eq!(world.write(0, id, b"you"), 3);
        assert_eq!(world.take(0).iter().map(|(_, bytes)| bytes).sum::<usize>(), 3);
    }
}

#[test]
fn two_stacks_open_at_once() {
    for v6 in [false, true] {
        let mut world = World::new(1, PERFECT, PERFECT, 1_420, 1 << 20);
        let there = tuple(40_000, 80, v6);
        let back = Tuple { local: there.remote, remote: there.local };
        let ends = [(0, there), (1, back)].map(|(host, tuple)| {
            (host, world.hosts[host].stack.connect(tuple, world.now).expect("a free pair"))
        });
        world.run(1_000_000);
        for (host, id) in ends {
            assert_eq!(world.state(host, id), Some(State::Established));
            assert_eq!(world.write(host, id, b"hello"), 5);
        }
        world.run(1_000_000);
        for (host, id) in ends {
            let mut got = Vec::new();
            world.read(host, id, &mut got);
            assert_eq!(got, b"hello");
        }
        // A SYN, a response to the other's SYN, one or two acknowledgements, the bytes, and their acknowledgement.
        assert!(world.hosts.iter().all(|host| host.sent <= 6), "they answer each other for ever");
    }
}

#[test]
fn an_open_of_both_ends_that_fails_ends() {
    let (mut world, id, first) = opening();
    receive(&mut world, &from_peer(300, 0, SYN), &[]);
    receive(&mut world, &from_peer(301, first, RST | ACK), &[]);
    assert_eq!(
        world.hosts[0].stack.get(id).and_then(|connection| connection.failure()),
        Some(Failure::Refused)
    );
    let (mut world, id, _) = opening();
    receive(&mut world, &from_peer(300, 0, SYN), &[]);
    assert_eq!(world.take(0).len(), 1);
    let tries = (0..100).map(|_| {
        world.now += 1_000_000;
        world.hosts[0].stack.expire(world.now);
        world.take(0).len()
    });
    assert_eq!(tries.sum::<usize>(), 5, "the answer is sent again as a SYN is");
    assert_eq!(
        world.hosts[0].stack.get(id).and_then(|connection| connection.failure()),
        Some(Failure::TimedOut)
    );
}

#[test]
fn a_syn_that_somebody_guessed_does_not_keep_the_peer_from_answering() {
    let (mut world, id, first) = opening();
    // It has no options, but those of the peer's own SYN count.
    let guessed = Header { options: Options::default(), ..from_peer(9_000, 0, SYN) };
    receive(&mut world, &guessed, &[]);
    world.take(0);
    receive(&mut world, &from_peer(300, first, SYN | ACK), &[]);
    let (answer, _) = world.take(0)[0];
    assert_eq!((answer.flags, answer.seq, answer.ack), (ACK, Seq(first), Seq(301)));
    assert_eq!(answer.window, 256, "64 KiB, scaled");
    assert_eq!(world.state(0, id), Some(State::Established));
    receive(&mut world, &from_peer(9_001, first, RST), &[]);
    assert_eq!(world.state(0, id), Some(State::Established));
}
