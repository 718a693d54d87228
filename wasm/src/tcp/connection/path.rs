//! The MTU of the path: from ICMP errors (RFC 1191, RFC 8201), and from packets that are lost silently.

use super::*;

/// Longer packets are tried again after this time, because the path may have changed (RFC 1191 §6.3).
const PATH_AGE: Micros = 600 * SECOND;
/// The same if nothing but timeouts suggested that they are lost, because an interruption looks the same.
const GUESS_AGE: Micros = 10 * SECOND;
/// After this many timeouts in a row, packets may be lost because of their length (Linux's tcp_mtu_probing = 1 and
/// tcp_retries1).
const TIMEOUTS: u32 = 3;
/// The MTUs to try then: the least MTU of IPv6, and the length that every IPv4 host accepts.
const SHORTER: [u64; 2] = [1_280, 576];

pub(super) struct Path {
    /// Bytes of the longest packet.
    mtu: u64,
    /// The time when it was found to be less than our own MTU.
    since: Micros,
    /// How long it counts from then on.
    age: Micros,
    /// The longest segment that has arrived since then, according to acknowledgements.
    proven: u64,
    /// An MTU that an ICMP error claims, and the byte of our stream that it quotes.
    claimed: Option<(u64, u64)>,
    /// Whether longer packets seem to be lost silently.
    vanish: bool,
    /// Before this many timeouts, packets do not become shorter. 0 as soon as something has arrived.
    patience: u32,
}

impl Path {
    pub(super) fn new(mtu: u64) -> Self {
        Self { mtu, since: 0, age: GUESS_AGE, proven: 0, claimed: None, vanish: false, patience: 0 }
    }
}

impl Connection {
    /// Handles an ICMP error that quotes a segment of ours (RFC 5927: only if the segment is in the network).
    pub fn unreachable(&mut self, seq: Seq) {
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        // Established connections survive errors that may be temporary (RFC 1122 §4.2.3.9).
        if opening && seq.plus(1) == self.sending.first {
            self.fail(Failure::Unreachable);
        }
    }

    /// Handles an ICMP error that quotes a segment of ours: the path's MTU is `mtu` bytes.
    pub fn path_shrinks(&mut self, mtu: u64, seq: Seq, now: Micros) {
        let offset = self.sending.offset(seq, self.una);
        let least = if self.tuple.local.address.is_v4() { 68 } else { 1_280 };
        if offset < self.una as i64 || offset >= self.next as i64 || mtu < least || mtu >= self.path.mtu {
            return;
        }
        // Longer segments arrived, so it may be forged. It counts if the quoted one does not arrive (RFC 5927 §7.2).
        if self.longest_segment(mtu) < self.path.proven {
            self.path.claimed = Some((mtu, offset as u64));
        } else {
            self.path.age = PATH_AGE;
            self.shrink(mtu, now);
        }
    }

    /// A timer has expired. If an ICMP error claims a smaller MTU and the quoted segment has not arrived, it is true.
    pub(super) fn believe_claim(&mut self, now: Micros) -> bool {
        let Some((mtu, _)) = self.path.claimed else { return false };
        self.path.age = PATH_AGE;
        self.shrink(mtu, now);
        true
    }

    /// The retransmission timer has expired. Perhaps packets are lost because they are long, and no router says so.
    pub(super) fn doubt_path(&mut self, shared: &Shared, now: Micros) {
        let (path, lost) = (&self.path, self.board.first_segment());
        // If longer packets were lost silently before, one more that is longer than those that arrive needs no further proof.
        let tries = if path.vanish && lost > path.proven { 0 } else { TIMEOUTS };
        if self.round_trip.backoff < tries.max(path.patience) {
            return;
        }
        let v4 = self.tuple.local.address.is_v4();
        let mut shorter = SHORTER.into_iter().filter(|&mtu| mtu < path.mtu && (v4 || mtu == SHORTER[0]));
        if let Some(mtu) = shorter.find(|&mtu| self.longest_segment(mtu) < lost) {
            self.path.vanish = true;
            self.shrink(mtu, now);
        } else if path.vanish && path.proven == 0 {
            // The shortest are lost too, so their length is not the reason. Long ones get two attempts before it is tried again.
            (self.path.vanish, self.path.age) = (false, GUESS_AGE);
            self.path.patience = self.round_trip.backoff + 2;
            self.path.mtu = shared.mtu;
            self.limit_segment();
        }
    }

    /// The peer has acknowledged segments; the longest has `longest` bytes. 0 if the acknowledgement reports nothing new.
    pub(super) fn prove_path(&mut self, longest: u64, shared: &Shared) {
        if longest == 0 {
            return;
        }
        self.path.proven = self.path.proven.max(longest);
        self.path.patience = 0;
        self.path.claimed = self.path.claimed.filter(|&(_, offset)| offset >= self.una);
        if self.path.proven >= self.longest_segment(shared.mtu) {
            (self.path.vanish, self.path.age) = (false, GUESS_AGE);
        }
    }

    /// Tries longer packets again after some time.
    pub(super) fn age_path(&mut self, shared: &Shared, now: Micros) {
        if self.path.mtu < shared.mtu && now - self.path.since >= self.path.age {
            (self.path.mtu, self.path.age) = (shared.mtu, PATH_AGE);
            self.limit_segment();
        }
    }

    fn shrink(&mut self, mtu: u64, now: Micros) {
        (self.path.mtu, self.path.since) = (mtu, now);
        (self.path.proven, self.path.claimed) = (0, None);
        self.limit_segment();
        // All of it was too long. This does not indicate congestion.
        self.board.lose_all();
    }

    /// The peer's SYN contains the longest segment that it accepts.
    pub(super) fn begin_path(&mut self, theirs: u64, shared: &Shared) {
        self.path = Path::new(shared.mtu);
        self.their_segment = theirs;
        self.limit_segment();
    }

    fn limit_segment(&mut self) {
        self.segment = self.longest_segment(self.path.mtu);
        self.congestion.set_segment(self.segment);
    }

    fn longest_segment(&self, mtu: u64) -> u64 {
        let headers = wire::headers_length(self.tuple.local.address.is_v4(), self.timestamps) as u64;
        let least = MIN_SEGMENT - wire::TIMESTAMP_BYTES as u64;
        self.their_segment.min(mtu.saturating_sub(headers)).max(least)
    }
}
