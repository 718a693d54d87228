//! The connections of a stack, by place, by name and by 4-tuple.

use crate::tcp::Micros;
use crate::tcp::connection::Connection;
use crate::tcp::wire::Tuple;
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

/// The name of a connection outside of the stack: its place, and how often the place was used before.
pub type Id = u32;

/// The most places of a table.
pub const PLACES: u32 = 1 << 20;

/// The place of the connection with this name.
pub fn place_of(id: Id) -> u32 {
    id % PLACES
}

/// A connection, and what the stack knows about it.
pub struct Slot {
    pub connection: Connection,
    pub id: Id,
    pub deadline: Micros,
    pub ready: bool,
    pub told: bool,
    /// The port whose listener gets the connection; none after it was accepted.
    pub listener: Option<u16>,
}

#[derive(Default)]
pub struct Table {
    slots: Vec<Option<Box<Slot>>>,
    /// How often each place was used.
    generations: Vec<u32>,
    free: Vec<u32>,
    by_tuple: BTreeMap<Tuple, u32>,
}

impl Table {
    pub fn len(&self) -> usize {
        self.by_tuple.len()
    }

    pub fn places(&self) -> impl Iterator<Item = u32> {
        self.by_tuple.values().copied()
    }

    pub fn place(&self, tuple: &Tuple) -> Option<u32> {
        self.by_tuple.get(tuple).copied()
    }

    /// The connection with this name, if it still exists.
    pub fn named(&mut self, id: Id) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(place_of(id) as usize)?.as_deref_mut();
        slot.filter(|slot| slot.id == id)
    }

    /// Adds a connection. Returns its place.
    pub fn insert(&mut self, connection: Connection, listener: Option<u16>) -> u32 {
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
        place
    }

    pub fn remove(&mut self, place: u32) -> Box<Slot> {
        let slot = self.slots[place as usize].take().expect("a place that is in use");
        self.by_tuple.remove(&slot.connection.tuple);
        self.free.push(place);
        slot
    }
}

impl Index<u32> for Table {
    type Output = Slot;

    fn index(&self, place: u32) -> &Slot {
        self.slots[place as usize].as_ref().expect("a place that is in use")
    }
}

impl IndexMut<u32> for Table {
    fn index_mut(&mut self, place: u32) -> &mut Slot {
        self.slots[place as usize].as_mut().expect("a place that is in use")
    }
}
