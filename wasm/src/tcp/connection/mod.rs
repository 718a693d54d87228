//! One connection: its state, its two streams, its timers (RFC 9293, RFC 7323, RFC 6298, RFC 8985, RFC 5961).

use super::Micros;
use super::buffer::{Pool, Use, Window};
use super::congestion::Congestion;
use super::recovery::Scoreboard;
use super::seq::{Origin, Seq};
use super::wire::{self, ACK, FIN, Header, MAX_SACKS, Options, PSH, RST, SYN, Tuple};

mod input;
mod output;
mod path;
mod program;
mod receive;
mod timers;

use path::Path;

/// RFC 9293 §3.3.2. A connection that was reset or given up is also `Closed`.
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

/// Why a connection ended early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Failure {
    /// A reset answered our SYN: no program listens there.
    Refused = 1,
    /// The peer reset the connection.
    Reset = 2,
    /// The peer does not respond.
    TimedOut = 3,
    /// An ICMP error reported that the peer is unreachable.
    Unreachable = 4,
}

/// Bytes of a received stream that are kept for the program: the initial, least and largest buffer.
const FIRST_RECEIVE_BUFFER: u64 = 65_536;
const LEAST_RECEIVE_BUFFER: u64 = 4_096;
pub const MAX_RECEIVE_BUFFER: u64 = 8 << 20;
/// Bytes that the program may write beyond what is acknowledged.
const FIRST_SEND_BUFFER: u64 = 65_536;
pub const MAX_SEND_BUFFER: u64 = 8 << 20;
/// Our window scale, for windows up to 16 MiB.
const WINDOW_SCALE: u8 = 8;
/// Payload of a super-packet. Its length with all headers must fit 16 bits.
const MAX_PAYLOAD: u64 = 65_535 - wire::MAX_HEADERS as u64;

const SECOND: Micros = 1_000_000;
const MIN_TIMEOUT: Micros = 200_000;
const MAX_TIMEOUT: Micros = 60 * SECOND;
const DELAYED_ACK: Micros = 40_000;
/// How long a peer may leave data unacknowledged (RFC 9293 §3.8.3: at least 100 s).
const GIVE_UP: Micros = 180 * SECOND;
/// SYNs are repeated for this long: 1 + 2 + 4 + 8 + 16 + 32 s.
const GIVE_UP_SYN: Micros = 63 * SECOND;
/// Twice the lifetime of a segment in the network: Linux's TCP_TIMEWAIT_LEN.
const TIME_WAIT: Micros = 60 * SECOND;
/// How long a connection is idle before a keep-alive is sent, how long the peer has to respond to it, and how many are sent
/// (Linux's tcp_keepalive_time, _intvl and _probes; RFC 9293 §3.8.4 requires at least two hours for the first).
const KEEP_ALIVE_IDLE: Micros = 7_200 * SECOND;
const KEEP_ALIVE_INTERVAL: Micros = 75 * SECOND;
const KEEP_ALIVE_PROBES: u32 = 9;
/// A timestamp that we saw longer ago is not compared, because the peer's clock may have wrapped around (RFC 7323 §5.5).
const TIMESTAMP_AGE: Micros = 24 * 86_400 * SECOND;
/// How long a peer may keep its side open after the program has closed the connection (Linux's tcp_fin_timeout).
const ORPHANED: Micros = 60 * SECOND;
/// This many repetitions of an acknowledgement indicate a loss (RFC 5681 §3.2).
const REPEATED: u32 = 3;
/// The least time between challenge ACKs (RFC 5961 §7).
const CHALLENGE_INTERVAL: Micros = 10_000;
const NEVER: Micros = Micros::MAX;
const DEFAULT_SEGMENT_V4: u64 = 536;
const DEFAULT_SEGMENT_V6: u64 = 1_220;
/// The smallest segment size that a peer may announce, including its options (Linux's tcp_min_snd_mss).
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
        let base =
            if self.smoothed == 0 { SECOND } else { self.smoothed + (4 * self.variation).max(MIN_TIMEOUT) };
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
    /// Whether the program has closed the connection. Then received data is not read.
    orphaned: bool,
    opened: bool,
    /// Whether both ends sent a SYN before they received the other one's.
    crossed: bool,
    waiting: bool,
    segment: u64,
    /// The longest segment that the peer accepts, without options.
    their_segment: u64,
    path: Path,

    // What we send, as offsets in our stream. The end of the stream counts as one byte.
    sending: Origin,
    send: Window,
    una: u64,
    next: u64,
    written: u64,
    finished: bool,
    /// Where the peer's window ends, its largest size so far, and the segment that announced it (RFC 9293 §3.10.7.4).
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
    /// Whether the congestion window limited the last sending.
    limited: bool,
    last_sent: Micros,
    /// When the peer last acknowledged something new, or when everything was acknowledged.
    progress: Micros,
    /// Without SACK: the number of acknowledgements that repeat the last one, and the bytes that they have reported.
    repeated: u32,
    told: u64,
    /// Repeated acknowledgements below this do not show a loss: after a timeout, we may send data that the peer already has.
    doubted: u64,

    // What we receive, as offsets in the peer's stream.
    receiving: Origin,
    receive: Window,
    received: u64,
    consumed: u64,
    end: Option<u64>,
    /// Ranges beyond `received` that have already arrived, in order. `recent` is the start of the newest one (RFC 2018 §4).
    ahead: Vec<(u64, u64)>,
    recent: u64,
    advertised: u64,
    receive_buffer: u64,
    /// When the window was last measured, and the bytes that the program had read by then.
    measured: (Micros, u64),
    their_timestamp: u32,
    acknowledged: u64,
    /// When the last acceptable segment arrived.
    heard: Micros,

    // Timers: what to send, and when.
    retransmit_at: Micros,
    probing: bool,
    /// Whether `retransmit_at` is the time of a tail loss probe.
    probe_armed: bool,
    reorder_at: Micros,
    acknowledge_at: Micros,
    close_at: Micros,
    keep_alive_at: Micros,
    keep_alives: u32,
    next_challenge: Micros,
    send_syn: bool,
    send_ack: bool,
    /// The number of identical acknowledgements that are due after `send_ack`.
    repeat_ack: u32,
    send_probe: bool,
    /// Whether to send a segment that the peer must acknowledge.
    send_question: bool,
    send_reset: bool,
    /// Whether the pool had no block for data that the program wants to write.
    pub starved: bool,
    /// Whether the connection is in the queue of such connections.
    pub queued: bool,
    duplicate: Option<(u64, u64)>,
    /// Events that the program has not been notified of: see the bits of `stack`.
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
            crossed: false,
            waiting: false,
            segment,
            their_segment: segment,
            path: Path::new(shared.mtu),
            sending: Origin { first: initial.plus(1) },
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
            repeated: 0,
            told: 0,
            doubted: 0,
            receiving: Origin { first: Seq(0) },
            receive: Window::new(Use::Receiving),
            received: 0,
            consumed: 0,
            end: None,
            ahead: Vec::new(),
            recent: 0,
            advertised: 0,
            // Smaller if memory is short: data that one program does not read must not prevent all others from receiving.
            receive_buffer: FIRST_RECEIVE_BUFFER
                .min(shared.pool.available() as u64 / 8)
                .max(LEAST_RECEIVE_BUFFER),
            measured: (now, 0),
            their_timestamp: 0,
            acknowledged: 0,
            heard: now,
            retransmit_at: NEVER,
            probing: false,
            probe_armed: false,
            reorder_at: NEVER,
            acknowledge_at: NEVER,
            close_at: NEVER,
            keep_alive_at: NEVER,
            keep_alives: 0,
            next_challenge: 0,
            send_syn: true,
            send_ack: false,
            repeat_ack: 0,
            send_probe: false,
            send_question: false,
            send_reset: false,
            starved: false,
            queued: false,
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

    /// Whether the connection has ended, so that it can be forgotten when the program has closed it.
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

    /// Whether a segment shows that the peer has a connection here that we do not know (RFC 9293 §3.5.1).
    pub fn is_foreign(&self, header: &Header) -> bool {
        self.state == State::SynSent
            && header.has(ACK)
            && !header.has(RST)
            && header.ack != self.sending.first
    }

    /// Records that it is in the list of connections in TIME-WAIT. Returns false if it was there before.
    pub fn mark_waiting(&mut self) -> bool {
        !core::mem::replace(&mut self.waiting, true)
    }

    /// For a peer's handshake that failed: no program will ever have this connection.
    pub fn abandon(&mut self) {
        self.orphaned = true;
    }

    fn synchronised(&self) -> bool {
        !matches!(self.state, State::SynSent | State::SynReceived | State::Closed)
    }
}

/// The clock of our timestamps (RFC 7323 §4.1).
fn milliseconds(now: Micros) -> u32 {
    (now / 1_000) as u32
}
