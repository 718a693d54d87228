//! A batch of received packets and what it becomes for the TUN device: packets of one flow are joined into
//! super-packets, whatever lies between them.
//!
//! Nothing is copied. Packets stay where they were opened, and a super-packet is a list of parts, the first packet whole
//! and the payload of each that follows, which one `writev` hands to the kernel.

use crate::offload::{self, Join, Joiner, Shape, VIRTIO_HEADER};

/// A stretch of the batch's memory.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Part {
    /// Offset into the batch's memory.
    pub at: usize,
    pub length: usize,
}

/// One packet for the TUN device: parts that a single write joins. The first begins with the virtio header.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Entry {
    /// Number of its first part.
    pub first: usize,
    /// How many there are, each from one received packet.
    pub count: usize,
}

/// Most packets of one batch: a train has at most 65,535 bytes, and its shortest datagrams 32.
pub const MAX_PACKETS: usize = 2_048;

/// A packet, and the one that follows it in its entry.
#[derive(Clone, Copy)]
struct Link {
    part: Part,
    next: usize,
}

/// Where a batch lists what it became; used again for the next one.
pub struct Output {
    /// In the order in which their first packets came.
    pub entries: [Entry; MAX_PACKETS],
    /// The parts of all entries, one entry after the other.
    pub parts: [Part; MAX_PACKETS],
    /// The same as they came.
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

/// Undoes the joining of an entry: each of its parts becomes the packet it was, behind a virtio header.
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

/// Flows that may be joined at the same time; beyond it one begins anew.
const RUNS: usize = 16;

/// Packets of one flow in a row.
#[derive(Clone, Copy)]
struct Run {
    joiner: Joiner,
    entry: usize,
    /// The first packet, without its virtio header.
    at: usize,
    length: usize,
    /// Number of the newest link.
    last: usize,
}

impl Run {
    fn first<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        &data[self.at..self.at + self.length]
    }
}

/// What one batch becomes. Packets of one flow never overtake each other: a flow has at most one run, and what cannot
/// be taken in by it ends it.
pub struct Batch<'a> {
    output: &'a mut Output,
    entries: usize,
    packets: usize,
    runs: [Option<Run>; RUNS],
    /// The run that makes room for the next one, if there is no other.
    victim: usize,
    join: Join,
}

impl<'a> Batch<'a> {
    pub fn begin(output: &'a mut Output, join: Join) -> Self {
        Batch { output, entries: 0, packets: 0, runs: [None; RUNS], victim: 0, join }
    }

    /// Takes in the packet of `length` bytes at `at`, as `ip_length` found it. The bytes before it become its virtio
    /// header. At most `MAX_PACKETS` fit.
    pub fn add(&mut self, data: &mut [u8], at: usize, length: usize) {
        data[at - VIRTIO_HEADER..at].fill(0);
        let Some(shape) = Shape::of(&data[at..at + length], self.join) else {
            self.close_related(data, at, length);
            self.stand_alone(at, length);
            return;
        };
        let packet = &data[at..at + length];
        let place = self
            .runs
            .iter()
            .position(|run| run.as_ref().is_some_and(|run| run.joiner.concerns(run.first(data), packet)));
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
            return;
        }
        let place = place.unwrap_or_else(|| self.vacancy());
        self.close(data, place);
        let joiner = Joiner::begin(&data[at..at + length], shape);
        let (entry, last) = (self.entries, self.packets);
        self.stand_alone(at, length);
        if !joiner.is_closed() {
            self.runs[place] = Some(Run { joiner, entry, at, length, last });
        }
    }

    /// Makes an entry of a packet.
    fn stand_alone(&mut self, at: usize, length: usize) {
        let (entry, link) = (self.entries, self.packets);
        let part = Part { at: at - VIRTIO_HEADER, length: length + VIRTIO_HEADER };
        self.output.links[link] = Link { part, next: link };
        self.output.entries[entry] = Entry { first: link, count: 1 };
        self.entries += 1;
        self.packets += 1;
    }

    /// A place for a new run, which may be taken.
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

    /// Ends the runs whose flow the packet may be of.
    fn close_related(&mut self, data: &mut [u8], at: usize, length: usize) {
        for place in 0..RUNS {
            let packet = &data[at..at + length];
            if self.runs[place].is_some_and(|run| run.joiner.concerns(run.first(data), packet)) {
                self.close(data, place);
            }
        }
    }

    /// Completes all runs and lists the parts, one entry after the other. Returns how many entries there are.
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
