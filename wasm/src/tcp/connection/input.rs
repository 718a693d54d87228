//! Segments from the network: which are accepted, and what their acknowledgements report.

use super::*;

impl Connection {
    pub(super) fn take_syn(&mut self, header: &Header, shared: &Shared) {
        let options = &header.options;
        self.receiving = Origin { first: header.seq.plus(1) };
        self.timestamps = options.timestamp.is_some();
        self.their_timestamp = options.timestamp.map_or(0, |(value, _)| value);
        self.sacks = options.sack_permitted;
        self.their_scale = options.window_scale.unwrap_or(0);
        let v4 = self.tuple.local.address.is_v4();
        let default = if v4 { DEFAULT_SEGMENT_V4 } else { DEFAULT_SEGMENT_V6 };
        let theirs = options.max_segment.map_or(default, u64::from).max(MIN_SEGMENT);
        // The peer's MSS does not count our options (RFC 6691).
        let options_bytes = if self.timestamps { wire::TIMESTAMP_BYTES as u64 } else { 0 };
        self.begin_path(theirs.saturating_sub(options_bytes), shared);
        self.congestion = Congestion::new(self.segment);
        self.our_scale = if options.window_scale.is_some() { WINDOW_SCALE } else { 0 };
        // The window of a SYN is never scaled (RFC 7323 §2.2).
        self.edge = u64::from(header.window);
        self.widest = self.edge;
        self.window_from = (header.seq, header.ack);
    }

    /// Handles a segment. `parts` are its payload.
    pub fn segment(&mut self, header: &Header, parts: &[&[u8]], shared: &mut Shared, now: Micros) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        match self.state {
            State::Closed => {}
            State::SynSent => self.answered(header, shared, now),
            _ => self.synchronised_segment(header, parts, length as u64, shared, now),
        }
    }

    /// RFC 9293 §3.10.7.3.
    pub(super) fn answered(&mut self, header: &Header, shared: &mut Shared, now: Micros) {
        let acceptable = header.has(ACK) && header.ack == self.sending.first;
        if header.has(RST) {
            if acceptable {
                self.fail(Failure::Refused);
            }
            return;
        }
        if header.has(SYN) && acceptable {
            self.take_syn(header, shared);
            self.measure_handshake(now);
            self.established(now);
            self.send_ack = true;
        } else if header.has(SYN) && !header.has(ACK) {
            // Both ends have opened it at once (RFC 9293 §3.5, figure 7).
            self.take_syn(header, shared);
            (self.state, self.crossed, self.send_syn) = (State::SynReceived, true, true);
        }
    }

    /// The round trip of a SYN, if it was sent once.
    fn measure_handshake(&mut self, now: Micros) {
        if self.round_trip.backoff == 0 {
            self.measure(now - self.last_sent, now);
        }
    }

    pub(super) fn established(&mut self, now: Micros) {
        self.state = State::Established;
        self.round_trip.backoff = 0;
        (self.send_syn, self.opened) = (false, true);
        self.retransmit_at = NEVER;
        self.progress = now;
        self.measured = (now, 0);
        self.events |= CONNECTED | WRITABLE;
        if self.finished {
            self.state = State::FinWait1;
        }
    }

    pub(super) fn measure(&mut self, rtt: Micros, now: Micros) {
        self.round_trip.sample(rtt);
        self.congestion.rtt_sample(rtt.max(1), now);
    }

    /// RFC 9293 §3.10.7.4.
    pub(super) fn synchronised_segment(
        &mut self,
        header: &Header,
        parts: &[&[u8]],
        length: u64,
        shared: &mut Shared,
        now: Micros,
    ) {
        let start = self.receiving.offset(header.seq, self.received);
        let end = start + length as i64 + i64::from(header.has(FIN));
        // PAWS (RFC 7323 §5.3): an old duplicate of a connection that has wrapped around.
        let old = header.options.timestamp.is_some_and(|(value, _)| {
            self.timestamps
                && (value.wrapping_sub(self.their_timestamp) as i32) < 0
                && now - self.heard < TIMESTAMP_AGE
                && !header.has(RST)
        });
        let expected = self.expected() as i64;
        let edge = expected.max(self.advertised as i64);
        let acceptable = !old && start <= edge && (end >= expected || start == expected);
        if header.has(RST) {
            // Only an exact match resets the connection. Another one in the window gets a challenge ACK (RFC 5961 §3.2).
            if start == expected {
                let failure =
                    if self.state == State::SynReceived { Failure::Refused } else { Failure::Reset };
                if matches!(self.state, State::TimeWait | State::Closing | State::LastAck) {
                    self.state = State::Closed;
                } else {
                    self.fail(failure);
                }
            } else if acceptable {
                self.challenge(now);
            }
            return;
        }
        if header.has(SYN) {
            let answers = header.has(ACK) && header.ack == self.sending.first;
            if self.state == State::SynReceived && self.crossed && answers {
                // This SYN counts, because the sender of the earlier one may not have received ours.
                self.take_syn(header, shared);
                self.established(now);
                self.send_ack = true;
                return;
            }
            // Our SYN, ACK was lost, or somebody guesses sequence numbers (RFC 5961 §4.2).
            if self.state == State::SynReceived && header.seq.plus(1) == self.receiving.first {
                self.send_syn = true;
            } else {
                self.challenge(now);
            }
            return;
        }
        if !acceptable || !header.has(ACK) {
            if header.has(ACK) || length > 0 {
                self.note_duplicate(start, end);
                self.send_ack = self.synchronised();
            }
            return;
        }
        (self.heard, self.keep_alives) = (now, 0);
        let timestamp = header.options.timestamp.filter(|_| self.timestamps);
        if let Some((value, _)) = timestamp.filter(|_| start <= self.acknowledged as i64) {
            self.their_timestamp = value;
        }
        let ack = self.sending.offset(header.ack, self.una);
        if ack > self.next as i64 || self.una as i64 - ack > self.widest.max(65_535) as i64 {
            // RFC 5961 §5.2.
            self.challenge(now);
            return;
        }
        if self.state == State::SynReceived {
            if header.ack != self.sending.first {
                return;
            }
            self.measure_handshake(now);
            self.established(now);
        }
        self.take_ack(header, ack, length > 0, shared, now);
        if self.state == State::Closed {
            return;
        }
        if length > 0 || header.has(FIN) {
            self.take_data(start, end, header.has(FIN), parts, shared, now);
        }
    }

    /// The acknowledgement that we send: everything that has arrived in order, and the end of the stream behind it.
    pub(super) fn expected(&self) -> u64 {
        self.received + u64::from(self.end == Some(self.received))
    }

    pub(super) fn challenge(&mut self, now: Micros) {
        if now >= self.next_challenge {
            self.next_challenge = now + CHALLENGE_INTERVAL;
            self.send_ack = true;
        }
    }

    pub(super) fn take_ack(
        &mut self,
        header: &Header,
        ack: i64,
        has_data: bool,
        shared: &mut Shared,
        now: Micros,
    ) {
        let overtaken = ack < self.una as i64;
        let ack = ack.max(0) as u64;
        let mut ranges = [(0, 0); MAX_SACKS + 1];
        let mut count = 0;
        for (from, to) in header.options.sacks() {
            let from = self.sending.offset(*from, self.una);
            let to = self.sending.offset(*to, self.una);
            if self.sacks && from >= 0 && to <= self.next as i64 && from < to {
                ranges[count] = (from as u64, to as u64);
                count += 1;
            }
        }
        let echo = header.options.timestamp.map(|(_, echo)| echo).filter(|_| self.timestamps);
        let before = self.board.in_flight();
        let told = self.board.acknowledge(ack, &ranges[..count], now, |sent| {
            echo.is_some_and(|echo| (echo.wrapping_sub(milliseconds(sent)) as i32) < 0)
        });
        if told.duplicate {
            self.board.sent_needlessly();
        }
        if let Some(rtt) = told.rtt {
            self.measure(rtt, now);
        }
        let advanced = ack > self.una;
        if advanced {
            let room = self.writable() > 0;
            let bytes = ack.min(self.written) - self.una.min(self.written);
            self.una = ack;
            let left = self.written - self.una.min(self.written);
            self.send.advance(bytes as usize, left as usize, &mut shared.pool);
            self.progress = now;
            self.round_trip.backoff = 0;
            self.grow_send_buffer(shared);
            if !room || self.writable() >= self.send_buffer / 2 {
                self.events |= WRITABLE;
            }
        }
        self.prove_path(told.longest, shared);
        let edge = self.edge;
        if !overtaken {
            self.take_window(header, has_data, advanced);
        }
        if self.edge <= self.una && !self.orphaned {
            // A peer that keeps its window closed is alive as long as it responds (RFC 9293 §3.8.6.1).
            self.progress = now;
        }
        let repeats = !advanced && !overtaken && !has_data && !header.has(FIN) && self.edge == edge;
        let delivered =
            if self.sacks { told.delivered } else { self.count_repeated(repeats, told.delivered) };
        let recovering = self.congestion.recovering();
        // Without SACK, repeated acknowledgements may already have reported everything: then this can only end recovery.
        if advanced || delivered > 0 {
            let in_flight = self.board.in_flight();
            self.congestion.delivered(delivered, self.una, self.next, in_flight, self.limited, now);
            if recovering && !self.congestion.recovering() {
                self.board.recovered();
            }
        }
        if self.sacks {
            self.detect(before, now);
        } else if self.repeated == REPEATED && !recovering && self.una >= self.doubted
            || advanced && recovering && self.congestion.recovering()
        {
            // This is the third repetition, not explained by a timeout (RFC 6582 §4), or during recovery an acknowledgement
            // of less than was sent before it (§3.2).
            self.board.lose_first(self.segment);
            self.congestion.lost(before, self.board.in_flight(), self.next);
        }
        if advanced || told.delivered > 0 {
            self.probing = false;
            self.arm(now);
        }
        if self.finished && self.una == self.written + 1 {
            self.fin_acknowledged(now);
        }
    }

    /// Without SACK, an acknowledgement that repeats the last one means that a segment has left the network (RFC 5681 §3.2).
    /// Returns how many bytes of those delivered were not reported before.
    fn count_repeated(&mut self, repeats: bool, delivered: u64) -> u64 {
        if repeats && !self.board.is_empty() {
            self.repeated += 1;
            let more = self.segment.min(self.next - self.una - self.told);
            self.told += more;
            return more;
        }
        if delivered > 0 {
            self.repeated = 0;
        }
        let known = self.told.min(delivered);
        self.told -= known;
        delivered - known
    }

    pub(super) fn take_window(&mut self, header: &Header, has_data: bool, advanced: bool) {
        let (seq, ack) = self.window_from;
        let newer = header.seq.since(seq) > 0
            || header.seq == seq && header.ack.since(ack) >= 0
            || advanced && !has_data && header.seq.since(seq) >= 0;
        if !newer {
            return;
        }
        self.window_from = (header.seq, header.ack);
        let window = u64::from(header.window) << self.their_scale;
        let edge = self.una + window;
        if self.edge <= self.next && edge > self.next && self.board.is_empty() {
            // The backoff comes from probes of the closed window. It shows nothing about the path.
            self.round_trip.backoff = 0;
        }
        self.edge = edge;
        self.widest = self.widest.max(window);
    }

    /// Looks for losses now, and sets the time at which RACK has to look again.
    pub(super) fn detect(&mut self, before: u64, now: Micros) {
        let srtt = self.round_trip.smoothed;
        let recovering = self.congestion.recovering();
        let (found, again) =
            self.board.detect(now, self.congestion.min_rtt().min(srtt), srtt, self.segment, recovering);
        self.reorder_at = again.unwrap_or(NEVER);
        if found {
            self.congestion.lost(before, self.board.in_flight(), self.next);
        }
    }

    pub(super) fn fin_acknowledged(&mut self, now: Micros) {
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                if self.orphaned {
                    self.close_at = now + ORPHANED;
                }
            }
            State::Closing => self.time_wait(now),
            State::LastAck => self.state = State::Closed,
            _ => {}
        }
    }

    pub(super) fn time_wait(&mut self, now: Micros) {
        self.state = State::TimeWait;
        self.close_at = now + TIME_WAIT;
        self.retransmit_at = NEVER;
    }

    /// Lets the program write ahead more than the network may hold, as long as the pool has enough memory.
    pub(super) fn grow_send_buffer(&mut self, shared: &Shared) {
        let wanted = 2 * self.congestion.window() + FIRST_SEND_BUFFER;
        if wanted > self.send_buffer && (shared.pool.available() as u64) > 2 * wanted {
            self.send_buffer = wanted.min(MAX_SEND_BUFFER);
        }
    }
}
