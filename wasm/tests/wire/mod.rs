//! Two hosts and a link between them in virtual time: a rate, a delay, a drop-tail queue, and intended errors.

use crate::random::Random;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use wgd_wasm::offload::{Segments, VIRTIO_HEADER};
use wgd_wasm::tcp::Micros;
use wgd_wasm::tcp::connection::ENDED;
use wgd_wasm::tcp::stack::{Id, Stack};
use wgd_wasm::tcp::wire::{self as segment, Address, Endpoint, Header, Tuple};

/// One direction of a link.
#[derive(Clone, Copy)]
pub struct Link {
    /// Bytes per second; 0 for no limit.
    pub rate: u64,
    pub delay: Micros,
    /// Bytes that may wait for the link.
    pub queue: u64,
    /// Packets out of a thousand that are lost, duplicated, delayed by up to `jitter`, or damaged.
    pub lost: f64,
    pub doubled: f64,
    pub spoiled: f64,
    pub jitter: Micros,
}

pub const PERFECT: Link =
    Link { rate: 0, delay: 1_000, queue: u64::MAX, lost: 0.0, doubled: 0.0, spoiled: 0.0, jitter: 0 };

pub struct Host {
    pub stack: Stack,
    pub link: Link,
    busy_until: Micros,
    pub sent: u64,
    pub dropped: u64,
    /// What the program on this host has to send, has read and has finished.
    pub events: BTreeMap<Id, u32>,
}

/// The time of arrival, a number for the order, the host, and the packet.
type Flying = (Micros, u64, usize, Vec<u8>);

/// Whether a packet arrives, by the number of its sender.
type Carries = Box<dyn FnMut(usize, &[u8]) -> bool>;

pub struct World {
    pub now: Micros,
    pub hosts: [Host; 2],
    random: Random,
    flying: BinaryHeap<Reverse<Flying>>,
    number: u64,
    out: Vec<u8>,
    /// Whether SYNs keep their option SACK-permitted.
    pub sacks: bool,
    /// Sees every packet and its sender. If it returns false, the link loses the packet.
    pub carries: Option<Carries>,
}

pub fn address(host: usize, v6: bool) -> Address {
    let last = host as u8 + 1;
    if v6 {
        let mut bytes = [0; 16];
        (bytes[0], bytes[15]) = (0xfd, last);
        Address::V6(bytes)
    } else {
        Address::V4([10, 0, 0, last])
    }
}

pub fn tuple(from_port: u16, to_port: u16, v6: bool) -> Tuple {
    Tuple {
        local: Endpoint { address: address(0, v6), port: from_port },
        remote: Endpoint { address: address(1, v6), port: to_port },
    }
}

/// A packet from the tunnel.
#[allow(dead_code)] // Not every test makes segments up.
pub fn packet(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 70_000];
    let length =
        segment::write(&mut out, header, payload.len(), usize::MAX, |room| room.copy_from_slice(payload));
    let whole = Segments::parse(&out[..length]).expect("well-formed");
    let mut packet = vec![0; length - VIRTIO_HEADER];
    whole.write(0, &mut packet);
    packet
}

impl World {
    pub fn new(seed: u64, there: Link, back: Link, mtu: u64, memory: usize) -> Self {
        let host = |number: usize, link: Link| {
            let mut stack = Stack::new([number as u8 + 1; 32], mtu, memory, 100_000);
            stack.add_address(address(number, false));
            stack.add_address(address(number, true));
            Host { stack, link, busy_until: 0, sent: 0, dropped: 0, events: BTreeMap::new() }
        };
        Self {
            now: 1_000_000,
            hosts: [host(0, there), host(1, back)],
            random: Random(seed * 2 + 1),
            flying: BinaryHeap::new(),
            number: 0,
            out: vec![0; 70_000],
            sacks: true,
            carries: None,
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.random.below(1_000_000) as f64 / 1e6 < probability
    }

    /// Puts what a host has to send onto its link.
    pub fn flush(&mut self, from: usize) {
        loop {
            let mut out = core::mem::take(&mut self.out);
            let length = self.hosts[from].stack.transmit(&mut out, self.now);
            if length > 0 {
                let segments = Segments::parse(&out[..length]).expect("a well-formed super-packet");
                for index in 0..segments.count() {
                    let mut packet = vec![0; segments.length(index)];
                    segments.write(index, &mut packet);
                    if !self.sacks {
                        remove_sack_permission(&mut packet);
                    }
                    self.carry(from, packet);
                }
            }
            self.out = out;
            if length == 0 {
                return;
            }
        }
    }

    /// Takes what a host has to send without delivering it. Returns the header and the payload's bytes of each segment.
    #[allow(dead_code)] // Not every test makes segments up.
    pub fn take(&mut self, from: usize) -> Vec<(Header, usize)> {
        let mut taken = Vec::new();
        loop {
            let length = self.hosts[from].stack.transmit(&mut self.out, self.now);
            if length == 0 {
                return taken;
            }
            let segments = Segments::parse(&self.out[..length]).expect("what is sent is well-formed");
            for index in 0..segments.count() {
                let mut packet = vec![0; segments.length(index)];
                segments.write(index, &mut packet);
                let (header, payload) = segment::parse(&packet, 0, false).expect("what is sent can be read");
                taken.push((header, packet.len() - payload));
            }
            assert!(taken.len() < 100_000, "it never stops sending");
        }
    }

    /// Puts a packet onto a host's link.
    pub fn carry(&mut self, from: usize, mut packet: Vec<u8>) {
        let link = self.hosts[from].link;
        let bytes = packet.len() as u64 + 60;
        let host = &mut self.hosts[from];
        host.sent += 1;
        let start = host.busy_until.max(self.now);
        let waiting = (start - self.now) * link.rate / 1_000_000;
        if link.rate > 0 && waiting + bytes > link.queue {
            host.dropped += 1;
            return;
        }
        if let Some(takes) = (bytes * 1_000_000).checked_div(link.rate) {
            host.busy_until = start + takes;
        }
        let arrives = host.busy_until.max(self.now) + link.delay;
        let carried = self.carries.as_mut().is_none_or(|carries| carries(from, &packet));
        if !carried || self.chance(link.lost) {
            self.hosts[from].dropped += 1;
            return;
        }
        if self.chance(link.spoiled) {
            let at = self.random.below(packet.len());
            packet[at] ^= 1 << self.random.below(8);
        }
        for _ in 0..1 + u8::from(self.chance(link.doubled)) {
            let jitter = if link.jitter > 0 { self.random.below(link.jitter as usize) as u64 } else { 0 };
            self.number += 1;
            self.flying.push(Reverse((arrives + jitter, self.number, 1 - from, packet.clone())));
        }
    }

    /// Advances to the next event, at most to `until`. Returns false if there is none.
    pub fn step(&mut self, until: Micros) -> bool {
        for host in 0..2 {
            self.flush(host);
        }
        let arrival = self.flying.peek().map_or(Micros::MAX, |Reverse((at, ..))| *at);
        let timer = self.hosts.iter().map(|host| host.stack.deadline()).min().expect("two hosts");
        let next = arrival.min(timer);
        if next > until {
            self.now = self.now.max(until.min(next));
            return false;
        }
        self.now = self.now.max(next);
        while self.flying.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
            let Reverse((_, _, to, packet)) = self.flying.pop().expect("one");
            self.hosts[to].stack.receive(&packet, &[], false, self.now);
        }
        for host in &mut self.hosts {
            host.stack.expire(self.now);
            while let Some((id, bits)) = host.stack.event() {
                *host.events.entry(id).or_default() |= bits;
            }
        }
        true
    }

    pub fn run(&mut self, micros: Micros) {
        let until = self.now + micros;
        while self.step(until) {}
    }

    /// Opens a connection from host 0 to host 1. Returns the names of both ends.
    pub fn connect(&mut self, port: u16, v6: bool) -> (Id, Id) {
        self.hosts[1].stack.listen(80);
        let near = self.hosts[0].stack.connect(tuple(port, 80, v6), self.now).expect("a free pair");
        loop {
            assert!(self.step(self.now + 100_000_000), "nothing happens any more");
            if let Some(far) = self.hosts[1].stack.accept(80) {
                return (near, far);
            }
            assert_eq!(self.hosts[0].events.get(&near).unwrap_or(&0) & ENDED, 0, "it was not opened");
        }
    }

    /// Writes as many bytes as there is room for. Returns their number.
    pub fn write(&mut self, host: usize, id: Id, data: &[u8]) -> usize {
        let mut taken = 0;
        while taken < data.len() {
            let rest = &data[taken..];
            let length = self.hosts[host].stack.with(id, |connection, shared| {
                let room = connection.reserve(shared);
                let length = room.len().min(rest.len());
                room[..length].copy_from_slice(&rest[..length]);
                connection.commit(length as u64);
                length
            });
            match length {
                Some(length) if length > 0 => taken += length,
                _ => break,
            }
        }
        taken
    }

    /// Reads everything.
    pub fn read(&mut self, host: usize, id: Id, into: &mut Vec<u8>) -> usize {
        let (before, now) = (into.len(), self.now);
        while let Some(length) = self.hosts[host].stack.with(id, |connection, shared| {
            let piece = connection.peek();
            let length = piece.len();
            into.extend_from_slice(piece);
            connection.consume(length as u64, shared, now);
            length
        }) {
            if length == 0 {
                break;
            }
        }
        into.len() - before
    }

    #[allow(dead_code)] // Not every test looks at states.
    pub fn state(&mut self, host: usize, id: Id) -> Option<wgd_wasm::tcp::connection::State> {
        self.hosts[host].stack.get(id).map(|connection| connection.state())
    }
}

/// Overwrites the option in a SYN over IPv4 and corrects the checksum (RFC 1624), as some routers do.
fn remove_sack_permission(packet: &mut [u8]) {
    const OPTION: usize = 46;
    let is_syn = packet[0] == 0x45 && packet[33] & 2 != 0;
    if is_syn && packet.get(OPTION..OPTION + 2) == Some(&[4, 2]) {
        packet[OPTION..OPTION + 2].copy_from_slice(&[1, 1]);
        let sum = u32::from(!u16::from_be_bytes([packet[36], packet[37]])) + u32::from(!0x0402u16) + 0x0101;
        let sum = (sum & 0xffff) + (sum >> 16);
        packet[36..38].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
}
