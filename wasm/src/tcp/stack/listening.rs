//! Ports that accept connections: handshakes that are not complete, and connections that wait to be accepted.

use super::*;

/// The most connections whose handshake is not complete, of all listeners together.
const MAX_HALF_OPEN: usize = 1_024;
/// The most connections of one listener that are open but not accepted.
const BACKLOG: usize = 256;

#[derive(Default)]
pub(super) struct Listener {
    waiting: VecDeque<Id>,
    half_open: usize,
}

impl Stack {
    /// Begins to accept connections to a port. Returns false if the port has a listener already.
    pub fn listen(&mut self, port: u16) -> bool {
        let free = !self.listeners.contains_key(&port);
        if free {
            self.listeners.insert(port, Listener::default());
        }
        free
    }

    /// Stops accepting. Connections that were not accepted are reset.
    pub fn unlisten(&mut self, port: u16) {
        self.listeners.remove(&port);
        let orphans: Vec<u32> =
            self.table.places().filter(|&place| self.table[place].listener == Some(port)).collect();
        for place in orphans {
            self.leave_listener(place);
            self.table[place].connection.abort();
            self.after(place);
        }
    }

    /// The next open connection to a port.
    pub fn accept(&mut self, port: u16) -> Option<Id> {
        let listener = self.listeners.get_mut(&port)?;
        while let Some(id) = listener.waiting.pop_front() {
            if let Some(slot) = self.table.named(id) {
                slot.listener = None;
                // Events from before it was accepted are reported again.
                let readable = slot.connection.readable() > 0 || slot.connection.at_end();
                slot.connection.events |= WRITABLE | if readable { READABLE } else { 0 };
                self.tell(place_of(id));
                return Some(id);
            }
        }
        None
    }

    /// Whether a listener has connections that wait to be accepted.
    pub fn acceptable(&self, port: u16) -> bool {
        self.listeners.get(&port).is_some_and(|listener| !listener.waiting.is_empty())
    }

    /// Answers a SYN to a port that accepts connections.
    pub(super) fn open_half(&mut self, header: &Header, now: Micros) {
        let port = header.tuple.local.port;
        let Some(listener) = self.listeners.get(&port) else { return };
        // The peer gets no answer. It tries again, and there may be space then.
        if self.half_open >= MAX_HALF_OPEN || listener.waiting.len() + listener.half_open >= BACKLOG {
            return;
        }
        let initial = self.initial(&header.tuple, now);
        let connection = Connection::answer(header, initial, &self.shared, now);
        let Some(place) = self.insert(connection, Some(port)) else { return };
        self.half_open += 1;
        self.listeners.get_mut(&port).expect("as before").half_open += 1;
        self.after(place);
    }

    /// A connection of a listener is open now, or its handshake failed.
    pub(super) fn advance_listener(&mut self, place: u32, state: State) {
        let slot = &mut self.table[place];
        let port = slot.listener.expect("a connection that nobody has accepted");
        if slot.connection.events & CONNECTED != 0 {
            slot.connection.events &= !CONNECTED;
            let id = slot.id;
            self.half_open -= 1;
            if let Some(listener) = self.listeners.get_mut(&port) {
                listener.half_open -= 1;
                listener.waiting.push_back(id);
            }
        }
        if state == State::Closed {
            self.leave_listener(place);
            self.table[place].connection.abandon();
        }
    }

    fn leave_listener(&mut self, place: u32) {
        let slot = &mut self.table[place];
        let (id, half_open) = (slot.id, !slot.connection.was_open());
        let port = slot.listener.take();
        if half_open {
            self.half_open -= 1;
        }
        if let Some(listener) = port.and_then(|port| self.listeners.get_mut(&port)) {
            if half_open {
                listener.half_open -= 1;
            } else {
                listener.waiting.retain(|&waiting| waiting != id);
            }
        }
    }
}
