//! The MTU of the path: from ICMP errors (RFC 1191, RFC 8201), and from packets that are lost silently.

use super::*;

/// Longer packets are tried again after this time, because the path may have changed (RFC 1191 §6.3).
const PATH_AGE: Micros = 600 * SECOND;
/// After this many timeouts in a row, packets may be lost because of their length.
const TIMEOUTS: u32 = 2;
/// The MTUs to try then: the least MTU of IPv6, and the length that every IPv4 host accepts.
const SHORTER: [u64; 2] = [1_280, 576];

pub(super) struct Path {
    /// Bytes of the longest packet.
    mtu: u64,
    /// The time when it was found to be less than our own MTU.
    since: Micros,
    /// The longest segment that has arrived since then, according to acknowledgements.
    proven: u64,
    /// An MTU that an ICMP error claims, and the byte of our stream that it quotes.
    claimed: Option<(u64, u64)>,
    /// Whether longer packets have been lost before.
    vanish: bool,
}

impl Path {
    pub(super) fn new(mtu: u64) -> Self {
        Self { mtu, since: 0, proven: 0, claimed: None, vanish: false }
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
            self.shrink(mtu, now);
        }
    }

    /// The timer of a tail loss probe has expired, or with `timed_out` that of retransmission.
    pub(super) fn doubt_path(&mut self, timed_out: bool, now: Micros) {
        if let Some((mtu, _)) = self.path.claimed {
            return self.shrink(mtu, now);
        }
        let tries = if self.path.vanish { 0 } else { TIMEOUTS };
        let v4 = self.tuple.local.address.is_v4();
        let shorter = SHORTER.into_iter().find(|&mtu| mtu < self.path.mtu && (v4 || mtu == SHORTER[0]));
        let Some(mtu) = shorter.filter(|_| timed_out && self.round_trip.backoff >= tries) else { return };
        // A segment that was short enough is lost for another reason.
        if self.board.first_length() > self.longest_segment(mtu) {
            self.path.vanish = true;
            self.shrink(mtu, now);
        }
    }

    /// The peer has acknowledged `bytes`, up to `una`.
    pub(super) fn prove_path(&mut self, bytes: u64) {
        if bytes >= self.segment {
            self.path.proven = self.segment;
        }
        self.path.claimed = self.path.claimed.filter(|&(_, offset)| offset >= self.una);
    }

    /// Tries longer packets again after some time.
    pub(super) fn age_path(&mut self, shared: &Shared, now: Micros) {
        if self.path.mtu < shared.mtu && now - self.path.since >= PATH_AGE {
            self.path.mtu = shared.mtu;
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
