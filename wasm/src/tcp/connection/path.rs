//! How long packets may be on their way to the peer: what ICMP errors say (RFC 1191, RFC 8201), and what vanishes without a word.

use super::*;

/// Longer packets are tried again after this time: the path may be another one then (RFC 1191 §6.3).
const PATH_AGE: Micros = 600 * SECOND;
/// Timeouts in a row before packets are suspected to vanish because of their length.
const TIMEOUTS: u32 = 2;
/// What is tried then: the least MTU of IPv6, and what every host of IPv4 takes.
const SHORTER: [u64; 2] = [1_280, 576];

pub(super) struct Path {
    /// Bytes of the longest packet.
    mtu: u64,
    /// When it was found to be less than our own MTU.
    since: Micros,
    /// The longest segment that has arrived since then, as far as acknowledgements tell.
    proven: u64,
    /// An MTU that an ICMP error claims, and the byte of our stream that it quotes.
    claimed: Option<(u64, u64)>,
    /// Whether longer packets have vanished before.
    vanish: bool,
}

impl Path {
    pub(super) fn new(mtu: u64) -> Self {
        Self { mtu, since: 0, proven: 0, claimed: None, vanish: false }
    }
}

impl Connection {
    /// What an ICMP error says that quotes a segment of ours (RFC 5927: only if the segment is in the network).
    pub fn unreachable(&mut self, seq: Seq) {
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        // Established connections live through errors that may pass (RFC 1122 §4.2.3.9).
        if opening && seq.plus(1) == self.sending.first {
            self.fail(Failure::Unreachable);
        }
    }

    /// An ICMP error that quotes a segment of ours says that the path takes packets of `mtu` bytes at most.
    pub fn path_shrinks(&mut self, mtu: u64, seq: Seq, now: Micros) {
        let offset = self.sending.offset(seq, self.una);
        let least = if self.tuple.local.address.is_v4() { 68 } else { 1_280 };
        if offset < self.una as i64 || offset >= self.next as i64 || mtu < least || mtu >= self.path.mtu {
            return;
        }
        // Longer segments have arrived, so it may be a lie: it counts if what it quotes does not arrive (RFC 5927 §7.2).
        if self.longest_segment(mtu) < self.path.proven {
            self.path.claimed = Some((mtu, offset as u64));
        } else {
            self.shrink(mtu, now);
        }
    }

    /// The timer of a probe for a lost tail ran out, or with `timed_out` that of retransmission.
    pub(super) fn doubt_path(&mut self, timed_out: bool, now: Micros) {
        if let Some((mtu, _)) = self.path.claimed {
            return self.shrink(mtu, now);
        }
        let tries = if self.path.vanish { 0 } else { TIMEOUTS };
        let v4 = self.tuple.local.address.is_v4();
        let shorter = SHORTER.into_iter().find(|&mtu| mtu < self.path.mtu && (v4 || mtu == SHORTER[0]));
        let Some(mtu) = shorter.filter(|_| timed_out && self.round_trip.backoff >= tries) else { return };
        // What would have been short enough is lost for another reason.
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
        // All of it was too long. That says nothing about congestion.
        self.board.lose_all();
    }

    /// The peer's SYN has told the longest segment that it takes.
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
