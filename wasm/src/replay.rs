//! The replay window (RFC 6479; the kernel's receive.c, counter_validate): a ring of bits. The word of the newest counter
//! takes the place of the oldest word, so the window is one word smaller than the ring.

use crate::keypairs::REJECT_AFTER_MESSAGES;

const WORDS: usize = 128;
/// How far a late packet's counter may be behind the newest one.
pub const WINDOW: u64 = (WORDS as u64 - 1) * 64;

/// Which counters were seen.
#[derive(Clone)]
#[repr(C)]
pub struct Seen {
    /// The newest counter, plus one.
    next: u64,
    words: [u64; WORDS],
}

impl Seen {
    /// A window in which nothing was seen.
    #[must_use]
    pub const fn new() -> Seen {
        Seen { next: 0, words: [0; WORDS] }
    }

    /// Whether a counter is new and not too old. Changes nothing, because the packet may be forged.
    pub fn acceptable(&self, counter: u64) -> bool {
        if counter >= REJECT_AFTER_MESSAGES || counter + 1 + WINDOW < self.next {
            return false;
        }
        let position = counter + 1;
        position > self.next || self.words[word(position)] & bit(position) == 0
    }

    /// Records the counter of an authentic packet. Returns false if it was seen before or is too old.
    pub fn mark(&mut self, counter: u64) -> bool {
        if !self.acceptable(counter) {
            return false;
        }
        let position = counter + 1;
        if position > self.next {
            let (from, to) = (self.next / 64, position / 64);
            for ahead in 1..=(to - from).min(WORDS as u64) {
                self.words[(from + ahead) as usize % WORDS] = 0;
            }
            self.next = position;
        }
        self.words[word(position)] |= bit(position);
        true
    }
}

impl Default for Seen {
    fn default() -> Seen {
        Seen::new()
    }
}

/// A window that is allocated for the first packet, so that a silent keypair takes little memory.
#[derive(Default)]
pub struct Window(Option<Box<Seen>>);

impl Window {
    /// Like `Seen::acceptable`.
    pub fn acceptable(&self, counter: u64) -> bool {
        self.0.as_ref().map_or(counter < REJECT_AFTER_MESSAGES, |seen| seen.acceptable(counter))
    }

    /// Like `Seen::mark`.
    pub fn mark(&mut self, counter: u64) -> bool {
        self.acceptable(counter) && self.seen().mark(counter)
    }

    /// What was seen, to be read and written as a whole.
    pub fn seen(&mut self) -> &mut Seen {
        self.0.get_or_insert_with(|| Box::new(Seen::new()))
    }
}

fn word(position: u64) -> usize {
    (position / 64) as usize % WORDS
}

fn bit(position: u64) -> u64 {
    1 << (position % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const LIMIT: u64 = WINDOW + 1;
    const REJECT: u64 = REJECT_AFTER_MESSAGES;

    /// The sequence of the kernel's selftest/counter.c, with our limit of messages.
    #[test]
    fn decides_as_the_kernels_selftest_does() {
        let mut window = Window::default();
        let cases = [
            (0, true),
            (1, true),
            (1, false),
            (9, true),
            (8, true),
            (7, true),
            (7, false),
            (LIMIT, true),
            (LIMIT - 1, true),
            (LIMIT - 1, false),
            (LIMIT - 2, true),
            (2, true),
            (2, false),
            (LIMIT + 16, true),
            (3, false),
            (LIMIT + 16, false),
            (LIMIT * 4, true),
            (LIMIT * 4 - (LIMIT - 1), true),
            (10, false),
            (LIMIT * 4 - LIMIT, false),
            (LIMIT * 4 - (LIMIT + 1), false),
            (LIMIT * 4 - (LIMIT - 2), true),
            (LIMIT * 4 + 1 - LIMIT, false),
            (0, false),
            (REJECT, false),
            (REJECT - 1, true),
            (REJECT, false),
            (REJECT - 1, false),
            (REJECT - 2, true),
            (REJECT + 1, false),
            (REJECT + 2, false),
            (REJECT - 2, false),
            (REJECT - 3, true),
            (0, false),
        ];
        for (i, (counter, accepted)) in cases.into_iter().enumerate() {
            assert_eq!(window.mark(counter), accepted, "case {i}: counter {counter}");
        }
    }

    #[test]
    fn takes_a_whole_window_in_either_order() {
        let bulk = |counters: Vec<u64>, after: &[(u64, bool)]| {
            let mut window = Window::default();
            for counter in counters {
                assert!(window.mark(counter), "counter {counter}");
            }
            for &(counter, accepted) in after {
                assert_eq!(window.mark(counter), accepted, "after the bulk: counter {counter}");
            }
        };
        bulk((1..=WINDOW).collect(), &[(0, true), (0, false)]);
        bulk((2..=WINDOW + 1).collect(), &[(1, true), (0, false)]);
        bulk((1..=WINDOW + 1).rev().collect(), &[]);
        bulk((2..=WINDOW + 2).rev().collect(), &[(0, false)]);
        bulk((1..=WINDOW).rev().collect(), &[(WINDOW + 1, true), (0, false)]);
        bulk((1..=WINDOW).rev().collect(), &[(0, true), (WINDOW + 1, true)]);
    }

    /// Compares with a set of all counters ever seen.
    #[test]
    fn agrees_with_a_set() {
        let mut random = crate::checksum::tests::Random(3);
        for _ in 0..20 {
            let (mut window, mut seen, mut newest) = (Window::default(), HashSet::new(), 0u64);
            for _ in 0..20_000 {
                let reach = [4, 100, 9_000, 40_000][random.next() as usize % 4];
                let counter = (newest + random.next() % reach).saturating_sub(reach / 2);
                let fresh = counter + WINDOW >= newest && !seen.contains(&counter);
                assert_eq!(window.acceptable(counter), fresh, "{counter} after {newest}");
                assert_eq!(window.mark(counter), fresh);
                if fresh {
                    seen.insert(counter);
                    newest = newest.max(counter);
                }
            }
        }
    }
}
