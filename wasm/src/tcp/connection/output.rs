//! What is sent: retransmissions first, then new data, probes, acknowledgements.

use super::*;

impl Connection {
    /// Bytes that were written and never sent. The end of the stream counts as one byte.
    pub(super) fn unsent(&self) -> u64 {
        self.written + u64::from(self.finished) - self.next
    }

    /// Writes the next segment that is due to `out`, which has space for the longest one. Returns its bytes, or 0.
    pub fn transmit(&mut self, out: &mut [u8], shared: &mut Shared, now: Micros) -> usize {
        if self.send_reset {
            self.send_reset = false;
            return self.write(out, RST | ACK, self.next, 0, now);
        }
        match self.state {
            State::Closed => return 0,
            State::SynSent | State::SynReceived => return self.transmit_syn(out, shared, now),
            _ => {}
        }
        self.age_path(shared, now);
        if let Some((start, end)) = self.take_retransmission(now) {
            return self.transmit_range(out, start, end, now);
        }
        if let Some((start, end)) = self.take_new(now) {
            return self.transmit_range(out, start, end, now);
        }
        if self.send_probe {
            self.send_probe = false;
            if let Some((start, end)) = self.board.probe(self.segment, now) {
                return self.transmit_range(out, start, end, now);
            }
        }
        if self.send_question {
            // A segment that was already acknowledged is answered at once (RFC 9293 §3.8.4 and §3.10.7.4).
            self.send_question = false;
            return self.write(out, ACK, self.una.wrapping_sub(1), 0, now);
        }
        if self.send_ack {
            return self.write(out, ACK, self.next, 0, now);
        }
        0
    }

    pub(super) fn transmit_syn(&mut self, out: &mut [u8], shared: &Shared, now: Micros) -> usize {
        if !self.send_syn {
            return 0;
        }
        self.send_syn = false;
        self.last_sent = now;
        let answering = self.state == State::SynReceived;
        let headers = wire::headers_length(self.tuple.local.address.is_v4(), false) as u64;
        let timestamps = !answering || self.timestamps;
        let echo = if answering { self.their_timestamp } else { 0 };
        let options = Options {
            max_segment: Some((shared.mtu - headers).min(u64::from(u16::MAX)) as u16),
            window_scale: (self.our_scale > 0).then_some(WINDOW_SCALE),
            sack_permitted: !answering || self.sacks,
            timestamp: timestamps.then(|| (milliseconds(now), echo)),
            ..Options::default()
        };
        self.advertised = self.receive_buffer.min(65_535);
        let header = Header {
            tuple: self.tuple,
            seq: self.sending.first.plus(u64::MAX),
            ack: if answering { self.receiving.first } else { Seq(0) },
            flags: if answering { SYN | ACK } else { SYN },
            window: self.advertised as u16,
            options,
        };
        wire::write(out, &header, 0, usize::MAX, |_| ())
    }

    pub(super) fn take_retransmission(&mut self, now: Micros) -> Option<(u64, u64)> {
        if self.board.lost() == 0 || self.board.in_flight() >= self.congestion.window() {
            return None;
        }
        let range = self.board.retransmit(self.segment, now)?;
        self.limited = true;
        self.congestion.sent(range.1 - range.0);
        if self.retransmit_at == NEVER {
            self.arm(now);
        }
        Some(range)
    }

    pub(super) fn take_new(&mut self, now: Micros) -> Option<(u64, u64)> {
        let unsent = self.unsent();
        if unsent == 0 {
            self.limited = false;
            return None;
        }
        let in_flight = self.board.in_flight();
        if in_flight == 0 && now - self.last_sent > self.round_trip.timeout() && self.board.is_empty() {
            self.congestion.restart();
        }
        let window = self.congestion.window().saturating_sub(in_flight);
        // The end of the stream needs no space in the peer's window.
        let allowed =
            self.edge.saturating_sub(self.next) + u64::from(self.finished && self.edge >= self.written);
        self.limited = window < unsent.min(allowed) || in_flight + self.segment >= self.congestion.window();
        let most = unsent.min(allowed).min(window);
        if most == 0 {
            if allowed == 0 && self.retransmit_at == NEVER {
                self.progress = now;
                self.arm(now);
            }
            return None;
        }
        // Only whole segments, except for the last data or if the window is never larger (RFC 9293 §3.8.6.2.1).
        let whole = most - most % self.segment;
        let burst = (self.congestion.window() / 4 / self.segment).max(1) * self.segment;
        let length = if most == unsent {
            most
        } else if whole > 0 {
            whole
        } else if window >= allowed && (most >= self.widest / 2 || self.board.is_empty()) {
            most
        } else {
            return None;
        };
        let length = length.min(MAX_PAYLOAD - MAX_PAYLOAD % self.segment).min(burst);
        let (start, end) = (self.next, self.next + length);
        if self.board.is_empty() {
            self.progress = now;
        }
        self.board.sent(start, end, self.segment, now);
        self.congestion.sent(length);
        self.next = end;
        self.arm(now);
        Some((start, end))
    }

    pub(super) fn transmit_range(&mut self, out: &mut [u8], start: u64, end: u64, now: Micros) -> usize {
        let fin = end > self.written;
        let payload = end - u64::from(fin) - start;
        let last = end >= self.written;
        let flags = ACK | if fin { FIN } else { 0 } | if last { PSH } else { 0 };
        self.last_sent = now;
        self.write(out, flags, start, payload as usize, now)
    }

    pub(super) fn write(
        &mut self,
        out: &mut [u8],
        flags: u8,
        start: u64,
        payload: usize,
        now: Micros,
    ) -> usize {
        let options = Options {
            timestamp: self.timestamps.then(|| (milliseconds(now), self.their_timestamp)),
            ..self.sack_blocks(payload)
        };
        let header = Header {
            tuple: self.tuple,
            seq: self.sending.seq(start),
            ack: self.receiving.seq(self.expected()),
            flags,
            window: self.advertise(),
            options,
        };
        self.acknowledged = self.received;
        self.acknowledge_at = NEVER;
        // SACK blocks are sent without payload. With it, the segments would be longer than the path takes.
        if payload == 0 || self.ahead.is_empty() && self.duplicate.is_none() {
            (self.send_ack, self.duplicate) = (self.repeat_ack > 0, None);
            self.repeat_ack = self.repeat_ack.saturating_sub(1);
        }
        let (send, offset) = (&self.send, start.saturating_sub(self.una) as usize);
        wire::write(out, &header, payload, self.segment as usize, |bytes| send.read(offset, bytes))
    }

    /// The right edge of our window never moves back (RFC 9293 §3.8.6).
    pub(super) fn advertise(&mut self) -> u16 {
        let scale = self.our_scale;
        let edge = (self.consumed + self.receive_buffer).max(self.advertised);
        let window = ((edge - self.received) >> scale).min(65_535);
        self.advertised = self.advertised.max(self.received + (window << scale));
        window as u16
    }

    /// The ranges that have arrived beyond a gap. None in a segment with payload, so that all have the same size.
    pub(super) fn sack_blocks(&self, payload: usize) -> Options {
        let mut options = Options::default();
        if !self.sacks || payload > 0 {
            return options;
        }
        let mut put = |(start, end): (u64, u64)| {
            if options.sack_count < MAX_SACKS {
                options.sacks[options.sack_count] = (self.receiving.seq(start), self.receiving.seq(end));
                options.sack_count += 1;
            }
        };
        if let Some(range) = self.duplicate {
            put(range);
        }
        let recent = self.ahead.iter().find(|(start, end)| (*start..*end).contains(&self.recent));
        if let Some(&range) = recent {
            put(range);
        }
        for &range in self.ahead.iter().rev().filter(|range| Some(*range) != recent) {
            put(range);
        }
        options
    }
}
