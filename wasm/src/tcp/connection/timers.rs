//! The timers: retransmission, tail loss probe, reordering, delayed acknowledgement, closing.

use super::*;

impl Connection {
    /// When to call `expire` next.
    pub fn deadline(&self) -> Micros {
        let soon = self.retransmit_at.min(self.reorder_at).min(self.acknowledge_at);
        soon.min(self.close_at).min(self.keep_alive_at)
    }

    /// Sets the timer for data in the network: the tail loss probe, or the retransmission timeout (RFC 8985 §7.2).
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
            self.overdue(shared, now);
        }
        if now >= self.keep_alive_at {
            self.keep_alive_at = self.ask(now);
        }
    }

    /// Sends a keep-alive if the peer has been silent for long (RFC 9293 §3.8.4). Returns when to check again.
    fn ask(&mut self, now: Micros) -> Micros {
        let open =
            matches!(self.state, State::Established | State::CloseWait | State::FinWait1 | State::FinWait2);
        if !open || self.orphaned {
            return NEVER;
        }
        let due = self.heard + KEEP_ALIVE_IDLE;
        if now < due {
            return due;
        }
        // Data in the network has its own timer.
        if self.retransmit_at != NEVER {
            return now + KEEP_ALIVE_IDLE;
        }
        if self.keep_alives >= KEEP_ALIVE_PROBES {
            self.fail(Failure::TimedOut);
            return NEVER;
        }
        self.keep_alives += 1;
        self.send_question = true;
        now + KEEP_ALIVE_INTERVAL
    }

    /// Whether keep-alives are sent to a silent peer.
    pub fn keep_alive(&mut self, on: bool) {
        if !on {
            self.keep_alive_at = NEVER;
        } else if self.keep_alive_at == NEVER {
            self.keep_alive_at = self.heard + KEEP_ALIVE_IDLE;
        }
    }

    pub(super) fn overdue(&mut self, shared: &Shared, now: Micros) {
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
                self.believe_claim(now);
                self.retransmit_at = now + self.round_trip.timeout();
            }
            _ => {
                if now - self.progress >= GIVE_UP {
                    return self.fail(Failure::TimedOut);
                }
                if self.board.is_empty() {
                    self.send_question = true;
                } else {
                    let before = self.board.in_flight();
                    // If it was too long according to a router, its loss does not indicate congestion.
                    if !self.believe_claim(now) {
                        self.doubt_path(shared, now);
                        self.board.lose_all();
                        self.congestion.timed_out(before.max(self.segment), self.round_trip.backoff == 0);
                    }
                    (self.repeated, self.told) = (0, 0);
                    self.doubted = self.next + 1;
                }
                self.round_trip.backoff += 1;
                self.retransmit_at = now + self.round_trip.timeout();
            }
        }
    }
}
