//! The keys of a session with all that each packet changes: the counter and the replay window.

use crate::replay::Window;
use zeroize::Zeroize;

/// Nothing is sealed or opened with a key from this counter on (whitepaper §6.1).
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);
/// A new session is asked for from this counter on (whitepaper §6.1).
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;

/// A session's keys; its address is its slot.
pub struct Keypair {
    pub send_key: [u8; 32],
    pub receive_key: [u8; 32],
    /// The index by which the other side knows this session.
    pub remote_index: u32,
    counter: u64,
    window: Window,
}

impl Keypair {
    /// A session without keys, to be filled in where it stays: a move would leave a copy of them behind.
    pub fn new(remote_index: u32) -> Self {
        Keypair {
            send_key: [0; 32],
            receive_key: [0; 32],
            remote_index,
            counter: 0,
            window: Window::default(),
        }
    }

    /// The number of the next packet, never given twice; None when there are no more.
    pub fn next_counter(&mut self) -> Option<u64> {
        let counter = self.counter;
        if counter >= REJECT_AFTER_MESSAGES {
            return None;
        }
        self.counter += 1;
        Some(counter)
    }

    /// Whether it is time for a new session.
    pub fn rekey_due(&self) -> bool {
        self.counter > REKEY_AFTER_MESSAGES
    }

    /// Whether no packet can be sealed any more.
    pub fn spent(&self) -> bool {
        self.counter >= REJECT_AFTER_MESSAGES
    }

    /// Continues at a later counter: tests cannot wait for 2^60 packets.
    pub fn skip_to(&mut self, counter: u64) {
        self.counter = self.counter.max(counter);
    }

    pub fn acceptable(&self, counter: u64) -> bool {
        self.window.acceptable(counter)
    }

    pub fn mark(&mut self, counter: u64) -> bool {
        self.window.mark(counter)
    }
}

impl Drop for Keypair {
    fn drop(&mut self) {
        self.send_key.zeroize();
        self.receive_key.zeroize();
    }
}
