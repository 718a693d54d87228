//! Joins the received packets of a batch into super-packets for the TUN device. Packets of one flow are joined even if
//! packets of other flows are between them.
//!
//! Nothing is copied. Packets stay where they were opened. A super-packet is a list of parts, which one `writev` passes to
//! the kernel: the whole first packet, and the payload of each later one.

use crate::offload::{self, Join, Joiner, Shape, VIRTIO_HEADER};

/// A range of the batch's memory.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Part {
    /// Offset into the batch's memory.
    pub at: usize,
    pub length: usize,
}

/// One packet for the TUN device: parts for a single write. The first part begins with the virtio header.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Entry {
    /// Index of its first part.
    pub first: usize,
    /// Number of parts, each from one received packet.
    pub count: usize,
}

/// The most packets of one batch: a train has at most 65,535 bytes, and a datagram at least 32.
pub const MAX_PACKETS: usize = 2_048;

/// A part, and the index of the link of the next part of its entry.
#[derive(Clone, Copy)]
struct Link {
    part: Part,
    next: usize,
}

/// The packets that a batch became. Its memory is reused for the next batch.
pub struct Output {
    /// In the order in which their first packets were received.
    pub entries: [Entry; MAX_PACKETS],
    /// The parts of all entries, one entry after the other.
    pub parts: [Part; MAX_PACKETS],
    /// The same parts in the order in which they were received.
    links: [Link; MAX_PACKETS],
}

impl Output {
    #[must_use]
    pub const fn new() -> Output {
        let (part, entry) = (Part { at: 0, length: 0 }, Entry { first: 0, count: 0 });
        Output {
            entries: [entry; MAX_PACKETS],
            parts: [part; MAX_PACKETS],
            links: [Link { part, next: 0 }; MAX_PACKETS],
        }
    }
}

impl Default for Output {
    fn default() -> Output {
        Output::new()
    }
}

/// Undoes the joining of an entry: each part becomes a packet again, behind a virtio header.
pub fn separate(data: &mut [u8], parts: &mut [Part]) {
    let Some((first, others)) = parts.split_first_mut() else {
        return;
    };
    let lost = VIRTIO_HEADER + offload::separate(&mut data[first.at..first.at + first.length]);
    for part in others {
        part.at -= lost;
        part.length += lost;
    }
}

/// Number of flows that are joined at the same time. Another flow takes the place of one of them.
const RUNS: usize = 16;

/// Consecutive packets of one flow.
#[derive(Clone, Copy)]
struct Run {
    joiner: Joiner,
    entry: usize,
    /// Where the first packet is, without its virtio header.
    at: usize,
    length: usize,
    /// Index of the newest link.
    last: usize,
}

impl Run {
    fn first<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        &data[self.at..self.at + self.length]
    }
}

/// The joining of one batch. Packets of one flow never overtake each other: a flow has at most one run, and a packet of the
/// flow that cannot be added to the run ends it.
pub struct Batch<'a> {
    output: &'a mut Output,
    entries: usize,
    packets: usize,
    runs: [Option<Run>; RUNS],
    /// The run that was begun or extended last.
    recent: usize,
    /// The run that was ended last to make room for another.
    victim: usize,
    join: Join,
}

impl<'a> Batch<'a> {
    pub fn begin(output: &'a mut Output, join: Join) -> Self {
        Batch { output, entries: 0, packets: 0, runs: [None; RUNS], recent: 0, victim: 0, join }
    }

    /// Adds the packet at `at`. Its length was checked by `ip_length`. The bytes before it become its virtio header. At most
    /// `MAX_PACKETS` can be added.
    pub fn add(&mut self, data: &mut [u8], at: usize, length: usize) {
        data[at - VIRTIO_HEADER..at].fill(0);
        let Some(shape) = Shape::of(&data[at..at + length], self.join) else {
            self.close_related(data, at, length);
            self.stand_alone(at, length);
            return;
        };
        let packet = &data[at..at + length];
        let belongs = |run: &Option<Run>| {
            run.as_ref().is_some_and(|run| run.joiner.is_of(run.first(data), packet, shape))
        };
        // Consecutive packets mostly belong to the same flow.
        let place = if belongs(&self.runs[self.recent]) {
            Some(self.recent)
        } else {
            self.runs.iter().position(belongs)
        };
        if let Some(run) = place.and_then(|place| self.runs[place].as_mut())
            && let Some(headers) = run.joiner.accept(run.first(data), packet, shape)
        {
            let link = self.packets;
            self.output.links[link] =
                Link { part: Part { at: at + headers, length: length - headers }, next: link };
            self.output.links[run.last].next = link;
            self.output.entries[run.entry].count += 1;
            run.last = link;
            self.packets += 1;
            self.recent = place.unwrap_or(self.recent);
            return;
        }
        let place = place.unwrap_or_else(|| self.vacancy());
        self.recent = place;
        self.close(data, place);
        let joiner = Joiner::begin(&data[at..at + length], shape);
        let (entry, last) = (self.entries, self.packets);
        self.stand_alone(at, length);
        if !joiner.is_closed() {
            self.runs[place] = Some(Run { joiner, entry, at, length, last });
        }
    }

    /// Makes an entry of one packet.
    fn stand_alone(&mut self, at: usize, length: usize) {
        let (entry, link) = (self.entries, self.packets);
        let part = Part { at: at - VIRTIO_HEADER, length: length + VIRTIO_HEADER };
        self.output.links[link] = Link { part, next: link };
        self.output.entries[entry] = Entry { first: link, count: 1 };
        self.entries += 1;
        self.packets += 1;
    }

    /// The index for a new run. A run that must be closed first may still have it.
    fn vacancy(&mut self) -> usize {
        if let Some(free) = self.runs.iter().position(Option::is_none) {
            return free;
        }
        self.victim = (self.victim + 1) % RUNS;
        self.victim
    }

    /// Completes a run.
    fn close(&mut self, data: &mut [u8], place: usize) {
        if let Some(run) = self.runs[place].take() {
            run.joiner.finish(&mut data[run.at - VIRTIO_HEADER..run.at + run.length]);
        }
    }

    /// Closes the runs whose flow the packet may belong to.
    fn close_related(&mut self, data: &mut [u8], at: usize, length: usize) {
        for place in 0..RUNS {
            let packet = &data[at..at + length];
            if self.runs[place].is_some_and(|run| run.joiner.concerns(run.first(data), packet)) {
                self.close(data, place);
            }
        }
    }

    /// Completes all runs and lists the parts of one entry after the other. Returns the number of entries.
    pub fn finish(mut self, data: &mut [u8]) -> usize {
        for place in 0..RUNS {
            self.close(data, place);
        }
        let Output { entries, parts, links } = self.output;
        let mut listed = 0;
        for entry in &mut entries[..self.entries] {
            let mut link = entry.first;
            entry.first = listed;
            for _ in 0..entry.count {
                parts[listed] = links[link].part;
                link = links[link].next;
                listed += 1;
            }
        }
        self.entries
    }
}
