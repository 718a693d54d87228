//! Recovery from losses of chosen segments, in virtual time.

mod random;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use wgd_wasm::tcp::wire as segment;
use wire::{Link, PERFECT, World};

/// The number of times that host 0 sent each segment, in the order of sequence numbers.
type Sent = Rc<RefCell<BTreeMap<u32, u32>>>;

/// A connection without SACK over a round trip of 20 ms. `carries` gets the sender of a packet. For a segment with data it
/// also gets its number from 0 and how often it has been sent, including this time.
fn connection(
    mut carries: impl FnMut(usize, Option<(usize, u32)>) -> bool + 'static,
) -> (World, (u32, u32), Sent) {
    // With a rate, segments arrive one after the other, and each is acknowledged separately.
    let link = Link { rate: 12_500_000, delay: 10_000, ..PERFECT };
    let mut world = World::new(1, link, link, 1_420, 8 << 20);
    world.sacks = false;
    let ends = world.connect(40_000, false);
    world.run(100_000);
    let sent = Sent::default();
    let counts = sent.clone();
    world.carries = Some(Box::new(move |from, packet| {
        let (header, payload) = segment::parse(packet, 0, false).expect("a well-formed segment");
        if from == 1 || payload == packet.len() {
            return carries(from, None);
        }
        let mut counts = counts.borrow_mut();
        *counts.entry(header.seq.0).or_default() += 1;
        let number = counts.range(..header.seq.0).count();
        carries(from, Some((number, counts[&header.seq.0])))
    }));
    (world, ends, sent)
}

/// Writes `length` bytes at host 0, `piece` bytes per ms, and reads them at host 1. Returns virtual microseconds.
fn transfer(world: &mut World, (near, far): (u32, u32), length: usize, piece: usize) -> u64 {
    let data = random::Random(7).bytes(length);
    let (begun, mut written, mut got) = (world.now, 0, Vec::new());
    while got.len() < length {
        written += world.write(0, near, &data[written..length.min(written + piece)]);
        world.run(1_000);
        world.read(1, far, &mut got);
        assert!(world.now < begun + 60_000_000, "it hangs");
    }
    assert!(got == data, "other bytes than were sent");
    world.now - begun
}

/// The numbers of the segments that were sent more than once.
fn repeated(sent: &Sent) -> Vec<usize> {
    sent.borrow().values().enumerate().filter(|(_, times)| **times > 1).map(|(number, _)| number).collect()
}

#[test]
fn without_sack_two_losses_of_a_flight_are_all_that_is_sent_again() {
    // A repeated acknowledgement counts as a whole segment, so small ones are all reported before the full acknowledgement.
    for (length, piece) in
        [(60_000, 60_000), (40_000, 900), (30_000, 700), (30_000, 500), (20_000, 300), (6_000, 100)]
    {
        let (mut world, ends, sent) = connection(|_, data| !matches!(data, Some((0 | 4, 1))));
        let took = transfer(&mut world, ends, length, piece);
        world.run(1_000_000);
        assert_eq!(repeated(&sent), [0, 4], "in pieces of {piece} bytes");
        // The shortest timeout is 200 ms more than a round trip.
        assert!(took < 200_000, "{took} us in pieces of {piece} bytes");
    }
}

#[test]
fn without_sack_repeated_acknowledgements_after_a_timeout_are_no_loss() {
    // The first four segments of ten and all acknowledgements are lost until the timer expires.
    let mut timed_out = false;
    let (mut world, ends, sent) = connection(move |from, data| {
        timed_out |= matches!(data, Some((0, 2)));
        if from == 1 { timed_out } else { !matches!(data, Some((0..=3, 1))) }
    });
    transfer(&mut world, ends, 60_000, 60_000);
    world.run(1_000_000);
    let repeated = repeated(&sent);
    // Three segments that had arrived are sent again, and their acknowledgements repeat that of the whole flight.
    assert_eq!(repeated, [0, 1, 2, 3, 4, 5, 6]);
}
