//! All connections of one host: the segments of each, their timers, and the limits.

mod listening;

use super::Micros;
use super::buffer::Pool;
use super::connection::{CONNECTED, Connection, READABLE, Shared, State, WRITABLE};
use super::seq::Seq;
use super::wire::{self, ACK, Address, Endpoint, FIN, Header, Options, RST, SYN, Tuple};
use crate::handshake;
use listening::Listener;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most connections in TIME-WAIT, which are kept only for late segments. The oldest are dropped for newer ones.
const MAX_TIME_WAIT: usize = 4_096;
/// Resets per second in answer to segments that belong to no connection.
const RESETS_A_SECOND: u64 = 100;
const SECOND: Micros = 1_000_000;

/// The name of a connection outside of the stack: its index, and how often the index was used before.
pub type Id = u32;
const PLACES: u32 = 1 << 20;

struct Slot {
    connection: Connection,
    id: Id,
    deadline: Micros,
    ready: bool,
    told: bool,
    /// The port whose listener gets the connection; none after it was accepted.
    listener: Option<u16>,
}

/// Why a connection cannot be opened.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is already a connection between these endpoints.
    InUse,
    TooMany,
    /// The addresses belong to different families, or an address is not a host's.
    Unusable,
}

pub struct Stack {
    shared: Shared,
    addresses: Vec<Address>,
    secret: [u8; 32],
    slots: Vec<Option<Box<Slot>>>,
    generations: Vec<u32>,
    free: Vec<u32>,
    max_connections: usize,
    by_tuple: BTreeMap<Tuple, u32>,
    listeners: BTreeMap<u16, Listener>,
    half_open: usize,
    deadlines: BTreeSet<(Micros, u32)>,
    ready: VecDeque<u32>,
    changed: VecDeque<Id>,
    time_wait: VecDeque<Id>,
    starved: VecDeque<Id>,
    resets: VecDeque<Header>,
    reset_second: Micros,
    resets_left: u64,
}

impl Stack {
    /// `secret` makes initial sequence numbers unpredictable. `memory` is the budget of all buffers in bytes.
    pub fn new(secret: [u8; 32], mtu: u64, memory: usize, max_connections: usize) -> Self {
        Self {
            shared: Shared { pool: Pool::new(memory), mtu },
            addresses: Vec::new(),
            secret,
            slots: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
            max_connections: max_connections.min(PLACES as usize),
            by_tuple: BTreeMap::new(),
            listeners: BTreeMap::new(),
            half_open: 0,
            deadlines: BTreeSet::new(),
            ready: VecDeque::new(),
            changed: VecDeque::new(),
            time_wait: VecDeque::new(),
            starved: VecDeque::new(),
            resets: VecDeque::new(),
            reset_second: 0,
            resets_left: RESETS_A_SECOND,
        }
    }

    pub fn add_address(&mut self, address: Address) {
        self.addresses.push(address);
    }

    /// The number of connections, including those in TIME-WAIT.
    pub fn len(&self) -> usize {
        self.by_tuple.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_tuple.is_empty()
    }

    /// Bytes in buffers.
    pub fn memory(&self) -> usize {
        self.shared.pool.used()
    }

    /// Opens a connection.
    pub fn connect(&mut self, tuple: Tuple, now: Micros) -> Result<Id, Refused> {
        let families = tuple.local.address.is_v4() == tuple.remote.address.is_v4();
        if !families || !tuple.remote.address.is_unicast() || tuple.remote.port == 0 || tuple.local.port == 0
        {
            return Err(Refused::Unusable);
        }
        if let Some(&place) = self.by_tuple.get(&tuple) {
            if self.slot(place).connection.state() != State::TimeWait {
                return Err(Refused::InUse);
            }
            self.forget(place);
        }
        let connection = Connection::open(tuple, self.initial(&tuple, now), &self.shared, now);
        let place = self.insert(connection, None).ok_or(Refused::TooMany)?;
        self.after(place);
        Ok(self.slot(place).id)
    }

    /// The connection with this name, if it still exists.
    pub fn get(&mut self, id: Id) -> Option<&mut Connection> {
        let slot = self.slots.get_mut((id % PLACES) as usize)?.as_mut()?;
        (slot.id == id).then_some(&mut slot.connection)
    }

    /// Calls `work` with a connection and then handles what follows from it.
    pub fn with<T>(&mut self, id: Id, work: impl FnOnce(&mut Connection, &mut Shared) -> T) -> Option<T> {
        let place = id % PLACES;
        let slot = self.slots.get_mut(place as usize)?.as_mut()?;
        if slot.id != id {
            return None;
        }
        let result = work(&mut slot.connection, &mut self.shared);
        if slot.connection.starved && !slot.connection.queued {
            slot.connection.queued = true;
            self.starved.push_back(id);
        }
        self.after(place);
        Some(result)
    }

    /// Handles a packet: a single one, or the first part of a joined one and its other parts.
    ///
    /// Returns false if it is not a segment to one of our addresses.
    pub fn receive(&mut self, first: &[u8], more: &[&[u8]], summed: bool, now: Micros) -> bool {
        let length = more.iter().map(|part| part.len()).sum();
        let Some((header, payload)) = wire::parse(first, length, summed) else { return false };
        if !self.addresses.contains(&header.tuple.local.address) || !header.tuple.remote.address.is_unicast()
        {
            return false;
        }
        let mut parts = Vec::with_capacity(1 + more.len());
        parts.push(&first[payload..]);
        parts.extend_from_slice(more);
        let place =
            self.by_tuple.get(&header.tuple).copied().filter(|&place| !self.gives_way(place, &header));
        match place {
            Some(place) => {
                let slot = self.slots[place as usize].as_mut().expect("a place that is in use");
                if slot.connection.is_foreign(&header) {
                    self.reset(&header, first.len() - payload + length, now);
                    return true;
                }
                slot.connection.segment(&header, &parts, &mut self.shared, now);
                self.after(place);
            }
            None => self.unclaimed(&header, first.len() - payload + length, now),
        }
        true
    }

    /// A new connection may replace one in TIME-WAIT (RFC 6191).
    fn gives_way(&mut self, place: u32, header: &Header) -> bool {
        let new = header.has(SYN) && !header.has(ACK) && self.slot(place).connection.is_replaced_by(header);
        if new {
            self.forget(place);
        }
        new
    }

    fn unclaimed(&mut self, header: &Header, length: usize, now: Micros) {
        if header.has(RST) {
            return;
        }
        let port = header.tuple.local.port;
        if header.has(SYN) && !header.has(ACK | FIN) && self.listeners.contains_key(&port) {
            self.open_half(header, now);
        } else {
            self.reset(header, length, now);
        }
    }

    /// Answers a segment that belongs to no connection (RFC 9293 §3.10.7.1), at a limited rate.
    fn reset(&mut self, header: &Header, length: usize, now: Micros) {
        if now >= self.reset_second + SECOND {
            (self.reset_second, self.resets_left) = (now, RESETS_A_SECOND);
        }
        if self.resets_left == 0 {
            return;
        }
        self.resets_left -= 1;
        let bytes = length as u64 + u64::from(header.has(SYN)) + u64::from(header.has(FIN));
        let (seq, ack, flags) = if header.has(ACK) {
            (header.ack, Seq(0), RST)
        } else {
            (Seq(0), header.seq.plus(bytes), RST | ACK)
        };
        self.resets.push_back(Header {
            tuple: header.tuple,
            seq,
            ack,
            flags,
            window: 0,
            options: Options::default(),
        });
    }

    /// An ICMP error quotes a segment of ours: the peer is unreachable, or with `mtu` only for packets that are longer.
    pub fn icmp(&mut self, tuple: &Tuple, seq: Seq, mtu: Option<u64>, now: Micros) {
        let Some(&place) = self.by_tuple.get(tuple) else { return };
        let connection = &mut self.slot_mut(place).connection;
        match mtu {
            Some(mtu) => connection.path_shrinks(mtu, seq, now),
            None => connection.unreachable(seq),
        }
        self.after(place);
    }

    /// Writes the next packet that is due to `out`, beginning with its virtio header. Returns its bytes, or 0.
    pub fn transmit(&mut self, out: &mut [u8], now: Micros) -> usize {
        if let Some(header) = self.resets.pop_front() {
            return wire::write(out, &header, 0, usize::MAX, |_| ());
        }
        while let Some(&place) = self.ready.front() {
            let Some(slot) = self.slots[place as usize].as_mut() else {
                self.ready.pop_front();
                continue;
            };
            let length = slot.connection.transmit(out, &mut self.shared, now);
            // Connections take turns, so that a long stream does not delay a short answer.
            self.ready.pop_front();
            slot.ready = length > 0;
            if length > 0 {
                self.ready.push_back(place);
            }
            self.settle(place);
            if length > 0 {
                return length;
            }
        }
        0
    }

    /// When to call `expire` next.
    pub fn deadline(&self) -> Micros {
        self.deadlines.first().map_or(Micros::MAX, |&(deadline, _)| deadline)
    }

    /// Handles the timers that are due.
    pub fn expire(&mut self, now: Micros) {
        while let Some(&(deadline, place)) = self.deadlines.first() {
            if deadline > now {
                return;
            }
            let slot = self.slots[place as usize].as_mut().expect("a place that is in use");
            slot.connection.expire(&mut self.shared, now);
            self.after(place);
        }
    }

    /// Notifies the connections that had no memory for data to send, as far as there is memory now.
    fn feed(&mut self) {
        for _ in 0..self.starved.len() {
            let id = self.starved.pop_front().expect("as many as were counted");
            let Some(slot) = self.slots[(id % PLACES) as usize].as_mut().filter(|slot| slot.id == id) else {
                continue;
            };
            let connection = &mut slot.connection;
            if connection.starved && !connection.may_send_more(&self.shared) {
                self.starved.push_back(id);
                continue;
            }
            connection.queued = false;
            if !connection.starved {
                continue;
            }
            connection.starved = false;
            connection.events |= WRITABLE;
            self.tell(id % PLACES);
        }
    }

    /// The next connection with events, and its events: bits of `connection`.
    pub fn event(&mut self) -> Option<(Id, u32)> {
        if !self.starved.is_empty() && self.shared.pool.take_freed() {
            self.feed();
        }
        while let Some(id) = self.changed.pop_front() {
            if let Some(slot) = self.slots[(id % PLACES) as usize].as_mut().filter(|slot| slot.id == id) {
                slot.told = false;
                let events = core::mem::take(&mut slot.connection.events);
                return Some((id, events));
            }
        }
        None
    }

    /// The program no longer needs a connection that has ended.
    pub fn release(&mut self, id: Id, now: Micros) {
        self.with(id, |connection, _| connection.release(now));
    }

    // Inside

    fn initial(&self, tuple: &Tuple, now: Micros) -> Seq {
        // RFC 6528 §3: a clock of 4 µs, and a keyed hash of the endpoints.
        let mut words = Vec::with_capacity(36);
        for Endpoint { address, port } in [tuple.remote, tuple.local] {
            match address {
                Address::V4(bytes) => words.extend_from_slice(&bytes),
                Address::V6(bytes) => words.extend_from_slice(&bytes),
            }
            words.extend_from_slice(&port.to_be_bytes());
        }
        let hash = handshake::mac(&self.secret, &words);
        Seq(u32::from_le_bytes(hash[..4].try_into().expect("four bytes")).wrapping_add((now / 4) as u32))
    }

    fn insert(&mut self, connection: Connection, listener: Option<u16>) -> Option<u32> {
        if self.by_tuple.len() >= self.max_connections && !self.drop_oldest_wait() {
            return None;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.generations.push(0);
            self.slots.len() as u32 - 1
        });
        let generation = &mut self.generations[place as usize];
        *generation = (*generation + 1) % (u32::MAX / PLACES);
        let id = *generation * PLACES + place;
        self.by_tuple.insert(connection.tuple, place);
        let slot = Slot { connection, id, deadline: Micros::MAX, ready: false, told: false, listener };
        self.slots[place as usize] = Some(Box::new(slot));
        Some(place)
    }

    fn drop_oldest_wait(&mut self) -> bool {
        while let Some(id) = self.time_wait.pop_front() {
            if self.get(id).is_some_and(|connection| connection.state() == State::TimeWait) {
                self.forget(id % PLACES);
                return true;
            }
        }
        false
    }

    fn slot(&self, place: u32) -> &Slot {
        self.slots[place as usize].as_ref().expect("a place that is in use")
    }

    fn slot_mut(&mut self, place: u32) -> &mut Slot {
        self.slots[place as usize].as_mut().expect("a place that is in use")
    }

    fn places(&self) -> impl Iterator<Item = u32> {
        self.by_tuple.values().copied()
    }

    /// Called after anything that may have changed a connection: it may now have segments, events or another deadline.
    fn after(&mut self, place: u32) {
        let slot = self.slots[place as usize].as_mut().expect("a place that is in use");
        if !slot.ready {
            slot.ready = true;
            self.ready.push_back(place);
        }
        self.settle(place);
    }

    fn settle(&mut self, place: u32) {
        let slot = self.slots[place as usize].as_mut().expect("a place that is in use");
        let deadline = slot.connection.deadline();
        if deadline != slot.deadline {
            self.deadlines.remove(&(slot.deadline, place));
            if deadline != Micros::MAX {
                self.deadlines.insert((deadline, place));
            }
            slot.deadline = deadline;
        }
        let (state, id) = (slot.connection.state(), slot.id);
        if slot.listener.is_some() {
            self.advance_listener(place, state);
        }
        let slot = self.slots[place as usize].as_mut().expect("a place that is in use");
        if slot.connection.events != 0 && slot.listener.is_none() {
            self.tell(place);
        }
        let slot = self.slots[place as usize].as_mut().expect("a place that is in use");
        if state == State::TimeWait && slot.connection.is_orphaned() {
            slot.connection.clear(&mut self.shared.pool);
            if slot.connection.mark_waiting() {
                self.time_wait.push_back(id);
                if self.time_wait.len() > MAX_TIME_WAIT {
                    self.drop_oldest_wait();
                }
            }
        } else if slot.connection.is_over() && slot.connection.is_orphaned() {
            self.forget(place);
        }
    }

    fn tell(&mut self, place: u32) {
        let slot = self.slots[place as usize].as_mut().expect("a place that is in use");
        if !slot.told {
            slot.told = true;
            self.changed.push_back(slot.id);
        }
    }

    fn forget(&mut self, place: u32) {
        let mut slot = self.slots[place as usize].take().expect("a place that is in use");
        slot.connection.clear(&mut self.shared.pool);
        self.deadlines.remove(&(slot.deadline, place));
        self.by_tuple.remove(&slot.connection.tuple);
        self.free.push(place);
        if slot.ready {
            self.ready.retain(|&other| other != place);
        }
    }
}
