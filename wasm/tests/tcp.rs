//! Two TCP endpoints, in virtual time.

mod random;
mod wire;

use wgd_wasm::tcp::connection::State;
use wire::{Link, PERFECT, World};

/// The bytes of a stream. They show a byte in a wrong place.
fn pattern(length: usize, seed: u64) -> Vec<u8> {
    random::Random(seed * 2 + 1).bytes(length)
}

/// Sends streams in both directions and ends them. Returns the virtual seconds that this took.
fn exchange(world: &mut World, v6: bool, there: &[u8], back: &[u8]) -> f64 {
    let (near, far) = world.connect(40_000, v6);
    let begun = world.now;
    let ends = [(0, near), (1, far)];
    let data = [there, back];
    let (mut written, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
    let mut finished = [false, false];
    loop {
        for (host, id) in ends {
            written[host] += world.write(host, id, &data[host][written[host]..]);
            if written[host] == data[host].len() && !finished[host] {
                finished[host] = true;
                world.hosts[host].stack.with(id, |connection, _| connection.finish());
            }
            world.read(host, id, &mut got[1 - host]);
        }
        let done = ends
            .iter()
            .all(|&(host, id)| world.hosts[host].stack.get(id).is_none_or(|connection| connection.at_end()));
        if done && finished == [true, true] {
            break;
        }
        assert!(
            world.step(begun + 600_000_000),
            "it hangs: {:?}",
            got.iter().map(Vec::len).collect::<Vec<_>>()
        );
    }
    let seconds = (world.now - begun) as f64 / 1e6;
    assert!(got[0] == there && got[1] == back, "other bytes than were sent");
    for (host, id) in ends {
        let now = world.now;
        world.hosts[host].stack.release(id, now);
    }
    world.run(200_000_000);
    for host in &world.hosts {
        assert_eq!((host.stack.len(), host.stack.memory()), (0, 0), "something is left");
    }
    seconds
}

#[test]
fn streams_arrive_whole_on_a_perfect_link() {
    for v6 in [false, true] {
        for mtu in [576, 1_280, 1_420, 9_000, 65_455] {
            let mtu = if v6 { mtu.max(1_280) } else { mtu };
            let mut world = World::new(1, PERFECT, PERFECT, mtu, 64 << 20);
            exchange(&mut world, v6, &pattern(3_000_000, 1), &pattern(1_000_001, 2));
        }
    }
}

#[test]
fn streams_arrive_whole_whatever_the_link_does() {
    for seed in 0..60 {
        let bad = Link {
            rate: [0, 2_000_000, 12_500_000][seed as usize % 3],
            delay: [500, 10_000, 60_000][seed as usize / 3 % 3],
            queue: 100_000,
            lost: [0.0, 0.001, 0.01, 0.05, 0.1][seed as usize % 5],
            doubled: [0.0, 0.01][seed as usize % 2],
            spoiled: [0.0, 0.01][seed as usize / 2 % 2],
            jitter: [0, 3_000, 40_000][seed as usize / 5 % 3],
        };
        let mut world = World::new(seed, bad, bad, 1_420, 64 << 20);
        exchange(&mut world, seed % 2 == 1, &pattern(400_000, seed), &pattern(100_000, seed + 1));
    }
}

#[test]
fn a_pool_that_is_too_small_delays_and_loses_nothing() {
    let mut world = World::new(3, Link { lost: 0.01, ..PERFECT }, PERFECT, 1_420, 96 * 1024);
    exchange(&mut world, false, &pattern(2_000_000, 5), &pattern(2_000_000, 6));
}

/// Megabits per second during 20 s from host 0 to host 1.
fn goodput(rtt: u64, lost: f64, sacks: bool) -> f64 {
    let rate = 12_500_000;
    let bdp = rate * rtt / 1_000_000;
    let link = Link { rate, delay: rtt / 2, queue: bdp.max(20_000), lost, ..PERFECT };
    let mut world = World::new(rtt + (lost * 1e4) as u64, link, Link { lost, ..link }, 1_420, 64 << 20);
    world.sacks = sacks;
    let (near, far) = world.connect(40_000, false);
    let data = pattern(1 << 20, 9);
    let (begun, mut received, mut at) = (world.now, 0, 0);
    let mut sink = Vec::new();
    loop {
        let taken = world.write(0, near, &data[at..]);
        at = (at + taken) % data.len();
        sink.clear();
        received += world.read(1, far, &mut sink);
        if !world.step(begun + 20_000_000) {
            break;
        }
    }
    received as f64 * 8.0 / 20e6
}

#[test]
fn goodput_table() {
    for (rtt, lost, sacks, least) in [
        (20_000, 0.0, true, 88.0),
        (100_000, 0.0, true, 80.0),
        (20_000, 0.001, true, 60.0),
        (20_000, 0.01, true, 12.0),
        (100_000, 0.001, true, 20.0),
        (1_000, 0.0, true, 88.0),
        (20_000, 0.0, false, 72.0),
        (20_000, 0.001, false, 60.0),
        (20_000, 0.01, false, 12.0),
    ] {
        let reached = goodput(rtt, lost, sacks);
        let what = format!("{} ms, {} %, SACK {sacks}", rtt / 1_000, lost * 100.0);
        println!("{what}: {reached:.1} Mbit/s");
        assert!(reached >= least, "{what}: {reached:.1} of {least}");
    }
}

#[test]
fn states_of_an_orderly_close() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, 1 << 20);
    let (near, far) = world.connect(40_000, false);
    world.hosts[0].stack.with(near, |connection, _| connection.finish());
    world.run(100_000);
    assert_eq!((world.state(0, near), world.state(1, far)), (Some(State::FinWait2), Some(State::CloseWait)));
    let mut got = Vec::new();
    assert_eq!(world.write(1, far, b"half-closed"), 11);
    world.run(100_000);
    world.read(0, near, &mut got);
    assert_eq!(got, b"half-closed");
    world.hosts[1].stack.with(far, |connection, _| connection.finish());
    world.run(100_000);
    assert_eq!((world.state(0, near), world.state(1, far)), (Some(State::TimeWait), Some(State::Closed)));
}

/// Writes until `taken` bytes have arrived at host 1, which reads all of them. Returns the virtual seconds that this took.
fn stream(world: &mut World, (near, far): (u32, u32), bytes: usize) -> f64 {
    let data = pattern(1 << 20, 9);
    let (begun, mut received, mut at, mut sink) = (world.now, 0, 0, Vec::new());
    while received < bytes {
        at = (at + world.write(0, near, &data[at..])) % data.len();
        sink.clear();
        received += world.read(1, far, &mut sink);
        assert!(world.step(begun + 60_000_000), "it hangs");
    }
    (world.now - begun) as f64 / 1e6
}

#[test]
fn a_connection_that_was_idle_lives_through_an_outage() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, 1 << 20);
    let (near, far) = world.connect(40_000, false);
    for idle in [600_000_000, 90_000_000_000] {
        world.run(idle);
        world.hosts[0].link.lost = 1.0;
        assert_eq!(world.write(0, near, b"hello"), 5);
        world.run(10_000_000);
        world.hosts[0].link.lost = 0.0;
        world.run(60_000_000);
        let mut got = Vec::new();
        world.read(1, far, &mut got);
        assert_eq!(got, b"hello", "after {} s", idle / 1_000_000);
    }
}

#[test]
fn a_peer_that_is_gone_is_given_up() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, 1 << 20);
    let (near, _) = world.connect(40_000, false);
    world.hosts[0].link.lost = 1.0;
    world.write(0, near, b"hello");
    world.run(170_000_000);
    assert_eq!(world.state(0, near), Some(State::Established));
    world.run(80_000_000);
    assert_eq!(world.state(0, near), Some(State::Closed));
}

#[test]
fn turning_keep_alive_on_again_asks_the_peer_no_sooner() {
    let mut world = World::new(1, PERFECT, PERFECT, 1_420, 1 << 20);
    let (near, _) = world.connect(40_000, false);
    world.hosts[0].link.lost = 1.0;
    world.hosts[0].stack.with(near, |connection, _| connection.keep_alive(true));
    let before = world.hosts[0].sent;
    // One keep-alive after two hours, and the next one 75 s later.
    world.run(7_210_000_000);
    for _ in 0..20 {
        world.hosts[0].stack.with(near, |connection, _| connection.keep_alive(true));
        world.run(1_000_000);
    }
    assert_eq!((world.hosts[0].sent - before, world.state(0, near)), (1, Some(State::Established)));
    world.run(75_000_000);
    assert_eq!(world.hosts[0].sent - before, 2);
}

#[test]
fn after_a_window_was_shut_a_stream_is_as_fast_as_before() {
    let link = Link { rate: 12_500_000, delay: 10_000, queue: 500_000, ..PERFECT };
    let mut world = World::new(1, link, link, 1_420, 64 << 20);
    let ends = world.connect(40_000, false);
    stream(&mut world, ends, 20_000_000);
    let before = stream(&mut world, ends, 10_000_000);
    for _ in 0..3 {
        // The program does not read for a minute.
        let data = pattern(1 << 20, 9);
        for _ in 0..600 {
            while world.write(0, ends.0, &data) > 0 {}
            world.run(100_000);
        }
    }
    let after = stream(&mut world, ends, 10_000_000);
    println!("{after:.2} s after {before:.2} s");
    assert!(after < 1.5 * before, "{after:.2} s after {before:.2} s");
}
