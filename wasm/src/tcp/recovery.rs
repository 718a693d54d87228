//! Data that was sent and is not yet acknowledged, and the part that was lost: SACK scoreboard (RFC 6675), RACK (RFC 8985).

use super::Micros;
use std::collections::VecDeque;

/// The part of the stream that one transmission carried.
#[derive(Clone, Copy, Debug)]
struct Sent {
    start: u64,
    end: u64,
    at: Micros,
    /// Bytes of the segments that it was sent in. The last one may be shorter.
    segment: u16,
    retransmitted: bool,
    sacked: bool,
    lost: bool,
}

impl Sent {
    fn length(&self) -> u64 {
        self.end - self.start
    }

    /// Bytes of its longest segment.
    fn longest(&self) -> u64 {
        self.length().min(self.segment.into())
    }

    fn in_flight(&self) -> u64 {
        if self.sacked || self.lost { 0 } else { self.length() }
    }
}

/// What an acknowledgement reported.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Bytes that reached the peer and that no earlier acknowledgement reported.
    pub delivered: u64,
    /// Bytes of the longest segment that was among them.
    pub longest: u64,
    /// Time since the newest of them was sent, if it was sent only once (Karn's algorithm).
    pub rtt: Option<Micros>,
    /// Whether the peer received bytes twice (RFC 2883).
    pub duplicate: bool,
}

/// The RACK multiplier is kept for this many recoveries (RFC 8985 §6.2 step 4).
const PERSIST: u32 = 16;

#[derive(Default)]
pub struct Scoreboard {
    sent: VecDeque<Sent>,
    /// Bytes that are in the network: neither acknowledged nor counted as lost (`pipe` in RFC 6675).
    in_flight: u64,
    lost: u64,
    sacked: u64,
    /// End of the highest range that was selectively acknowledged.
    highest: u64,
    /// When the newest of all delivered transmissions was sent, and where it ended.
    latest: (Micros, u64),
    latest_rtt: Micros,
    reordering: bool,
    multiplier: u32,
    persist: u32,
}

impl Scoreboard {
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes to send again.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub fn sacked(&self) -> u64 {
        self.sacked
    }

    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// When the oldest transmission in the network was sent.
    pub fn oldest(&self) -> Option<Micros> {
        self.sent.iter().find(|sent| sent.in_flight() > 0).map(|sent| sent.at)
    }

    /// Bytes of the first segment that has not been acknowledged.
    pub fn first_segment(&self) -> u64 {
        self.sent.front().map_or(0, Sent::longest)
    }

    /// New bytes were sent, `segment` of them in each segment. `start` is the end of the bytes before them.
    pub fn sent(&mut self, start: u64, end: u64, segment: u64, now: Micros) {
        self.in_flight += end - start;
        let segment = segment as u16;
        self.sent.push_back(Sent {
            start,
            end,
            at: now,
            segment,
            retransmitted: false,
            sacked: false,
            lost: false,
        });
    }

    /// The first range to send again, at most `most` bytes of it, is sent now.
    pub fn retransmit(&mut self, most: u64, now: Micros) -> Option<(u64, u64)> {
        let at = self.sent.iter().position(|sent| sent.lost)?;
        let end = self.sent[at].end.min(self.sent[at].start + most);
        self.split(at, end);
        let sent = &mut self.sent[at];
        (sent.lost, sent.retransmitted, sent.at) = (false, true, now);
        self.lost -= sent.length();
        self.in_flight += sent.length();
        Some((sent.start, sent.end))
    }

    /// The last bytes in the network are sent again as a probe (RFC 8985 §7.3).
    pub fn probe(&mut self, most: u64, now: Micros) -> Option<(u64, u64)> {
        let at = self.sent.iter().rposition(|sent| sent.in_flight() > 0)?;
        let start = self.sent[at].start.max(self.sent[at].end.saturating_sub(most));
        let at = if self.split(at, start) { at + 1 } else { at };
        let sent = &mut self.sent[at];
        (sent.retransmitted, sent.at) = (true, now);
        Some((sent.start, sent.end))
    }

    /// Everything that was not selectively acknowledged counts as lost (RFC 6298 §5.4, RFC 8985 §6.3).
    pub fn lose_all(&mut self) {
        for sent in &mut self.sent {
            if !sent.sacked && !sent.lost {
                sent.lost = true;
                self.lost += sent.length();
            }
        }
        self.in_flight = 0;
    }

    /// The first bytes in the network, at most `most`, are lost. Without SACK, nothing more can be known.
    pub fn lose_first(&mut self, most: u64) {
        let Some(at) = self.sent.iter().position(|sent| sent.in_flight() > 0) else { return };
        self.split(at, self.sent[at].start + most);
        let sent = &mut self.sent[at];
        sent.lost = true;
        self.lost += sent.length();
        self.in_flight -= sent.length();
    }

    /// Handles an acknowledgement: of everything before `una`, and of `sacks`.
    ///
    /// `original` says, for a retransmission that was sent at a given time, whether the acknowledgement is for an earlier
    /// transmission of the same bytes. The echoed timestamp shows this.
    pub fn acknowledge(
        &mut self,
        una: u64,
        sacks: &[(u64, u64)],
        now: Micros,
        original: impl Fn(Micros) -> bool,
    ) -> Acknowledged {
        let mut told = Acknowledged::default();
        let mut latest = None;
        let highest_before = self.highest;
        while let Some(&first) = self.sent.front() {
            if first.start >= una {
                break;
            }
            if first.end > una {
                self.split(0, una);
            }
            let sent = self.sent.pop_front().expect("the first");
            self.deliver(&sent, una, highest_before, now, &original, &mut told, &mut latest);
            if sent.sacked {
                self.sacked -= sent.length();
            }
        }
        for &(start, end) in sacks {
            if end <= una || start >= end {
                told.duplicate |= end <= una;
                continue;
            }
            self.highest = self.highest.max(end);
            let mut at = self.sent.partition_point(|sent| sent.end <= start);
            while let Some(&sent) = self.sent.get(at) {
                if sent.start >= end {
                    break;
                }
                if sent.sacked {
                    at += 1;
                    continue;
                }
                if sent.start < start {
                    self.split(at, start);
                    at += 1;
                }
                self.split(at, end);
                let sent = self.sent[at];
                self.deliver(&sent, una, highest_before, now, &original, &mut told, &mut latest);
                self.sent[at].sacked = true;
                self.sent[at].lost = false;
                self.sacked += sent.length();
                at = self.merge(at) + 1;
            }
        }
        told.rtt = latest.and_then(|sent: Sent| (!sent.retransmitted).then(|| now - sent.at));
        told
    }

    /// A transmission has arrived, so the transmissions before it should have arrived too (RFC 8985 §6.2, steps 1 to 3).
    #[allow(clippy::too_many_arguments)] // One step of `acknowledge`.
    fn deliver(
        &mut self,
        sent: &Sent,
        una: u64,
        highest: u64,
        now: Micros,
        original: &impl Fn(Micros) -> bool,
        told: &mut Acknowledged,
        latest: &mut Option<Sent>,
    ) {
        if sent.sacked {
            return;
        }
        told.delivered += sent.length();
        told.longest = told.longest.max(sent.longest());
        self.in_flight -= sent.in_flight();
        if sent.lost {
            self.lost -= sent.length();
        }
        if sent.end < highest.max(una) && sent.end < highest && !sent.retransmitted {
            self.reordering = true;
        }
        if latest.is_none_or(|latest: Sent| latest.at <= sent.at) {
            *latest = Some(*sent);
        }
        if sent.retransmitted && original(sent.at) {
            return;
        }
        if (sent.at, sent.end) > self.latest {
            self.latest = (sent.at, sent.end);
            self.latest_rtt = now - sent.at;
        }
    }

    /// Finds losses: data that was sent long enough before other data that has arrived (RFC 8985 §6.2, step 5).
    ///
    /// Returns whether more was lost, and when to look again.
    pub fn detect(
        &mut self,
        now: Micros,
        min_rtt: Micros,
        srtt: Micros,
        segment: u64,
        recovering: bool,
    ) -> (bool, Option<Micros>) {
        if self.latest.0 == 0 || self.sacked == 0 && !self.sent.iter().any(|sent| sent.retransmitted) {
            return (false, None);
        }
        let window = if !self.reordering && (recovering || self.sacked >= 3 * segment) {
            0
        } else {
            (min_rtt / 4 * u64::from(self.multiplier.max(1))).min(srtt)
        };
        let (mut found, mut again) = (false, None::<Micros>);
        for sent in &mut self.sent {
            if sent.sacked || sent.lost || (sent.at, sent.end) >= self.latest {
                continue;
            }
            let due = sent.at + self.latest_rtt + window;
            if due <= now {
                sent.lost = true;
                self.lost += sent.length();
                self.in_flight -= sent.length();
                found = true;
            } else {
                again = Some(again.map_or(due, |again| again.min(due)));
            }
        }
        (found, again)
    }

    /// The peer received bytes twice, so something was sent again too early (RFC 8985 §6.2, step 4).
    pub fn sent_needlessly(&mut self) {
        self.multiplier = (self.multiplier.max(1) + 1).min(20);
        self.persist = PERSIST;
    }

    pub fn recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.multiplier = 1;
        }
    }

    /// Splits a transmission in two at `offset`, if that is inside of it.
    fn split(&mut self, at: usize, offset: u64) -> bool {
        let sent = self.sent[at];
        if offset <= sent.start || offset >= sent.end {
            return false;
        }
        self.sent[at].end = offset;
        self.sent.insert(at + 1, Sent { start: offset, ..sent });
        true
    }

    /// Joins a range that was selectively acknowledged with its neighbours, to keep the list short. Returns its new index.
    fn merge(&mut self, mut at: usize) -> usize {
        if self.sent.get(at + 1).is_some_and(|next| next.sacked) {
            self.sent[at].end = self.sent[at + 1].end;
            self.sent.remove(at + 1);
        }
        if at > 0 && self.sent[at - 1].sacked {
            self.sent[at - 1].end = self.sent[at].end;
            self.sent.remove(at);
            at -= 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten() -> Scoreboard {
        let mut board = Scoreboard::default();
        for i in 0..10 {
            board.sent(i * 100, i * 100 + 100, 100, 1_000 + i);
        }
        board
    }

    #[test]
    fn counts_what_is_in_the_network() {
        let mut board = ten();
        assert_eq!(board.in_flight(), 1_000);
        let told = board.acknowledge(250, &[(400, 600), (800, 850)], 5_000, |_| false);
        assert_eq!(told.delivered, 250 + 200 + 50);
        assert_eq!((board.in_flight(), board.sacked()), (500, 250));
        let told = board.acknowledge(250, &[(400, 600)], 5_000, |_| false);
        assert_eq!(told.delivered, 0, "nothing is counted twice");
    }

    #[test]
    fn what_was_sent_before_something_that_arrived_is_lost() {
        let mut board = ten();
        board.acknowledge(100, &[(500, 1_000)], 5_000, |_| false);
        let (found, again) = board.detect(5_000, 4_000, 4_000, 100, false);
        assert!(found && again.is_none());
        assert_eq!(board.lost(), 400);
        assert_eq!(board.retransmit(150, 6_000), Some((100, 200)), "a transmission is sent again by itself");
        assert_eq!(board.retransmit(1_000, 6_000), Some((200, 300)));
        assert_eq!((board.lost(), board.in_flight()), (200, 200));
    }

    #[test]
    fn a_lost_retransmission_is_found_too() {
        let mut board = ten();
        board.acknowledge(0, &[(100, 1_000)], 5_000, |_| false);
        board.detect(5_000, 4_000, 4_000, 100, true);
        assert_eq!(board.retransmit(100, 5_000), Some((0, 100)));
        board.sent(1_000, 1_100, 100, 6_000);
        board.acknowledge(0, &[(100, 1_100)], 10_000, |_| false);
        assert!(board.detect(10_000, 4_000, 4_000, 100, true).0);
        assert_eq!(board.lost(), 100);
    }

    #[test]
    fn after_reordering_was_seen_there_is_time_for_it() {
        let mut board = ten();
        board.acknowledge(0, &[(300, 400)], 5_000, |_| false);
        board.acknowledge(100, &[(300, 400)], 5_001, |_| false);
        board.acknowledge(100, &[(200, 1_000)], 5_001, |_| false);
        let (found, again) = board.detect(5_001, 4_000, 4_000, 100, true);
        assert!(!found, "a quarter of a round trip has to go by");
        assert_eq!(again, Some(1_001 + 3_992 + 1_000));
    }
}
