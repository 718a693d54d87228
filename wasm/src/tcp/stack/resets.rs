//! Answers to segments that belong to no connection (RFC 9293 §3.10.7.1), at a limited rate.

use crate::tcp::Micros;
use crate::tcp::seq::Seq;
use crate::tcp::wire::{ACK, FIN, Header, Options, RST, SYN};
use std::collections::VecDeque;

const RESETS_A_SECOND: u64 = 100;
const SECOND: Micros = 1_000_000;

pub struct Resets {
    waiting: VecDeque<Header>,
    /// When the current second began.
    second: Micros,
    /// How many resets are left in it.
    left: u64,
}

impl Resets {
    pub fn new() -> Self {
        Self { waiting: VecDeque::new(), second: 0, left: RESETS_A_SECOND }
    }

    /// Answers a segment with `length` bytes of payload.
    pub fn answer(&mut self, header: &Header, length: usize, now: Micros) {
        if now >= self.second + SECOND {
            (self.second, self.left) = (now, RESETS_A_SECOND);
        }
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let bytes = length as u64 + u64::from(header.has(SYN)) + u64::from(header.has(FIN));
        let (seq, ack, flags) = if header.has(ACK) {
            (header.ack, Seq(0), RST)
        } else {
            (Seq(0), header.seq.plus(bytes), RST | ACK)
        };
        self.waiting.push_back(Header {
            tuple: header.tuple,
            seq,
            ack,
            flags,
            window: 0,
            options: Options::default(),
        });
    }

    /// The next reset to send.
    pub fn next(&mut self) -> Option<Header> {
        self.waiting.pop_front()
    }
}
