//! One connection: its state, its two streams, its timers (RFC 9293, RFC 7323, RFC 6298, RFC 8985, RFC 5961).

use super::Micros;
use super::buffer::{Pool, Use, Window};
use super::congestion::Congestion;
use super::recovery::Scoreboard;
use super::seq::{Origin, Seq};
use super::wire::{self, ACK, FIN, Header, MAX_SACKS, Options, PSH, RST, SYN, Tuple};

/// RFC 9293 §3.3.2. `Closed` is also what a connection is that was reset or given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
    Closed,
}

/// Why a connection ended before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Failure {
    /// Nobody listens there: a reset answered our SYN.
    Refused = 1,
    /// The peer reset the connection.
    Reset = 2,
    /// The peer does not answer.
    TimedOut = 3,
    /// An ICMP error said that there is no way.
    Unreachable = 4,
}

/// Bytes of a received stream that are kept for the program at first, and at most.
const FIRST_RECEIVE_BUFFER: u64 = 65_536;
const LEAST_RECEIVE_BUFFER: u64 = 4_096;
pub const MAX_RECEIVE_BUFFER: u64 = 8 << 20;
/// Bytes that the program may write ahead of what was acknowledged.
const FIRST_SEND_BUFFER: u64 = 65_536;
pub const MAX_SEND_BUFFER: u64 = 8 << 20;
/// Our window scale: windows up to 16 MiB.
const WINDOW_SCALE: u8 = 8;
/// Payload of a super-packet, so that all of it with its headers fits 16 bits.
const MAX_PAYLOAD: u64 = 65_535 - wire::MAX_HEADERS as u64;

const SECOND: Micros = 1_000_000;
const MIN_TIMEOUT: Micros = 200_000;
const MAX_TIMEOUT: Micros = 60 * SECOND;
const DELAYED_ACK: Micros = 40_000;
/// How long a peer may be silent while it should acknowledge (RFC 9293 §3.8.3: at least 100 s).
const GIVE_UP: Micros = 180 * SECOND;
/// SYNs are tried for this long: 1 + 2 + 4 + 8 + 16 + 32 s.
const GIVE_UP_SYN: Micros = 63 * SECOND;
/// Twice a segment's life in the network: Linux's TCP_TIMEWAIT_LEN.
const TIME_WAIT: Micros = 60 * SECOND;
/// How long a peer that we no longer listen to may keep its side open (Linux's tcp_fin_timeout).
const ORPHANED: Micros = 60 * SECOND;
/// Challenge ACKs leave at most this often (RFC 5961 §7).
const CHALLENGE_INTERVAL: Micros = 10_000;
const NEVER: Micros = Micros::MAX;
const DEFAULT_SEGMENT_V4: u64 = 536;
const DEFAULT_SEGMENT_V6: u64 = 1_220;
const MIN_SEGMENT: u64 = 48;

/// Round trips, smoothed (RFC 6298).
#[derive(Default)]
struct RoundTrip {
    smoothed: Micros,
    variation: Micros,
    backoff: u32,
}

impl RoundTrip {
    fn sample(&mut self, rtt: Micros) {
        if self.smoothed == 0 {
            (self.smoothed, self.variation) = (rtt.max(1), rtt / 2);
        } else {
            self.variation = (3 * self.variation + self.smoothed.abs_diff(rtt)) / 4;
            self.smoothed = ((7 * self.smoothed + rtt) / 8).max(1);
        }
        self.backoff = 0;
    }

    fn timeout(&self) -> Micros {
        let base = if self.smoothed == 0 { SECOND } else { self.smoothed + (4 * self.variation).max(MIN_TIMEOUT) };
        (base << self.backoff.min(16)).clamp(MIN_TIMEOUT, MAX_TIMEOUT)
    }
}

/// What one connection shares with all others.
pub struct Shared {
    pub pool: Pool,
    /// Bytes of the longest IP packet.
    pub mtu: u64,
}

pub struct Connection {
    pub tuple: Tuple,
    state: State,
    failure: Option<Failure>,
    /// Whether the program has let go of it: nobody reads what still comes.
    orphaned: bool,
    opened: bool,
    waiting: bool,
    segment: u64,
    /// What the path takes, if an ICMP error said that it is less than our MTU.
    path_mtu: u64,

    // What we send, in offsets of our stream. Its end counts as one byte more.
    sending: Origin,
    send: Window,
    una: u64,
    next: u64,
    written: u64,
    finished: bool,
    /// Where the peer's window ends, the widest it has been, and the segment that said so (RFC 9293 §3.10.7.4).
    edge: u64,
    widest: u64,
    window_from: (Seq, Seq),
    their_scale: u8,
    our_scale: u8,
    board: Scoreboard,
    congestion: Congestion,
    round_trip: RoundTrip,
    send_buffer: u64,
    timestamps: bool,
    sacks: bool,
    /// Whether the congestion window was what held us when we last sent.
    limited: bool,
    last_sent: Micros,
    /// When the peer last acknowledged something new, or when there was nothing to be acknowledged.
    progress: Micros,

    // What we receive, in offsets of the peer's stream.
    receiving: Origin,
    receive: Window,
    received: u64,
    consumed: u64,
    end: Option<u64>,
    /// Ranges beyond `received` that have come already, in order; `recent` began last (RFC 2018 §4).
    ahead: Vec<(u64, u64)>,
    recent: u64,
    advertised: u64,
    receive_buffer: u64,
    /// Bytes read by the program since the window was last measured, and when that was.
    measured: (Micros, u64),
    their_timestamp: u32,
    acknowledged: u64,

    // Timers: what is to be sent, and when.
    retransmit_at: Micros,
    probing: bool,
    probe_armed: bool,
    reorder_at: Micros,
    acknowledge_at: Micros,
    close_at: Micros,
    next_challenge: Micros,
    send_syn: bool,
    send_ack: bool,
    send_probe: bool,
    send_reset: bool,
    /// Whether the pool had no block for what the program wants to write.
    pub starved: bool,
    duplicate: Option<(u64, u64)>,
    /// What the program has not been told yet: see the bits of `stack`.
    pub events: u32,
}

pub const CONNECTED: u32 = 1;
pub const READABLE: u32 = 2;
pub const WRITABLE: u32 = 4;
pub const ENDED: u32 = 8;

impl Connection {
    fn new(tuple: Tuple, state: State, initial: Seq, shared: &Shared, now: Micros) -> Self {
        let segment = if tuple.local.address.is_v4() { DEFAULT_SEGMENT_V4 } else { DEFAULT_SEGMENT_V6 };
        Self {
            tuple,
            state,
            failure: None,
            orphaned: false,
            opened: false,
            waiting: false,
            segment,
            path_mtu: shared.mtu,
            sending: Origin { first: initial.add(1) },
            send: Window::new(Use::Sending),
            una: 0,
            next: 0,
            written: 0,
            finished: false,
            edge: 0,
            widest: 0,
            window_from: (Seq(0), Seq(0)),
            their_scale: 0,
            our_scale: WINDOW_SCALE,
            board: Scoreboard::default(),
            congestion: Congestion::new(segment),
            round_trip: RoundTrip::default(),
            send_buffer: FIRST_SEND_BUFFER,
            timestamps: false,
            sacks: false,
            limited: false,
            last_sent: now,
            progress: now,
            receiving: Origin { first: Seq(0) },
            receive: Window::new(Use::Receiving),
            received: 0,
            consumed: 0,
            end: None,
            ahead: Vec::new(),
            recent: 0,
            advertised: 0,
            // Less when memory is short: what one program does not read must not keep all others from receiving.
            receive_buffer: FIRST_RECEIVE_BUFFER.min(shared.pool.available() as u64 / 8).max(LEAST_RECEIVE_BUFFER),
            measured: (now, 0),
            their_timestamp: 0,
            acknowledged: 0,
            retransmit_at: NEVER,
            probing: false,
            probe_armed: false,
            reorder_at: NEVER,
            acknowledge_at: NEVER,
            close_at: NEVER,
            next_challenge: 0,
            send_syn: true,
            send_ack: false,
            send_probe: false,
            send_reset: false,
            starved: false,
            duplicate: None,
            events: 0,
        }
    }

    /// A connection that we open; `initial` is its first sequence number (RFC 6528).
    pub fn open(tuple: Tuple, initial: Seq, shared: &Shared, now: Micros) -> Self {
        let mut connection = Self::new(tuple, State::SynSent, initial, shared, now);
        connection.retransmit_at = now + connection.round_trip.timeout();
        connection
    }

    /// A connection that a peer's SYN opens.
    pub fn answer(header: &Header, initial: Seq, shared: &Shared, now: Micros) -> Self {
        let mut connection = Self::new(header.tuple, State::SynReceived, initial, shared, now);
        connection.retransmit_at = now + connection.round_trip.timeout();
        connection.take_syn(header, shared);
        connection
    }

    pub fn state(&self) -> State {
        self.state
    }

    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// Whether nothing more will come of it and it can be forgotten, once the program has let go.
    pub fn is_over(&self) -> bool {
        self.state == State::Closed && !self.send_reset
    }

    pub fn is_orphaned(&self) -> bool {
        self.orphaned
    }

    /// Whether its handshake was completed.
    pub fn was_open(&self) -> bool {
        self.opened
    }

    /// Whether a SYN begins another connection in the place of this one (RFC 6191 §2).
    pub fn is_replaced_by(&self, header: &Header) -> bool {
        let newer = header.options.timestamp.is_some_and(|(value, _)| {
            self.timestamps && (value.wrapping_sub(self.their_timestamp) as i32) > 0
        });
        self.state == State::TimeWait
            && (newer || self.receiving.offset(header.seq, self.received) > self.received as i64)
    }

    /// Notes that it is in the list of those that wait for late segments. False if it was.
    pub fn mark_waiting(&mut self) -> bool {
        !core::mem::replace(&mut self.waiting, true)
    }

    /// Nobody will ever hold it: a peer's handshake that came to nothing.
    pub fn abandon(&mut self) {
        self.orphaned = true;
    }

    fn synchronised(&self) -> bool {
        !matches!(self.state, State::SynSent | State::SynReceived | State::Closed)
    }

    // The program's side

    /// Bytes that can be read now.
    pub fn readable(&self) -> u64 {
        self.received.min(self.end.unwrap_or(u64::MAX)) - self.consumed
    }

    /// Whether the peer has ended its stream and all of it was read.
    pub fn at_end(&self) -> bool {
        self.end.is_some_and(|end| self.consumed == end)
    }

    /// The next bytes to be read, as many as lie together.
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
        // A window that has opened by two segments or half of the buffer is worth a segment (RFC 9293 §3.8.6.2.2).
        let opened = (self.consumed + self.receive_buffer).saturating_sub(self.advertised);
        if opened >= (2 * self.segment).min(self.receive_buffer / 2) && self.end.is_none() && self.synchronised() {
            self.send_ack = true;
        }
    }

    /// Bytes that can be written now.
    pub fn writable(&self) -> u64 {
        let open = matches!(self.state, State::Established | State::CloseWait) && !self.finished;
        if open { self.send_buffer.saturating_sub(self.written - self.una) } else { 0 }
    }

    /// Memory for bytes to be sent; `commit` says how many there are. Empty if there is no room.
    pub fn reserve(&mut self, shared: &mut Shared) -> &mut [u8] {
        let most = self.writable() as usize;
        if most == 0 {
            return &mut [];
        }
        let used = (self.written - self.una) as usize;
        self.starved = self.send.spare(used, most, &mut shared.pool).is_empty();
        self.send.piece(used, most)
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

    /// The program lets go: what was written is still sent, what comes is no longer read.
    pub fn release(&mut self, now: Micros) {
        self.orphaned = true;
        // Data that nobody will read is lost, and the peer has to know (RFC 2525 §2.17).
        if self.readable() > 0 {
            return self.abort();
        }
        self.finish();
        if self.state == State::FinWait2 {
            self.close_at = now + ORPHANED;
        }
    }

    /// Ends it at once; the peer is told by a reset.
    pub fn abort(&mut self) {
        self.orphaned = true;
        self.send_reset = self.synchronised() || self.state == State::SynReceived;
        self.state = State::Closed;
    }

    fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
        self.state = State::Closed;
        self.events |= ENDED;
    }

    /// Gives all memory back.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.send.clear(pool);
        self.receive.clear(pool);
    }

    // The network's side

    /// What an ICMP error says that quotes a segment of ours (RFC 5927: only if the segment is in the network).
    pub fn unreachable(&mut self, seq: Seq) {
        let offset = self.sending.offset(seq, self.una);
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        if opening && seq.add(1) == self.sending.first || offset >= self.una as i64 && offset < self.next as i64 {
            // Established connections live through errors that may pass (RFC 1122 §4.2.3.9).
            if opening {
                self.fail(Failure::Unreachable);
            }
        }
    }

    /// The path takes packets of `mtu` bytes at most (RFC 1191, RFC 8201).
    pub fn path_shrinks(&mut self, mtu: u64, seq: Seq) {
        let offset = self.sending.offset(seq, self.una);
        let least = if self.tuple.local.address.is_v4() { 68 } else { 1_280 };
        if offset < self.una as i64 || offset >= self.next as i64 || mtu < least || mtu >= self.path_mtu {
            return;
        }
        self.path_mtu = mtu;
        self.limit_segment(self.segment);
        self.board.lose_all();
    }

    fn limit_segment(&mut self, theirs: u64) {
        let headers = wire::headers_length(self.tuple.local.address.is_v4(), self.timestamps) as u64;
        self.segment = theirs.min(self.path_mtu.saturating_sub(headers)).max(MIN_SEGMENT);
        self.congestion.set_segment(self.segment);
    }

    fn take_syn(&mut self, header: &Header, shared: &Shared) {
        let options = &header.options;
        self.receiving = Origin { first: header.seq.add(1) };
        self.timestamps = options.timestamp.is_some();
        self.their_timestamp = options.timestamp.map_or(0, |(value, _)| value);
        self.sacks = options.sack_permitted;
        self.their_scale = options.window_scale.unwrap_or(0);
        let v4 = self.tuple.local.address.is_v4();
        let default = if v4 { DEFAULT_SEGMENT_V4 } else { DEFAULT_SEGMENT_V6 };
        let theirs = options.max_segment.map_or(default, u64::from);
        // Their size does not count our options (RFC 6691).
        let options_bytes = if self.timestamps { wire::TIMESTAMP_BYTES as u64 } else { 0 };
        self.path_mtu = shared.mtu;
        self.limit_segment(theirs.saturating_sub(options_bytes));
        self.congestion = Congestion::new(self.segment);
        if options.window_scale.is_none() {
            self.our_scale = 0;
        }
        // The window of a SYN is never scaled (RFC 7323 §2.2).
        self.edge = u64::from(header.window);
        self.widest = self.edge;
        self.window_from = (header.seq, header.ack);
    }

    /// Takes in a segment; `parts` are its payload.
    pub fn segment(&mut self, header: &Header, parts: &[&[u8]], shared: &mut Shared, now: Micros) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        match self.state {
            State::Closed => {}
            State::SynSent => self.answered(header, shared, now),
            _ => self.synchronised_segment(header, parts, length as u64, shared, now),
        }
    }

    /// RFC 9293 §3.10.7.3.
    fn answered(&mut self, header: &Header, shared: &mut Shared, now: Micros) {
        let acceptable = header.has(ACK) && header.ack == self.sending.first;
        if header.has(RST) {
            if acceptable {
                self.fail(Failure::Refused);
            }
            return;
        }
        // A SYN without an acknowledgement is a simultaneous open, which no program here asks for.
        if !header.has(SYN) || !acceptable {
            return;
        }
        self.take_syn(header, shared);
        self.state = State::Established;
        if self.round_trip.backoff == 0 {
            self.measure(now - self.last_sent, now);
        }
        self.round_trip.backoff = 0;
        self.established(now);
        self.send_ack = true;
    }

    fn established(&mut self, now: Micros) {
        (self.send_syn, self.opened) = (false, true);
        self.retransmit_at = NEVER;
        self.progress = now;
        self.measured = (now, 0);
        self.events |= CONNECTED | WRITABLE;
        if self.finished {
            self.state = State::FinWait1;
        }
    }

    fn measure(&mut self, rtt: Micros, now: Micros) {
        self.round_trip.sample(rtt);
        self.congestion.rtt_sample(rtt.max(1), now);
    }

    /// RFC 9293 §3.10.7.4.
    fn synchronised_segment(
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
            self.timestamps && (value.wrapping_sub(self.their_timestamp) as i32) < 0 && !header.has(RST)
        });
        let expected = self.expected() as i64;
        let edge = expected.max(self.advertised as i64);
        let acceptable = !old && start <= edge && (end >= expected || start == expected);
        if header.has(RST) {
            // Only an exact match resets; one in the window is challenged (RFC 5961 §3.2).
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
            // Our SYN, ACK was lost, or somebody guesses (RFC 5961 §4.2).
            if self.state == State::SynReceived && header.seq.add(1) == self.receiving.first {
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
        if let Some((value, _)) = header.options.timestamp {
            if self.timestamps && start <= self.acknowledged as i64 {
                self.their_timestamp = value;
            }
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
            self.state = State::Established;
            if self.round_trip.backoff == 0 {
                self.measure(now - self.last_sent, now);
            }
            self.round_trip.backoff = 0;
            self.established(now);
        }
        self.take_ack(header, ack.max(0) as u64, length > 0, shared, now);
        if self.state == State::Closed {
            return;
        }
        if length > 0 || header.has(FIN) {
            self.take_data(start, end, header.has(FIN), parts, shared, now);
        }
    }

    /// What we acknowledge: all that has come in order, and the end behind it.
    fn expected(&self) -> u64 {
        self.received + u64::from(self.end == Some(self.received))
    }

    fn challenge(&mut self, now: Micros) {
        if now >= self.next_challenge {
            self.next_challenge = now + CHALLENGE_INTERVAL;
            self.send_ack = true;
        }
    }

    fn take_ack(&mut self, header: &Header, ack: u64, has_data: bool, shared: &mut Shared, now: Micros) {
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
        self.take_window(header, has_data, advanced);
        if self.edge <= self.una {
            // A peer that keeps its window shut is there, as long as it answers (RFC 9293 §3.8.6.1).
            self.progress = now;
        }
        if told.delivered > 0 {
            let in_flight = self.board.in_flight();
            let recovering = self.congestion.recovering();
            self.congestion.delivered(told.delivered, self.una, self.next, in_flight, self.limited, now);
            if recovering && !self.congestion.recovering() {
                self.board.recovered();
            }
        }
        self.detect(before, now);
        if advanced || told.delivered > 0 {
            self.probing = false;
            self.arm(now);
        }
        if self.finished && self.una == self.written + 1 {
            self.fin_acknowledged(now);
        }
    }

    fn take_window(&mut self, header: &Header, has_data: bool, advanced: bool) {
        let (seq, ack) = self.window_from;
        let newer = header.seq.since(seq) > 0
            || header.seq == seq && header.ack.since(ack) >= 0
            || advanced && !has_data && header.seq.since(seq) >= 0;
        if !newer {
            return;
        }
        self.window_from = (header.seq, header.ack);
        let window = u64::from(header.window) << self.their_scale;
        self.edge = self.una + window;
        self.widest = self.widest.max(window);
    }

    /// Looks for losses, now or again at the time that RACK names.
    fn detect(&mut self, before: u64, now: Micros) {
        let srtt = self.round_trip.smoothed;
        let recovering = self.congestion.recovering();
        let (found, again) =
            self.board.detect(now, self.congestion.min_rtt().min(srtt), srtt, self.segment, recovering);
        self.reorder_at = again.unwrap_or(NEVER);
        if found {
            self.congestion.lost(before, self.board.in_flight(), self.next);
        }
    }

    fn fin_acknowledged(&mut self, now: Micros) {
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

    fn time_wait(&mut self, now: Micros) {
        self.state = State::TimeWait;
        self.close_at = now + TIME_WAIT;
        self.retransmit_at = NEVER;
    }

    /// Room for more in the network than has been written ahead, as long as the pool is not short.
    fn grow_send_buffer(&mut self, shared: &Shared) {
        let wanted = 2 * self.congestion.window() + FIRST_SEND_BUFFER;
        if wanted > self.send_buffer && (shared.pool.available() as u64) > 2 * wanted {
            self.send_buffer = wanted.min(MAX_SEND_BUFFER);
        }
    }

    fn take_data(
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
            // Nobody reads it (RFC 9293 §3.10.7.4, RFC 2525 §2.17).
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
        if self.received > before && had == 0 {
            self.events |= READABLE;
        }
        if self.end == Some(self.received) {
            self.reached_end(now);
        }
        // At once for what fills or makes a gap (RFC 5681 §4.2), and for every second full segment.
        let new = self.received - self.acknowledged;
        if !in_order || !self.ahead.is_empty() || self.received == before || new >= 2 * self.segment || fin {
            self.send_ack = true;
        } else if self.acknowledge_at == NEVER {
            self.acknowledge_at = now + DELAYED_ACK;
        }
    }

    fn note_end(&mut self, end: u64) {
        if self.end.is_none() && end >= self.highest_received() {
            self.end = Some(end);
        }
    }

    fn highest_received(&self) -> u64 {
        self.ahead.last().map_or(self.received, |&(_, end)| end.max(self.received))
    }

    /// Stores what is new of a payload and fits the window. Returns where what was stored ends.
    fn store(&mut self, start: i64, parts: &[&[u8]], end: u64, shared: &mut Shared) -> u64 {
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

    /// No memory for what comes next in order: what came ahead of it gives way (RFC 2018 §8), or all would wait for ever.
    fn renege(&mut self, shared: &mut Shared) {
        if !self.ahead.is_empty() {
            self.ahead.clear();
            self.receive.truncate((self.received - self.consumed) as usize, &mut shared.pool);
        }
    }

    /// A range beyond a gap.
    fn note_ahead(&mut self, mut start: u64, mut end: u64) {
        let first = self.ahead.partition_point(|&(_, to)| to < start);
        let mut last = first;
        while let Some(&(from, to)) = self.ahead.get(last).filter(|(from, _)| *from <= end) {
            (start, end) = (start.min(from), end.max(to));
            last += 1;
        }
        self.ahead.splice(first..last, [(start, end)]);
        self.recent = start;
    }

    /// The peer sent what was here already; it is told by a block of its own (RFC 2883).
    fn note_duplicate(&mut self, start: i64, end: i64) {
        if self.sacks && start >= 0 && end > start && end <= self.received as i64 {
            self.duplicate = Some((start as u64, end as u64));
        }
    }

    fn reached_end(&mut self, now: Micros) {
        // The end counts as one byte.
        self.events |= READABLE;
        self.send_ack = true;
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.time_wait(now),
            _ => {}
        }
    }

    /// Makes the receive buffer larger when the program reads about a window a round trip (dynamic right-sizing).
    fn widen(&mut self, now: Micros, shared: &Shared) {
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

    // Timers

    /// When `expire` is to be called next.
    pub fn deadline(&self) -> Micros {
        self.retransmit_at.min(self.reorder_at).min(self.acknowledge_at).min(self.close_at)
    }

    /// Sets the timer for what is in the network: the probe for a lost tail, or the retransmission timeout (RFC 8985 §7.2).
    fn arm(&mut self, now: Micros) {
        let unsent = self.unsent() > 0;
        if self.board.is_empty() {
            // A closed window is probed (RFC 9293 §3.8.6.1).
            self.retransmit_at = if unsent { now + self.round_trip.timeout() } else { NEVER };
            if !unsent {
                self.progress = now;
            }
            return;
        }
        let timeout = self.round_trip.timeout();
        let tail = self.round_trip.smoothed > 0
            && self.sacks
            && !self.congestion.recovering()
            && self.board.lost() == 0
            && self.round_trip.backoff == 0
            && !self.probing;
        let slack = if self.next - self.una <= self.segment { DELAYED_ACK } else { 2_000 };
        let probe = (2 * self.round_trip.smoothed + slack).min(timeout);
        self.retransmit_at = now + if tail { probe } else { timeout };
        self.send_probe = false;
        self.tail(tail && probe < timeout);
    }

    /// Whether the timer that is set is that of a tail loss probe.
    fn tail(&mut self, probe: bool) {
        self.probe_armed = probe;
    }

    pub fn expire(&mut self, shared: &mut Shared, now: Micros) {
        if now >= self.close_at {
            self.state = State::Closed;
            self.close_at = NEVER;
            self.clear(&mut shared.pool);
            return;
        }
        if now >= self.acknowledge_at {
            self.acknowledge_at = NEVER;
            self.send_ack = true;
        }
        if now >= self.reorder_at {
            self.reorder_at = NEVER;
            let before = self.board.in_flight();
            self.detect(before, now);
        }
        if now >= self.retransmit_at {
            self.retransmit_at = NEVER;
            self.overdue(now);
        }
    }

    fn overdue(&mut self, now: Micros) {
        match self.state {
            State::SynSent | State::SynReceived => {
                if now - self.progress >= GIVE_UP_SYN {
                    return self.fail(Failure::TimedOut);
                }
                self.send_syn = true;
                self.round_trip.backoff += 1;
                self.retransmit_at = now + self.round_trip.timeout();
            }
            State::Closed | State::TimeWait => {}
            _ if self.probe_armed => {
                (self.probe_armed, self.probing, self.send_probe) = (false, true, true);
                self.retransmit_at = now + self.round_trip.timeout();
            }
            _ => {
                if now - self.progress >= GIVE_UP {
                    return self.fail(Failure::TimedOut);
                }
                if self.board.is_empty() {
                    self.send_probe = true;
                } else {
                    let before = self.board.in_flight();
                    self.board.lose_all();
                    self.congestion.timed_out(before.max(self.segment), self.round_trip.backoff == 0);
                }
                self.round_trip.backoff += 1;
                self.retransmit_at = now + self.round_trip.timeout();
            }
        }
    }

    // What is sent

    /// Bytes that were written and never sent; the end of the stream counts as one.
    fn unsent(&self) -> u64 {
        self.written + u64::from(self.finished) - self.next
    }

    /// Writes the next segment that is due to `out`, which has room for the longest. Returns its bytes, or 0.
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
        if let Some((start, end)) = self.take_retransmission(now) {
            return self.transmit_range(out, start, end, now);
        }
        if let Some((start, end)) = self.take_new(now) {
            return self.transmit_range(out, start, end, now);
        }
        if self.send_probe {
            self.send_probe = false;
            if let Some((start, end)) = self.take_probe(now) {
                return self.transmit_range(out, start, end, now);
            }
        }
        if self.send_ack {
            return self.write(out, ACK, self.next, 0, now);
        }
        0
    }

    fn transmit_syn(&mut self, out: &mut [u8], shared: &Shared, now: Micros) -> usize {
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
            seq: self.sending.first.add(u64::MAX),
            ack: if answering { self.receiving.first } else { Seq(0) },
            flags: if answering { SYN | ACK } else { SYN },
            window: self.advertised as u16,
            options,
        };
        wire::write(out, &header, 0, usize::MAX, |_| ())
    }

    fn take_retransmission(&mut self, now: Micros) -> Option<(u64, u64)> {
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

    fn take_new(&mut self, now: Micros) -> Option<(u64, u64)> {
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
        // The end of the stream needs no room in the peer's window.
        let allowed = self.edge.saturating_sub(self.next) + u64::from(self.finished && self.edge >= self.written);
        self.limited = window < unsent.min(allowed) || in_flight + self.segment >= self.congestion.window();
        let most = unsent.min(allowed).min(window);
        if most == 0 {
            if allowed == 0 && self.retransmit_at == NEVER {
                self.arm(now);
            }
            return None;
        }
        // Whole segments, unless it is all there is, or the window never gets wider (RFC 9293 §3.8.6.2.1).
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
        self.board.sent(start, end, now);
        self.congestion.sent(length);
        self.next = end;
        self.arm(now);
        Some((start, end))
    }

    /// A probe: new data if the window has room, else the last bytes again; in a closed window, one byte beyond it.
    fn take_probe(&mut self, now: Micros) -> Option<(u64, u64)> {
        if !self.board.is_empty() {
            return self.board.probe(self.segment, now);
        }
        if self.unsent() == 0 {
            return None;
        }
        let range = (self.next, self.next + 1);
        self.board.sent(range.0, range.1, now);
        self.next += 1;
        Some(range)
    }

    fn transmit_range(&mut self, out: &mut [u8], start: u64, end: u64, now: Micros) -> usize {
        let fin = end > self.written;
        let payload = end - u64::from(fin) - start;
        let last = end >= self.written;
        let flags = ACK | if fin { FIN } else { 0 } | if last { PSH } else { 0 };
        self.last_sent = now;
        self.write(out, flags, start, payload as usize, now)
    }

    fn write(&mut self, out: &mut [u8], flags: u8, start: u64, payload: usize, now: Micros) -> usize {
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
        // SACK blocks go by themselves: beside a payload they would make its segments longer than the path takes.
        if payload == 0 || self.ahead.is_empty() && self.duplicate.is_none() {
            (self.send_ack, self.duplicate) = (false, None);
        }
        let (send, offset) = (&self.send, start.saturating_sub(self.una) as usize);
        wire::write(out, &header, payload, self.segment as usize, |bytes| send.read(offset, bytes))
    }

    /// The right edge of our window never moves back (RFC 9293 §3.8.6).
    fn advertise(&mut self) -> u16 {
        let scale = self.our_scale;
        let edge = (self.consumed + self.receive_buffer).max(self.advertised);
        let window = ((edge - self.received) >> scale).min(65_535);
        self.advertised = self.advertised.max(self.received + (window << scale));
        window as u16
    }

    /// What has come beyond a gap; nothing beside a payload, so that segments keep one size.
    fn sack_blocks(&self, payload: usize) -> Options {
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

/// The clock of our timestamps (RFC 7323 §4.1).
fn milliseconds(now: Micros) -> u32 {
    (now / 1_000) as u32
}
