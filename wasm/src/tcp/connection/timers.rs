//! The timers: retransmission, tail loss probe, reordering, delayed acknowledgement, the end.

use super::*;

impl Connection {
    /// When `expire` is to be called next.
    pub fn deadline(&self) -> Micros {
        self.retransmit_at.min(self.reorder_at).min(self.acknowledge_at).min(self.close_at)
    }

    /// Sets the timer for what is in the network: the probe for a lost tail, or the retransmission timeout (RFC 8985 §7.2).
    pub(super) fn arm(&mut self, now: Micros) {
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
        self.probe_armed = tail && probe < timeout;
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

    pub(super) fn overdue(&mut self, now: Micros) {
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
}
