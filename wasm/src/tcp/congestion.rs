//! How many bytes may be in the network: CUBIC (RFC 9438), HyStart++ (RFC 9406), proportional rate reduction (RFC 6937).
//!
//! If a link loses packets although it is not full, CUBIC reduces the window again and again. So, as in TCP Westwood+
//! (Mascolo et al. 2001), the window does not fall below the bytes that were delivered in a shortest round trip. If the
//! queue is full, that is half of the window. If the queue is empty, it is all of it.

use super::Micros;

/// Segments that may be sent at first (RFC 6928).
const INITIAL_WINDOW: u64 = 10;
/// What remains of the window after a loss (RFC 9438 §4.6).
const BETA: f64 = 0.7;
/// Segments per second cubed (RFC 9438 §5).
const C: f64 = 0.4;
/// HyStart++ (RFC 9406 §4.3).
const MIN_RTT_THRESHOLD: Micros = 4_000;
const MAX_RTT_THRESHOLD: Micros = 16_000;
const RTT_SAMPLES: u32 = 4;
const CSS_DIVISOR: u64 = 4;
const CSS_ROUNDS: u32 = 5;
/// After this time a shortest round trip is too old to describe the present path.
const MIN_RTT_AGE: Micros = 10_000_000;

/// Slow start's state (RFC 9406).
#[derive(Clone, Copy, PartialEq, Debug)]
enum Start {
    Slow,
    /// Conservative: the baseline, and the number of rounds that are left.
    Conservative {
        baseline: Micros,
        rounds: u32,
    },
    Over,
}

pub struct Congestion {
    segment: u64,
    window: u64,
    threshold: u64,
    start: Start,
    /// CUBIC: the window before the last loss in segments, the start of the present period, when it reaches `largest` again.
    largest: f64,
    period: Option<Micros>,
    inflection: f64,
    /// The window that Reno would have now, in segments (RFC 9438 §4.3).
    reno: f64,
    /// Where the round that is being measured ends, and its measurements.
    round_end: u64,
    round_begun: Micros,
    round_delivered: u64,
    round_limited: bool,
    round_rtt: Micros,
    round_samples: u32,
    last_round_rtt: Micros,
    /// Bytes that arrive per second, smoothed.
    rate: f64,
    min_rtt: Micros,
    min_rtt_at: Micros,
    recovery: Option<Recovery>,
}

/// Proportional rate reduction (RFC 6937).
struct Recovery {
    /// Everything before this was sent before the loss was detected.
    until: u64,
    in_flight: u64,
    delivered: u64,
    sent: u64,
}

impl Congestion {
    pub fn new(segment: u64) -> Self {
        Self {
            segment,
            window: INITIAL_WINDOW * segment,
            threshold: u64::MAX,
            start: Start::Slow,
            largest: 0.0,
            period: None,
            inflection: 0.0,
            reno: 0.0,
            round_end: 0,
            round_begun: 0,
            round_delivered: 0,
            round_limited: false,
            round_rtt: Micros::MAX,
            round_samples: 0,
            last_round_rtt: Micros::MAX,
            rate: 0.0,
            min_rtt: Micros::MAX,
            min_rtt_at: 0,
            recovery: None,
        }
    }

    /// The path takes segments of another length. The window keeps its bytes if they are longer, and the number of its
    /// segments if they are shorter, so that never more is sent than before.
    pub fn set_segment(&mut self, segment: u64) {
        if segment > self.segment {
            self.window = self.window.max(segment);
            self.largest *= self.segment as f64 / segment as f64;
            // CUBIC's other values describe the present period in shorter segments. A new period begins.
            self.period = None;
        } else {
            self.window = (self.window / self.segment).max(1) * segment;
        }
        self.segment = segment;
    }

    /// Bytes that may be in the network.
    pub fn window(&self) -> u64 {
        self.window
    }

    pub fn recovering(&self) -> bool {
        self.recovery.is_some()
    }

    /// The shortest recent round trip.
    pub fn min_rtt(&self) -> Micros {
        self.min_rtt
    }

    pub fn rtt_sample(&mut self, rtt: Micros, now: Micros) {
        if rtt <= self.min_rtt || now - self.min_rtt_at > MIN_RTT_AGE {
            (self.min_rtt, self.min_rtt_at) = (rtt, now);
        }
        self.round_rtt = self.round_rtt.min(rtt);
        self.round_samples += 1;
    }

    /// Bytes have arrived. 0 if repeated acknowledgements have reported all of them before; then only recovery can end.
    ///
    /// `una` is acknowledged and `next` was sent. `limited` means that the window limits the sender.
    pub fn delivered(&mut self, bytes: u64, una: u64, next: u64, in_flight: u64, limited: bool, now: Micros) {
        self.round_delivered += bytes;
        self.round_limited |= limited;
        if una >= self.round_end {
            self.end_round(next, now);
        }
        if let Some(recovery) = &mut self.recovery {
            recovery.delivered += bytes;
            if una >= recovery.until {
                self.recovery = None;
                self.window = self.threshold.max(self.segment);
                return;
            }
            if bytes > 0 {
                self.window = in_flight + recovery.allowance(in_flight, self.threshold, bytes, self.segment);
            }
            return;
        }
        if !limited {
            return;
        }
        if self.window < self.threshold {
            self.grow_slowly(bytes);
        } else {
            self.grow_cubic(bytes, now);
        }
    }

    fn grow_slowly(&mut self, bytes: u64) {
        // RFC 9406: "L = infinity if paced, L = 8 if not". A stretched acknowledgement is not paced, but it is not a burst
        // of ours either.
        let growth = match self.start {
            Start::Conservative { .. } => bytes / CSS_DIVISOR,
            _ => bytes,
        };
        self.window = (self.window + growth).min(self.threshold.max(self.window));
    }

    fn grow_cubic(&mut self, bytes: u64, now: Micros) {
        let segment = self.segment as f64;
        let window = self.window as f64 / segment;
        let period = *self.period.get_or_insert_with(|| {
            if window < self.largest {
                self.inflection = ((self.largest - window) / C).cbrt();
            } else {
                (self.inflection, self.largest) = (0.0, window);
            }
            self.reno = window;
            now
        });
        let acked = bytes as f64 / segment;
        // The target is the curve's value one round trip from now.
        let t = (now - period + self.min_rtt.min(1_000_000)) as f64 / 1e6 - self.inflection;
        let target = (C * t * t * t + self.largest).clamp(window, 1.5 * window);
        let additive = if self.reno >= self.largest { 1.0 } else { 3.0 * (1.0 - BETA) / (1.0 + BETA) };
        self.reno += additive * acked / window;
        let next = if target > self.reno { window + (target - window) / window * acked } else { self.reno };
        self.window = (next.max(window) * segment) as u64;
    }

    fn end_round(&mut self, next: u64, now: Micros) {
        if self.round_begun > 0 && now > self.round_begun {
            let sample = self.round_delivered as f64 * 1e6 / (now - self.round_begun) as f64;
            // If a program sent too little to fill the window, the round shows nothing about the path.
            if self.round_limited || sample > self.rate {
                self.rate += (sample - self.rate) / if self.rate == 0.0 { 1.0 } else { 4.0 };
            }
        }
        self.hystart();
        (self.round_end, self.round_begun, self.round_delivered, self.round_limited) = (next, now, 0, false);
        (self.last_round_rtt, self.round_rtt, self.round_samples) = (self.round_rtt, Micros::MAX, 0);
    }

    /// Checks whether the round that has ended shows a growing queue (RFC 9406 §4.2).
    fn hystart(&mut self) {
        if self.round_samples < RTT_SAMPLES
            || self.last_round_rtt == Micros::MAX
            || self.window >= self.threshold
        {
            return;
        }
        match &mut self.start {
            Start::Slow => {
                let threshold = (self.last_round_rtt / 8).clamp(MIN_RTT_THRESHOLD, MAX_RTT_THRESHOLD);
                if self.round_rtt >= self.last_round_rtt + threshold {
                    self.start = Start::Conservative { baseline: self.round_rtt, rounds: CSS_ROUNDS };
                }
            }
            Start::Conservative { baseline, .. } if self.round_rtt < *baseline => self.start = Start::Slow,
            Start::Conservative { rounds, .. } => {
                *rounds -= 1;
                if *rounds == 0 {
                    self.start = Start::Over;
                    self.threshold = self.window;
                }
            }
            Start::Over => {}
        }
    }

    /// Something was lost. `before` was in the network until then, `in_flight` still is, and `next` will be sent next.
    pub fn lost(&mut self, before: u64, in_flight: u64, next: u64) {
        if self.recovery.is_some() {
            return;
        }
        self.reduce(before);
        // The first retransmission is sent at once.
        self.window = in_flight + self.segment;
        self.recovery = Some(Recovery { until: next, in_flight: before.max(1), delivered: 0, sent: 0 });
    }

    /// The retransmission timer has expired: start again.
    pub fn timed_out(&mut self, in_flight: u64, first: bool) {
        if self.recovery.take().is_none() && first {
            self.reduce(in_flight);
        }
        self.window = self.segment;
    }

    fn reduce(&mut self, in_flight: u64) {
        let segments = in_flight as f64 / self.segment as f64;
        // Fast convergence (RFC 9438 §4.7).
        self.largest = if segments < self.largest { segments * (1.0 + BETA) / 2.0 } else { segments };
        let path = self.rate * self.min_rtt.min(1_000_000) as f64 / 1e6;
        let floor = path.min(in_flight as f64);
        self.threshold = ((in_flight as f64 * BETA).max(floor) as u64).max(2 * self.segment);
        self.period = None;
        self.start = Start::Over;
    }

    pub fn sent(&mut self, bytes: u64) {
        if let Some(recovery) = &mut self.recovery {
            recovery.sent += bytes;
        }
    }

    /// After a pause the path may have changed (RFC 9293 §3.8.2, RFC 5681 §4.1).
    pub fn restart(&mut self) {
        self.window = self.window.min(INITIAL_WINDOW * self.segment);
        self.period = None;
    }
}

impl Recovery {
    /// Bytes that may be sent now (RFC 6937 §3.1, with the slow start reduction bound).
    fn allowance(&self, in_flight: u64, threshold: u64, delivered: u64, segment: u64) -> u64 {
        if in_flight > threshold {
            let share = u128::from(self.delivered) * u128::from(threshold) / u128::from(self.in_flight);
            return (share as u64).saturating_sub(self.sent);
        }
        let limit = self.delivered.saturating_sub(self.sent).max(delivered) + segment;
        limit.min(threshold - in_flight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Micros = 20_000;

    /// Round trips in which the whole window is acknowledged. Returns the window after each.
    fn rounds(congestion: &mut Congestion, begin: u64, count: u64) -> Vec<u64> {
        let mut una = begin * 100_000_000;
        let windows = (begin..begin + count).map(|round| {
            let now = (round + 1) * RTT;
            let mut left = congestion.window();
            while left > 0 {
                let bytes = left.min(10 * congestion.segment);
                una += bytes;
                congestion.rtt_sample(RTT, now);
                congestion.delivered(bytes, una, una + congestion.window(), congestion.window(), true, now);
                left -= bytes;
            }
            congestion.window()
        });
        windows.collect()
    }

    #[test]
    fn longer_segments_do_not_make_the_window_larger() {
        let mut congestion = Congestion::new(524);
        congestion.timed_out(200_000, true);
        let before = *rounds(&mut congestion, 0, 100).last().expect("a hundred");
        assert!(before > 150_000);
        congestion.set_segment(1_368);
        assert_eq!(congestion.window(), before);
        // The curve continues as slowly as before.
        let after = *rounds(&mut congestion, 100, 20).last().expect("twenty");
        assert!((before..before * 23 / 20).contains(&after), "{before} and then {after}");
        // One segment may always be sent.
        let mut least = Congestion::new(524);
        least.timed_out(524, true);
        least.set_segment(1_368);
        assert_eq!(least.window(), 1_368);
    }

    #[test]
    fn shorter_segments_do_not_make_the_window_larger_either() {
        let mut congestion = Congestion::new(1_368);
        congestion.set_segment(524);
        assert_eq!(congestion.window(), INITIAL_WINDOW * 524);
    }
}
