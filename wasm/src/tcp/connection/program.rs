//! The program's side: reading, writing, closing.

use super::*;

impl Connection {
    /// Bytes that can be read now.
    pub fn readable(&self) -> u64 {
        self.received.min(self.end.unwrap_or(u64::MAX)) - self.consumed
    }

    /// Whether the peer has ended its stream and all of it was read.
    pub fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.consumed == end)
    }

    /// The next bytes to read, as many as are contiguous.
    pub fn peek(&mut self) -> &mut [u8] {
        let length = self.readable() as usize;
        self.receive.piece(0, length)
    }

    /// The program has read bytes.
    pub fn consume(&mut self, bytes: u64, shared: &mut Shared, now: Micros) {
        let bytes = bytes.min(self.readable());
        self.consumed += bytes;
        let left = self.highest_received() - self.consumed;
        self.receive.advance(bytes as usize, left as usize, &mut shared.pool);
        self.widen(now, shared);
        // If the window has grown by two segments or half of the buffer, the peer gets a segment (RFC 9293 §3.8.6.2.2).
        let opened = (self.consumed + self.receive_buffer).saturating_sub(self.advertised);
        if opened >= (2 * self.segment).min(self.receive_buffer / 2)
            && self.end.is_none()
            && self.synchronised()
        {
            self.send_ack = true;
        }
    }

    /// Bytes that can be written now.
    pub fn writable(&self) -> u64 {
        let open = matches!(self.state, State::Established | State::CloseWait) && !self.finished;
        if open { self.send_buffer.saturating_sub(self.written - self.una) } else { 0 }
    }

    /// Memory for bytes to send; `commit` then says how many were written. Empty if there is no space.
    pub fn reserve(&mut self, shared: &mut Shared) -> &mut [u8] {
        let most = self.writable() as usize;
        if most == 0 {
            return &mut [];
        }
        let used = (self.written - self.una) as usize;
        self.starved = self.send.spare(used, most, &mut shared.pool).is_empty();
        self.send.piece(used, most)
    }

    /// Whether there is memory for more bytes to send.
    pub fn may_send_more(&self, shared: &Shared) -> bool {
        self.send.may_grow(&shared.pool)
    }

    /// Whether everything that was written has been acknowledged.
    pub fn is_flushed(&self) -> bool {
        self.una >= self.written
    }

    pub fn commit(&mut self, bytes: u64) {
        self.written += bytes;
    }

    /// The program writes nothing more.
    pub fn finish(&mut self) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.state = match self.state {
            State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            State::SynSent => State::Closed,
            other => other,
        };
    }

    /// The program closes the connection: data that was written is still sent, and received data is no longer read.
    pub fn release(&mut self, now: Micros) {
        self.orphaned = true;
        // Data that the program will not read is lost, and the peer must learn this (RFC 2525 §2.17).
        if self.readable() > 0 {
            return self.abort();
        }
        self.finish();
        if self.state == State::FinWait2 {
            self.close_at = now + ORPHANED;
        }
    }

    /// Ends the connection at once and sends the peer a reset.
    pub fn abort(&mut self) {
        self.orphaned = true;
        self.send_reset = self.synchronised() || self.state == State::SynReceived;
        self.state = State::Closed;
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.state = State::Closed;
        self.events |= ENDED;
    }

    /// Gives all memory back.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.send.clear(pool);
        self.receive.clear(pool);
    }
}
