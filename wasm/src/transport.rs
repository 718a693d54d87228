//! Transport data (whitepaper §5.4.6) in batches: a super-packet becomes a train of sealed datagrams, and a train of
//! received datagrams becomes packets for the TUN device.

use crate::aead::{self, Opener, Sealer, TAG};
use crate::headers::{ip_length, set_congestion};
use crate::joining::{Batch, Output};
use crate::keypairs::Keypair;
use crate::offload::{Join, Segments};
use crate::replay::Seen;

/// Type, receiver index, counter.
pub const DATA_HEADER: usize = 16;
/// Bytes that sealing adds to a padded packet.
pub const OVERHEAD: usize = DATA_HEADER + TAG;
const MESSAGE_DATA: u32 = 4;

/// The result of sealing.
#[derive(Default, Debug, PartialEq)]
pub struct Sealed {
    /// Bytes of the train.
    pub written: usize,
    /// Bytes of each datagram but the last.
    pub stride: usize,
    /// Datagrams in the train.
    pub segments: usize,
    /// Datagrams that the whole super-packet becomes.
    pub total: usize,
    /// Whether the packet could not be read.
    pub malformed: bool,
    /// Whether there are fewer counters than datagrams. Then there are no datagrams.
    pub spent: bool,
    /// ECN bits for the outer header.
    pub ecn: u8,
}

/// Zero bytes to add before sealing (whitepaper §5.4.6). The padded packet is never longer than the MTU, because a packet
/// that fits must not need fragmentation.
fn padding(length: usize, mtu: usize) -> usize {
    let padded = |length: usize| length.next_multiple_of(16) - length;
    if mtu == 0 {
        return padded(length);
    }
    // A packet longer than the MTU is padded as its last fragment would be (send.c, calculate_skb_padding).
    let last = if length > mtu { length % mtu } else { length };
    padded(last).min(mtu - last)
}

/// Seals the packets of a super-packet from number `first` on, up to the limits.
///
/// `packet` begins with its virtio header. The datagrams are written to `out` one after the other. All have the length of
/// the first, except that the last may be shorter. If there are too few counters for all of it, none is sealed: the whole
/// packet is sealed again with the next keys, and no part of it may arrive twice.
pub fn seal_batch(
    keypair: &mut Keypair,
    packet: &[u8],
    out: &mut [u8],
    mtu: usize,
    first: usize,
    max_segments: usize,
) -> Sealed {
    let Some(segments) = Segments::parse(packet) else {
        return Sealed { malformed: true, ..Sealed::default() };
    };
    let mut sealed = Sealed { total: segments.count(), ecn: outer_ecn(segments.ecn()), ..Sealed::default() };
    if keypair.left() < sealed.total.saturating_sub(first) as u64 {
        return Sealed { spent: true, ..sealed };
    }
    let mut sealer = Sealer::default();
    while sealed.segments < max_segments && first + sealed.segments < sealed.total {
        let index = first + sealed.segments;
        let length = segments.length(index);
        let padded = length + padding(length, mtu);
        let size = padded + OVERHEAD;
        let Some(datagram) = out.get_mut(sealed.written..sealed.written + size) else {
            break;
        };
        let Some(counter) = keypair.next_counter() else {
            break;
        };
        let text = &mut datagram[DATA_HEADER..DATA_HEADER + padded];
        segments.write(index, &mut text[..length]);
        text[length..].fill(0);
        write_header(datagram, keypair, counter);
        sealer.packet(&keypair.send_key, counter, out, sealed.written + DATA_HEADER, padded);
        if sealed.segments == 0 {
            sealed.stride = size;
        }
        sealed.segments += 1;
        sealed.written += size;
    }
    sealer.finish(out);
    aead::wipe();
    sealed
}

/// Seals an empty packet. Returns its length, or 0 if the counters are used up.
pub fn seal_keepalive(keypair: &mut Keypair, out: &mut [u8; OVERHEAD]) -> usize {
    let Some(counter) = keypair.next_counter() else {
        return 0;
    };
    write_header(out, keypair, counter);
    let mut sealer = Sealer::default();
    sealer.packet(&keypair.send_key, counter, out, DATA_HEADER, 0);
    sealer.finish(out);
    aead::wipe();
    OVERHEAD
}

fn write_header(datagram: &mut [u8], keypair: &Keypair, counter: u64) {
    datagram[..4].copy_from_slice(&MESSAGE_DATA.to_le_bytes());
    datagram[4..8].copy_from_slice(&keypair.remote_index.to_le_bytes());
    datagram[8..16].copy_from_slice(&counter.to_le_bytes());
}

/// The outer header has the inner ECN bits, but "congestion experienced" becomes "capable" (RFC 6040; the kernel's
/// INET_ECN_encapsulate).
fn outer_ecn(inner: u8) -> u8 {
    if inner == 3 { 2 } else { inner }
}

/// The result of opening.
#[derive(Default)]
pub struct Opened {
    pub entries: usize,
    pub authenticated: usize,
    pub keepalives: usize,
    /// Bytes of the authenticated datagrams.
    pub wire_bytes: usize,
    pub bad_tag: usize,
    pub replayed: usize,
    /// Authentic datagrams that hold no complete IP packet.
    pub malformed: usize,
    /// Datagrams shorter than an empty packet.
    pub too_short: usize,
}

/// Opens a train of datagrams of one keypair: `data` is cut every `stride` bytes.
///
/// Each is opened in place. The virtio header overwrites the end of its header. If one fails, the others are not affected.
pub fn open_batch(
    keypair: &mut Keypair,
    data: &mut [u8],
    stride: usize,
    congested: bool,
    join: Join,
    output: &mut Output,
) -> Opened {
    let mut opening =
        Opening { keypair, batch: Batch::begin(output, join), congested, opened: Opened::default() };
    let mut opener = Opener::default();
    // Whether a datagram is authentic is known when the next one is opened.
    let mut before: Option<Datagram> = None;
    let stride = stride.max(1);
    for at in (0..data.len()).step_by(stride) {
        let size = stride.min(data.len() - at);
        if size < OVERHEAD {
            opening.opened.too_short += 1;
            continue;
        }
        let counter = u64::from_le_bytes(data[at + 8..at + 16].try_into().expect("8 bytes"));
        if !opening.keypair.acceptable(counter) {
            opening.opened.replayed += 1;
            continue;
        }
        let key = &opening.keypair.receive_key;
        let verdict = opener.packet(key, counter, data, at + DATA_HEADER, size - OVERHEAD);
        let datagram = Datagram { counter, at, size };
        if let (Some(before), Some(authentic)) = (before.replace(datagram), verdict) {
            opening.settle(data, before, authentic);
        }
    }
    if let (Some(before), Some(authentic)) = (before, opener.finish(data)) {
        opening.settle(data, before, authentic);
    }
    aead::wipe();
    let Opening { batch, mut opened, .. } = opening;
    opened.entries = batch.finish(data);
    opened
}

/// A datagram that has been opened.
#[derive(Clone, Copy)]
struct Datagram {
    counter: u64,
    at: usize,
    size: usize,
}

/// The state of `open_batch`.
struct Opening<'a> {
    keypair: &'a mut Keypair,
    batch: Batch<'a>,
    congested: bool,
    opened: Opened,
}

impl Opening<'_> {
    /// Counts a datagram that has been opened, and adds its packet to the batch.
    fn settle(&mut self, data: &mut [u8], datagram: Datagram, authentic: bool) {
        let opened = &mut self.opened;
        if !authentic {
            opened.bad_tag += 1;
            return;
        }
        // The counter was acceptable before the datagram was opened, but a copy of it may have been authenticated since.
        if !self.keypair.mark(datagram.counter) {
            opened.replayed += 1;
            return;
        }
        deliver(&mut self.batch, opened, data, datagram, self.congested);
    }
}

/// Counts a datagram that is authentic and new, and adds its packet to the batch.
fn deliver(
    batch: &mut Batch,
    opened: &mut Opened,
    data: &mut [u8],
    Datagram { at, size, .. }: Datagram,
    congested: bool,
) {
    opened.authenticated += 1;
    opened.wire_bytes += size;
    let length = size - OVERHEAD;
    if length == 0 {
        opened.keepalives += 1;
        return;
    }
    let at = at + DATA_HEADER;
    let text = &mut data[at..at + length];
    let Some(length) = ip_length(text) else {
        opened.malformed += 1;
        return;
    };
    if congested {
        set_congestion(&mut text[..length]);
    }
    batch.add(data, at, length);
}

/// The most datagrams of a batch that is opened in stages.
pub const MAX_FOUND: usize = 128;

/// What `authenticate` found in a batch. `open_batch` does everything in one call. Instances that share a replay window make
/// three: `authenticate`, then `admit` while no other instance uses the window, then `join`.
pub struct Found {
    datagrams: [Datagram; MAX_FOUND],
    count: usize,
    bad_tag: usize,
    replayed: usize,
    too_short: usize,
}

impl Found {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Found {
        let datagram = Datagram { counter: 0, at: 0, size: 0 };
        Found { datagrams: [datagram; MAX_FOUND], count: 0, bad_tag: 0, replayed: 0, too_short: 0 }
    }

    fn keep(&mut self, datagram: Datagram, authentic: bool) {
        if authentic {
            self.datagrams[self.count] = datagram;
            self.count += 1;
        } else {
            self.bad_tag += 1;
        }
    }

    /// Opens each datagram in place, like `open_batch`, at most `MAX_FOUND`. Returns how many are authentic.
    pub fn authenticate(&mut self, key: &[u8; 32], data: &mut [u8], stride: usize) -> usize {
        (self.count, self.bad_tag, self.replayed, self.too_short) = (0, 0, 0, 0);
        let mut opener = Opener::default();
        let mut before: Option<Datagram> = None;
        let stride = stride.max(1);
        for at in (0..data.len()).step_by(stride).take(MAX_FOUND) {
            let size = stride.min(data.len() - at);
            if size < OVERHEAD {
                self.too_short += 1;
                continue;
            }
            let counter = u64::from_le_bytes(data[at + 8..at + 16].try_into().expect("8 bytes"));
            let verdict = opener.packet(key, counter, data, at + DATA_HEADER, size - OVERHEAD);
            if let (Some(before), Some(authentic)) = (before.replace(Datagram { counter, at, size }), verdict)
            {
                self.keep(before, authentic);
            }
        }
        if let (Some(before), Some(authentic)) = (before, opener.finish(data)) {
            self.keep(before, authentic);
        }
        aead::wipe();
        self.count
    }

    /// Marks the authentic datagrams in the window, and drops those that were seen before. Returns how many are left.
    pub fn admit(&mut self, seen: &mut Seen) -> usize {
        let mut kept = 0;
        for i in 0..self.count {
            let datagram = self.datagrams[i];
            if seen.mark(datagram.counter) {
                self.datagrams[kept] = datagram;
                kept += 1;
            } else {
                self.replayed += 1;
            }
        }
        self.count = kept;
        kept
    }

    /// Joins the packets that are left.
    pub fn join(&self, data: &mut [u8], congested: bool, join: Join, output: &mut Output) -> Opened {
        let mut batch = Batch::begin(output, join);
        let mut opened = Opened {
            bad_tag: self.bad_tag,
            replayed: self.replayed,
            too_short: self.too_short,
            ..Opened::default()
        };
        for &datagram in &self.datagrams[..self.count] {
            deliver(&mut batch, &mut opened, data, datagram, congested);
        }
        opened.entries = batch.finish(data);
        opened
    }
}

impl Default for Found {
    fn default() -> Found {
        Found::new()
    }
}
