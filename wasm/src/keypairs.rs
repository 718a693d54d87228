//! The keys of a session, its counter and its replay window.

use crate::replay::{Seen, Window};
use zeroize::Zeroize;

/// From this counter on, nothing is sealed or opened with a key (whitepaper §6.1).
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);
/// From this counter on, a new session is requested (whitepaper §6.1).
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;

/// A session's keys. Its address, the slot, identifies it in TypeScript, which copies the first three fields elsewhere.
#[repr(C)]
pub struct Keypair {
    pub send_key: [u8; 32],
    pub receive_key: [u8; 32],
    /// The peer's index of this session.
    pub remote_index: u32,
    counter: u64,
    /// The first counter that must not be used.
    limit: u64,
    window: Window,
}

impl Keypair {
    /// A session with zero keys. They are written when it has its final address, because moving it would leave a copy.
    pub fn new(remote_index: u32) -> Self {
        Keypair {
            send_key: [0; 32],
            receive_key: [0; 32],
            remote_index,
            counter: 0,
            limit: REJECT_AFTER_MESSAGES,
            window: Window::default(),
        }
    }

    /// The counter of the next packet. Each is returned once. None when the counters are used up.
    pub fn next_counter(&mut self) -> Option<u64> {
        let counter = self.counter;
        if counter >= self.limit {
            return None;
        }
        self.counter += 1;
        Some(counter)
    }

    /// How many counters are left.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.counter)
    }

    /// Reserves counters for another instance. Returns the first of them. None if too few are left.
    pub fn reserve(&mut self, count: u64) -> Option<u64> {
        let first = self.counter;
        if self.left() < count {
            return None;
        }
        self.counter += count;
        Some(first)
    }

    /// From now on, uses only these counters, which the instance that owns the session has reserved.
    pub fn borrow(&mut self, first: u64, count: u64) {
        self.counter = first;
        self.limit = first + count;
    }

    /// Whether a new session should be requested.
    pub fn rekey_due(&self) -> bool {
        self.counter > REKEY_AFTER_MESSAGES
    }

    /// Whether the counters are used up, so that nothing can be sealed.
    pub fn spent(&self) -> bool {
        self.counter >= REJECT_AFTER_MESSAGES
    }

    /// Continues at a later counter. Tests need this, because they cannot send 2^60 packets.
    pub fn skip_to(&mut self, counter: u64) {
        self.counter = self.counter.max(counter);
    }

    pub fn acceptable(&self, counter: u64) -> bool {
        self.window.acceptable(counter)
    }

    pub fn mark(&mut self, counter: u64) -> bool {
        self.window.mark(counter)
    }

    /// The replay window.
    pub fn seen(&mut self) -> &mut Seen {
        self.window.seen()
    }
}

impl Drop for Keypair {
    fn drop(&mut self) {
        self.send_key.zeroize();
        self.receive_key.zeroize();
    }
}
