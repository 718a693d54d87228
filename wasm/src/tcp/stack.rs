//! All connections of one host: the segments of each, their timers, and the limits.

mod listening;
mod resets;
mod table;

use super::Micros;
use super::buffer::Pool;
use super::connection::{CONNECTED, Connection, READABLE, Shared, State, WRITABLE};
use super::seq::Seq;
use super::wire::{self, ACK, Address, Endpoint, FIN, Header, RST, SYN, Tuple};
use crate::handshake;
use listening::Listener;
use resets::Resets;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
pub use table::Id;
use table::{PLACES, Table, place_of};

/// The most connections in TIME-WAIT, which are kept only for late segments. The oldest are dropped for newer ones.
const MAX_TIME_WAIT: usize = 4_096;

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
    table: Table,
    max_connections: usize,
    listeners: BTreeMap<u16, Listener>,
    half_open: usize,
    deadlines: BTreeSet<(Micros, u32)>,
    ready: VecDeque<u32>,
    changed: VecDeque<Id>,
    time_wait: VecDeque<Id>,
    starved: VecDeque<Id>,
    resets: Resets,
}

impl Stack {
    /// `secret` makes initial sequence numbers unpredictable. `memory` is the budget of all buffers in bytes.
    pub fn new(secret: [u8; 32], mtu: u64, memory: usize, max_connections: usize) -> Self {
        Self {
            shared: Shared { pool: Pool::new(memory), mtu },
            addresses: Vec::new(),
            secret,
            table: Table::default(),
            max_connections: max_connections.min(PLACES as usize),
            listeners: BTreeMap::new(),
            half_open: 0,
            deadlines: BTreeSet::new(),
            ready: VecDeque::new(),
            changed: VecDeque::new(),
            time_wait: VecDeque::new(),
            starved: VecDeque::new(),
            resets: Resets::new(),
        }
    }

    pub fn add_address(&mut self, address: Address) {
        self.addresses.push(address);
    }

    /// The number of connections, including those in TIME-WAIT.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
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
        if let Some(place) = self.table.place(&tuple) {
            if self.table[place].connection.state() != State::TimeWait {
                return Err(Refused::InUse);
            }
            self.forget(place);
        }
        let connection = Connection::open(tuple, self.initial(&tuple, now), &self.shared, now);
        let place = self.insert(connection, None).ok_or(Refused::TooMany)?;
        self.after(place);
        Ok(self.table[place].id)
    }

    /// The connection with this name, if it still exists.
    pub fn get(&mut self, id: Id) -> Option<&mut Connection> {
        Some(&mut self.table.named(id)?.connection)
    }

    /// Calls `work` with a connection and then handles what follows from it.
    pub fn with<T>(&mut self, id: Id, work: impl FnOnce(&mut Connection, &mut Shared) -> T) -> Option<T> {
        let slot = self.table.named(id)?;
        let result = work(&mut slot.connection, &mut self.shared);
        if slot.connection.starved && !slot.connection.queued {
            slot.connection.queued = true;
            self.starved.push_back(id);
        }
        self.after(place_of(id));
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
        let place = self.table.place(&header.tuple).filter(|&place| !self.gives_way(place, &header));
        match place {
            Some(place) => {
                let connection = &mut self.table[place].connection;
                if connection.is_foreign(&header) {
                    self.resets.answer(&header, first.len() - payload + length, now);
                    return true;
                }
                connection.segment(&header, &parts, &mut self.shared, now);
                self.after(place);
            }
            None => self.unclaimed(&header, first.len() - payload + length, now),
        }
        true
    }

    /// A new connection may replace one in TIME-WAIT (RFC 6191).
    fn gives_way(&mut self, place: u32, header: &Header) -> bool {
        let new = header.has(SYN) && !header.has(ACK) && self.table[place].connection.is_replaced_by(header);
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
            self.resets.answer(header, length, now);
        }
    }

    /// An ICMP error quotes a segment of ours: the peer is unreachable, or with `mtu` only for packets that are longer.
    pub fn icmp(&mut self, tuple: &Tuple, seq: Seq, mtu: Option<u64>, now: Micros) {
        let Some(place) = self.table.place(tuple) else { return };
        let connection = &mut self.table[place].connection;
        match mtu {
            Some(mtu) => connection.path_shrinks(mtu, seq, now),
            None => connection.unreachable(seq),
        }
        self.after(place);
    }

    /// Writes the next packet that is due to `out`, beginning with its virtio header. Returns its bytes, or 0.
    pub fn transmit(&mut self, out: &mut [u8], now: Micros) -> usize {
        if let Some(header) = self.resets.next() {
            return wire::write(out, &header, 0, usize::MAX, |_| ());
        }
        while let Some(place) = self.ready.pop_front() {
            let slot = &mut self.table[place];
            let length = slot.connection.transmit(out, &mut self.shared, now);
            // Connections take turns, so that a long stream does not delay a short answer.
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
            self.table[place].connection.expire(&mut self.shared, now);
            self.after(place);
        }
    }

    /// Notifies the connections that had no memory for data to send, as far as there is memory now.
    fn feed(&mut self) {
        for _ in 0..self.starved.len() {
            let id = self.starved.pop_front().expect("as many as were counted");
            let Some(slot) = self.table.named(id) else { continue };
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
            self.tell(place_of(id));
        }
    }

    /// The next connection with events, and its events: bits of `connection`.
    pub fn event(&mut self) -> Option<(Id, u32)> {
        if !self.starved.is_empty() && self.shared.pool.take_freed() {
            self.feed();
        }
        while let Some(id) = self.changed.pop_front() {
            if let Some(slot) = self.table.named(id) {
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
        if self.table.len() >= self.max_connections && !self.drop_oldest_wait() {
            return None;
        }
        Some(self.table.insert(connection, listener))
    }

    fn drop_oldest_wait(&mut self) -> bool {
        while let Some(id) = self.time_wait.pop_front() {
            if self.get(id).is_some_and(|connection| connection.state() == State::TimeWait) {
                self.forget(place_of(id));
                return true;
            }
        }
        false
    }

    /// Called after anything that may have changed a connection: it may now have segments, events or another deadline.
    fn after(&mut self, place: u32) {
        let slot = &mut self.table[place];
        if !slot.ready {
            slot.ready = true;
            self.ready.push_back(place);
        }
        self.settle(place);
    }

    fn settle(&mut self, place: u32) {
        let slot = &mut self.table[place];
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
        let slot = &mut self.table[place];
        if slot.connection.events != 0 && slot.listener.is_none() {
            self.tell(place);
        }
        let slot = &mut self.table[place];
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
        let slot = &mut self.table[place];
        if !slot.told {
            slot.told = true;
            self.changed.push_back(slot.id);
        }
    }

    fn forget(&mut self, place: u32) {
        let mut slot = self.table.remove(place);
        slot.connection.clear(&mut self.shared.pool);
        self.deadlines.remove(&(slot.deadline, place));
        if slot.ready {
            self.ready.retain(|&other| other != place);
        }
    }
}
