//! The peer's stream: what has arrived, in order and beyond a gap, and the window for more.

use super::*;

impl Connection {
    pub(super) fn take_data(
        &mut self,
        start: i64,
        end: i64,
        fin: bool,
        parts: &[&[u8]],
        shared: &mut Shared,
        now: Micros,
    ) {
        if fin && end > 0 && end <= self.advertised.max(self.received) as i64 + 1 {
            self.note_end(end as u64 - 1);
        }
        if self.orphaned && end > self.received as i64 + i64::from(fin) {
            // No program reads it (RFC 9293 §3.10.7.4, RFC 2525 §2.17).
            return self.abort();
        }
        let end = self.end.unwrap_or(u64::MAX).min(end.max(0) as u64);
        if end <= self.received && self.end != Some(self.received) {
            self.note_duplicate(start, end as i64);
            self.send_ack = true;
            return;
        }
        let before = self.received;
        let had = self.readable();
        let gap = !self.ahead.is_empty();
        let in_order = start <= self.received as i64;
        let stored = self.store(start, parts, end, shared);
        if in_order {
            self.received = self.received.max(stored);
            while let Some(&(_, to)) = self.ahead.first().filter(|(from, _)| *from <= self.received) {
                self.received = self.received.max(to);
                self.ahead.remove(0);
            }
        } else if stored > start as u64 {
            self.note_ahead(start as u64, stored);
        }
        if self.received > before {
            self.repeat_ack = 0;
        }
        if self.received > before && had == 0 {
            self.events |= READABLE;
        }
        if self.end == Some(self.received) {
            self.reached_end(now);
        }
        // At once if it fills or makes a gap (RFC 5681 §4.2), and after every second full segment.
        let new = self.received - self.acknowledged;
        if !in_order {
            self.acknowledge_gap(parts);
        } else if gap || self.received == before || new >= 2 * self.segment || fin {
            self.send_ack = true;
        } else if self.acknowledge_at == NEVER {
            self.acknowledge_at = now + DELAYED_ACK;
        }
    }

    /// A sender without SACK counts acknowledgements: each segment beyond a gap repeats the last one (RFC 5681 §4.2, §3.2).
    /// With SACK, the blocks of one acknowledgement report all segments.
    fn acknowledge_gap(&mut self, parts: &[&[u8]]) {
        if !self.sacks {
            let segments = parts.iter().filter(|part| !part.is_empty()).count().max(1) as u32;
            // An acknowledgement that is due, or that reports something new, is not a repetition.
            let first = self.send_ack || self.received > self.acknowledged;
            self.repeat_ack = self.repeat_ack.saturating_add(segments - u32::from(!first));
        }
        self.send_ack = true;
    }

    pub(super) fn note_end(&mut self, end: u64) {
        if self.end.is_none() && end >= self.highest_received() {
            self.end = Some(end);
        }
    }

    pub(super) fn highest_received(&self) -> u64 {
        self.ahead.last().map_or(self.received, |&(_, end)| end.max(self.received))
    }

    /// Stores the new bytes of a payload that fit the window. Returns the end of the stored bytes.
    pub(super) fn store(&mut self, start: i64, parts: &[&[u8]], end: u64, shared: &mut Shared) -> u64 {
        let limit = end.min(self.advertised.max(self.received));
        let mut at = start;
        for part in parts {
            let from = at.max(self.received as i64);
            let to = (at + part.len() as i64).min(limit as i64);
            at += part.len() as i64;
            if from >= to {
                continue;
            }
            let skip = (from - (at - part.len() as i64)) as usize;
            let data = &part[skip..skip + (to - from) as usize];
            let offset = (from as u64 - self.consumed) as usize;
            let written = self.receive.write(offset, data, &mut shared.pool);
            if written < data.len() {
                self.renege(shared);
                return from as u64 + written as u64;
            }
        }
        at.clamp(self.received as i64, limit as i64) as u64
    }

    /// Without memory for the next bytes in order, those beyond the gap are dropped (RFC 2018 §8), or the stream stalls.
    pub(super) fn renege(&mut self, shared: &mut Shared) {
        if !self.ahead.is_empty() {
            self.ahead.clear();
            self.receive.truncate((self.received - self.consumed) as usize, &mut shared.pool);
        }
    }

    /// A range beyond a gap.
    pub(super) fn note_ahead(&mut self, mut start: u64, mut end: u64) {
        let first = self.ahead.partition_point(|&(_, to)| to < start);
        let mut last = first;
        while let Some(&(from, to)) = self.ahead.get(last).filter(|(from, _)| *from <= end) {
            (start, end) = (start.min(from), end.max(to));
            last += 1;
        }
        self.ahead.splice(first..last, [(start, end)]);
        self.recent = start;
    }

    /// The peer sent data that had already arrived. A separate SACK block reports this (RFC 2883).
    pub(super) fn note_duplicate(&mut self, start: i64, end: i64) {
        if self.sacks && start >= 0 && end > start && end <= self.received as i64 {
            self.duplicate = Some((start as u64, end as u64));
        }
    }

    pub(super) fn reached_end(&mut self, now: Micros) {
        // The end of the stream counts as one byte.
        self.events |= READABLE;
        self.send_ack = true;
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.time_wait(now),
            _ => {}
        }
    }

    /// Enlarges the receive buffer if the program reads about one window per round trip (dynamic right-sizing).
    pub(super) fn widen(&mut self, now: Micros, shared: &Shared) {
        let (since, consumed) = self.measured;
        let rtt = self.round_trip.smoothed.max(1_000);
        if now < since + rtt {
            return;
        }
        let read = self.consumed - consumed;
        self.measured = (now, self.consumed);
        let free = shared.pool.available() as u64;
        if 2 * read >= self.receive_buffer && self.our_scale > 0 && free > 4 * self.receive_buffer {
            self.receive_buffer = (2 * self.receive_buffer).min(MAX_RECEIVE_BUFFER);
        }
    }
}
