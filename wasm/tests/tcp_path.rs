//! Paths whose MTU is less than ours or decreases, with and without ICMP errors that report it, and forged errors.

mod random;
mod wire;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use wgd_wasm::tcp::seq::Seq;
use wgd_wasm::tcp::wire as segment;
use wire::{Link, World, tuple};

const MTU: u64 = 1_420;

/// A connection over a link that loses packets longer than `mtu`, and the ICMP errors about it.
struct Narrow {
    world: World,
    ends: (u32, u32),
    v6: bool,
    mtu: Rc<Cell<usize>>,
    /// The sequence numbers of the packets that were too long.
    lost: Rc<RefCell<Vec<Seq>>>,
    /// Bytes of the longest packet since it was reset, and the sequence number of the last packet with data.
    longest: Rc<Cell<usize>>,
    last: Rc<Cell<Seq>>,
}

impl Narrow {
    fn new(v6: bool) -> Self {
        Self::with(v6, true)
    }

    /// With or without SACK. Without it, only over IPv4.
    fn with(v6: bool, sacks: bool) -> Self {
        let link = Link { rate: 12_500_000, delay: 10_000, queue: 300_000, ..wire::PERFECT };
        let mut world = World::new(1, link, link, MTU, 8 << 20);
        world.sacks = sacks;
        let ends = world.connect(40_000, v6);
        let mtu = Rc::new(Cell::new(MTU as usize));
        let (longest, last) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(Seq(0))));
        let lost = Rc::<RefCell<Vec<Seq>>>::default();
        let told = (mtu.clone(), lost.clone(), longest.clone(), last.clone());
        world.carries = Some(Box::new(move |from, packet| {
            let (mtu, lost, longest, last) = &told;
            let (header, payload) = segment::parse(packet, 0, false).expect("a well-formed segment");
            if from == 0 {
                longest.set(longest.get().max(packet.len()));
                if packet.len() > payload {
                    last.set(header.seq);
                }
            }
            let fits = packet.len() <= mtu.get();
            if !fits {
                lost.borrow_mut().push(header.seq);
            }
            fits
        }));
        Self { world, ends, v6, mtu, lost, longest, last }
    }

    /// An ICMP error for host 0.
    fn icmp(&mut self, seq: Seq, mtu: u64) {
        let now = self.world.now;

        self.world.hosts[0].stack.icmp(&tuple(40_000, 80, self.v6), seq, Some(mtu), now);
    }

    /// Sends `length` bytes from host 0 to host 1. `each` is called every millisecond. Returns the virtual milliseconds.
    fn transfer(&mut self, length: usize, mut each: impl FnMut(&mut Self, usize)) -> u64 {
        let data = random::Random(7).bytes(length);
        let (begun, mut written, mut got) = (self.world.now, 0, Vec::new());
        while got.len() < length {
            written += self.world.write(0, self.ends.0, &data[written..]);
            self.world.run(1_000);
            self.world.read(1, self.ends.1, &mut got);
            each(self, got.len());
            assert!(self.world.now < begun + 60_000_000, "it hangs after {} bytes", got.len());
        }
        assert!(got == data, "other bytes than were sent");
        let failure = self.world.hosts[0].stack.get(self.ends.0).and_then(|connection| connection.failure());
        assert_eq!(failure, None);
        (self.world.now - begun) / 1_000
    }

    /// Reports each packet that was too long to host 0, as routers do.
    fn tell(&mut self) {
        for seq in self.lost.take() {
            self.icmp(seq, self.mtu.get() as u64);
        }
    }

    /// The longest packet of a transfer.
    fn longest_of(&mut self, length: usize) -> usize {
        self.longest.set(0);
        self.transfer(length, |_, _| ());
        self.longest.get()
    }
}

#[test]
fn a_path_that_is_narrow_from_the_first_costs_a_round_trip() {
    for (v6, mtu) in [(false, 600), (false, 1_280), (true, 1_280)] {
        let mut narrow = Narrow::new(v6);
        narrow.mtu.set(mtu);
        let took = narrow.transfer(3_000_000, |narrow, _| narrow.tell());
        // 240 ms at the link's rate, some round trips of slow start, and additional headers.
        assert!(took < 700, "{took} ms");
        assert_eq!(narrow.longest_of(200_000), mtu);
    }
}

#[test]
fn a_path_that_becomes_narrow_in_the_middle_of_a_transfer_does_not_end_it() {
    for (v6, mtu) in [(false, 600), (false, 1_300), (true, 1_280)] {
        let mut narrow = Narrow::new(v6);
        let took = narrow.transfer(6_000_000, |narrow, got| {
            if got > 1_000_000 {
                narrow.mtu.set(mtu);
            }
            narrow.tell();
        });
        // 480 ms at the link's rate, and one timeout.
        assert!(took < 1_500, "{took} ms");
        assert_eq!(narrow.longest_of(200_000), mtu);
    }
}

#[test]
fn errors_that_lie_change_nothing() {
    for v6 in [false, true] {
        let mut narrow = Narrow::new(v6);
        let before = narrow.world.hosts[0].sent;
        narrow.transfer(300_000, |_, _| ());
        let usual = narrow.world.hosts[0].sent - before;
        let last = narrow.last.get();
        let least = if v6 { 1_280 } else { 68 };
        // Acknowledged bytes, bytes that were never sent, an MTU that no path has, and one that is not less than ours.
        let data = narrow.world.write(0, narrow.ends.0, &[1; 5_000]);
        narrow.world.flush(0);
        for (seq, mtu) in [
            (last, least + 100),
            (last.plus(10_000_000), least + 100),
            (narrow.last.get(), least - 1),
            (narrow.last.get(), MTU),
            (narrow.last.get(), 0),
        ] {
            narrow.icmp(seq, mtu);
        }
        narrow.world.run(100_000);
        let mut got = Vec::new();
        narrow.world.read(1, narrow.ends.1, &mut got);
        assert_eq!(got.len(), data);
        assert_eq!(narrow.longest_of(100_000), MTU as usize);
        // Errors for segments that are in the network and arrive.
        let before = narrow.world.hosts[0].sent;
        let took = narrow.transfer(300_000, |narrow, _| narrow.icmp(narrow.last.get(), least));
        assert_eq!(narrow.longest.get(), MTU as usize);
        assert!(took < 400, "{took} ms");
        let sent = narrow.world.hosts[0].sent - before;
        assert!(sent <= usual + 10, "{sent} packets, and {usual} without errors");
    }
}

#[test]
fn a_path_that_swallows_long_packets_without_a_word_is_found_out() {
    for (v6, mtu, seconds) in [(false, 1_300, 6), (false, 600, 15), (true, 1_280, 6)] {
        for after in [0, 1_000_000] {
            let mut narrow = Narrow::new(v6);
            let took = narrow.transfer(4_000_000, |narrow, got| {
                if got >= after {
                    narrow.mtu.set(mtu);
                }
            });
            assert!(took < seconds * 1_000, "{took} ms with {mtu} bytes after {after}");
        }
    }
}

#[test]
fn longer_packets_are_tried_again_after_ten_minutes() {
    let mut narrow = Narrow::new(false);
    narrow.mtu.set(1_000);
    narrow.transfer(200_000, |narrow, _| narrow.tell());
    narrow.world.run(500_000_000);
    assert_eq!(narrow.longest_of(100_000), 1_000);
    narrow.world.run(200_000_000);
    let took = narrow.transfer(200_000, |narrow, _| narrow.tell());
    assert_eq!(narrow.longest.get(), MTU as usize);
    assert!(took < 300, "{took} ms until it is known again");
    assert_eq!(narrow.longest_of(100_000), 1_000);
    narrow.world.run(700_000_000);
    narrow.mtu.set(MTU as usize);
    assert_eq!(narrow.longest_of(100_000), MTU as usize);
    assert_eq!(narrow.longest_of(100_000), MTU as usize);
}

/// No packet arrives for `milliseconds`, in which the host sends `length` bytes. Then everything is delivered.
fn outage(narrow: &mut Narrow, length: usize, milliseconds: u64) {
    let mtu = narrow.mtu.replace(0);
    narrow.world.write(0, narrow.ends.0, &vec![1; length]);
    narrow.world.run(milliseconds * 1_000);
    narrow.mtu.set(mtu);
    let (begun, mut got) = (narrow.world.now, Vec::new());
    while got.len() < length {
        narrow.world.run(10_000);
        narrow.world.read(1, narrow.ends.1, &mut got);
        assert!(narrow.world.now - begun < (milliseconds + 1_000) * 1_500, "it hangs");
    }
}

#[test]
fn an_outage_of_a_second_does_not_make_packets_shorter() {
    for v6 in [false, true] {
        for milliseconds in [300, 1_000, 1_500] {
            let mut narrow = Narrow::new(v6);
            narrow.transfer(200_000, |_, _| ());
            outage(&mut narrow, 20_000, milliseconds);
            assert_eq!(narrow.longest_of(100_000), MTU as usize, "after {milliseconds} ms");
        }
    }
}

#[test]
fn a_longer_outage_makes_packets_shorter_for_some_seconds_only() {
    for v6 in [false, true] {
        for seconds in [2, 4, 8, 15, 40, 60, 130] {
            let mut narrow = Narrow::new(v6);
            narrow.transfer(200_000, |_, _| ());
            for _ in 0..2 {
                outage(&mut narrow, 20_000, seconds * 1_000);
                narrow.world.run(12_000_000);
                assert_eq!(narrow.longest_of(100_000), MTU as usize, "after {seconds} s");
            }
        }
    }
}

#[test]
fn a_lost_packet_that_was_short_enough_does_not_make_packets_shorter() {
    for age in [0, 20, 700] {
        let mut narrow = Narrow::new(false);
        narrow.mtu.set(1_300);
        narrow.transfer(100_000, |_, _| ());
        narrow.world.run(age * 1_000_000);
        narrow.transfer(200_000, |_, _| ());
        outage(&mut narrow, 3_000, 600);
        assert_eq!(narrow.longest_of(100_000), 1_280, "after {age} s");
    }
}

#[test]
fn a_path_that_lets_long_packets_pass_again_is_used_in_spite_of_a_lost_one() {
    let mut narrow = Narrow::new(false);
    narrow.mtu.set(1_300);
    narrow.transfer(100_000, |_, _| ());
    narrow.world.run(20_000_000);
    narrow.transfer(100_000, |_, _| ());
    narrow.mtu.set(MTU as usize);
    narrow.world.run(700_000_000);
    narrow.transfer(100_000, |_, _| ());
    outage(&mut narrow, 3_000, 600);
    assert_eq!(narrow.longest_of(100_000), MTU as usize);
    // What was known about it before does not count any more, neither from losses nor from ICMP errors.
    narrow.mtu.set(1_000);
    narrow.transfer(200_000, |narrow, _| narrow.tell());
    narrow.world.run(700_000_000);
    narrow.mtu.set(MTU as usize);
    narrow.transfer(100_000, |_, _| ());
    outage(&mut narrow, 3_000, 4_000);
    narrow.world.run(12_000_000);
    assert_eq!(narrow.longest_of(100_000), MTU as usize);
}

#[test]
fn short_segments_that_long_paths_swallow_are_made_shorter_too() {
    let mut narrow = Narrow::new(false);
    narrow.mtu.set(600);
    let took = narrow.transfer(1_000, |_, _| ());
    assert!(took < 5_000, "{took} ms");
}

#[test]
fn segments_that_were_acknowledged_together_do_not_prove_that_long_ones_arrive() {
    for pieces in [[684, 684], [400, 1_000]] {
        let mut narrow = Narrow::new(false);
        for length in pieces {
            narrow.world.write(0, narrow.ends.0, &vec![1; length]);
            narrow.world.flush(0);
        }
        narrow.world.run(100_000);
        narrow.world.read(1, narrow.ends.1, &mut Vec::new());
        narrow.mtu.set(1_100);
        let took = narrow.transfer(10_000, |narrow, _| narrow.tell());
        assert!(took < 45, "{took} ms");
        assert_eq!(narrow.longest_of(10_000), 1_100);
    }
}

#[test]
fn an_error_that_proves_true_is_no_congestion() {
    let took = [MTU, 1_000].map(|mtu| {
        let mut narrow = Narrow::with(false, false);
        let took = narrow.transfer(6_000_000, |narrow, got| {
            if got > 2_000_000 {
                narrow.mtu.set(mtu as usize);
            }
            narrow.tell();
        });
        assert_eq!(narrow.longest_of(200_000), mtu as usize);
        took
    });
    // One timeout, and additional headers.
    assert!(took[1] < took[0] + 600, "{took:?} ms");
}
