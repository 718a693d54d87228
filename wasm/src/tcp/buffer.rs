//! Buffers of connections: blocks from one pool, so that all of them together stay within one budget.

use std::collections::VecDeque;

/// Bytes of a block.
pub const BLOCK: usize = 16_384;

type Block = Box<[u8; BLOCK]>;

/// The blocks of all connections. WebAssembly memory never shrinks, so blocks that are given back are kept.
pub struct Pool {
    free: Vec<Block>,
    used: usize,
    sending: usize,
    budget: usize,
    /// Whether blocks were given back since the last call of `take_freed`.
    freed: bool,
}

/// What a window is used for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Data to send: at most half of the pool. If both hosts had filled their pools with it, neither could receive anything.
    Sending,
    Receiving,
}

impl Pool {
    /// `budget` is in bytes and is rounded down to whole blocks.
    pub fn new(budget: usize) -> Self {
        Self { free: Vec::new(), used: 0, sending: 0, budget: (budget / BLOCK).max(2), freed: false }
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used * BLOCK
    }

    /// Bytes that are still available.
    pub fn available(&self) -> usize {
        (self.budget - self.used) * BLOCK
    }

    /// Blocks that are left for data to send. A window has at most as many blocks as are left, so that a few connections
    /// whose peers do not read leave some for all others.
    fn left_to_send(&self) -> usize {
        (self.budget / 2 - self.sending).min(self.budget - self.used)
    }

    /// Whether blocks were given back since the last call.
    pub fn take_freed(&mut self) -> bool {
        core::mem::take(&mut self.freed)
    }

    fn take(&mut self, purpose: Use, held: usize) -> Option<Block> {
        if self.used == self.budget || purpose == Use::Sending && held >= self.left_to_send() {
            return None;
        }
        self.used += 1;
        self.sending += usize::from(purpose == Use::Sending);
        Some(self.free.pop().unwrap_or_else(|| {
            let zeroed: Box<[u8]> = vec![0; BLOCK].into_boxed_slice();
            zeroed.try_into().expect("a block's length")
        }))
    }

    fn give_back(&mut self, block: Block, purpose: Use) {
        self.used -= 1;
        self.sending -= usize::from(purpose == Use::Sending);
        self.freed = true;
        self.free.push(block);
    }
}

/// A window of a byte stream. It begins at the oldest byte that is still needed.
pub struct Window {
    purpose: Use,
    blocks: VecDeque<Block>,
    /// The offset of the window's beginning in the first block.
    start: usize,
}

impl Window {
    pub fn new(purpose: Use) -> Self {
        Self { purpose, blocks: VecDeque::new(), start: 0 }
    }

    /// Bytes of the stream that fit into the blocks that it has.
    fn room(&self) -> usize {
        self.blocks.len() * BLOCK - self.start
    }

    /// Whether a window for data to send may have another block.
    pub fn may_grow(&self, pool: &Pool) -> bool {
        self.blocks.len() < pool.left_to_send()
    }

    /// Makes space for `bytes`, as far as the pool allows. Returns the size of the space, at most `bytes`.
    fn reserve(&mut self, bytes: usize, pool: &mut Pool) -> usize {
        while self.room() < bytes {
            match pool.take(self.purpose, self.blocks.len()) {
                Some(block) => self.blocks.push_back(block),
                None => break,
            }
        }
        self.room().min(bytes)
    }

    /// The contiguous memory at `offset`, at most `length` bytes. Empty if there is no block.
    pub fn piece(&mut self, offset: usize, length: usize) -> &mut [u8] {
        let at = self.start + offset;
        match self.blocks.get_mut(at / BLOCK) {
            Some(block) => {
                let from = at % BLOCK;
                &mut block[from..BLOCK.min(from + length)]
            }
            None => &mut [],
        }
    }

    /// Writes at `offset`, as far as the pool has blocks. Returns the bytes written.
    pub fn write(&mut self, offset: usize, mut data: &[u8], pool: &mut Pool) -> usize {
        let room = self.reserve(offset + data.len(), pool);
        data = &data[..data.len().min(room.saturating_sub(offset))];
        let mut written = 0;
        while written < data.len() {
            let piece = self.piece(offset + written, data.len() - written);
            let length = piece.len();
            piece.copy_from_slice(&data[written..written + length]);
            written += length;
        }
        written
    }

    /// The memory behind the first `used` bytes, to fill in place: at most one block, or empty if the pool is empty.
    pub fn spare(&mut self, used: usize, most: usize, pool: &mut Pool) -> &mut [u8] {
        if self.room() <= used {
            self.reserve(used + 1, pool);
        }
        self.piece(used, most)
    }

    /// Copies bytes that were written.
    pub fn read(&self, offset: usize, out: &mut [u8]) {
        let mut done = 0;
        while done < out.len() {
            let at = self.start + offset + done;
            let from = at % BLOCK;
            let length = (BLOCK - from).min(out.len() - done);
            out[done..done + length].copy_from_slice(&self.blocks[at / BLOCK][from..from + length]);
            done += length;
        }
    }

    /// Removes the first `bytes` and gives back the blocks that become empty. `left` bytes stay in use.
    pub fn advance(&mut self, bytes: usize, left: usize, pool: &mut Pool) {
        self.start += bytes;
        while self.start >= BLOCK {
            self.start -= BLOCK;
            let block = self.blocks.pop_front().expect("as many blocks as were written to");
            pool.give_back(block, self.purpose);
        }
        if left == 0 {
            self.clear(pool);
        }
    }

    /// Keeps only the blocks of the first `bytes`.
    pub fn truncate(&mut self, bytes: usize, pool: &mut Pool) {
        let kept = if bytes == 0 { 0 } else { (self.start + bytes).div_ceil(BLOCK) };
        for block in self.blocks.drain(kept..) {
            pool.give_back(block, self.purpose);
        }
        if kept == 0 {
            self.start = 0;
        }
    }

    /// Gives all blocks back.
    pub fn clear(&mut self, pool: &mut Pool) {
        self.truncate(0, pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::tests::Random;

    #[test]
    fn a_window_holds_what_a_vector_holds_and_gives_all_back() {
        let mut random = Random(7);
        let mut pool = Pool::new(40 * BLOCK);
        let (mut window, mut twin, mut sent) = (Window::new(Use::Receiving), VecDeque::new(), 0u8);
        for _ in 0..20_000 {
            if random.next().is_multiple_of(2) {
                let data: Vec<u8> =
                    (0..random.next() % 40_000).map(|at| sent.wrapping_add(at as u8)).collect();
                let written = window.write(twin.len(), &data, &mut pool);
                sent = sent.wrapping_add(written as u8);
                twin.extend(&data[..written]);
            } else {
                let count = (random.next() as usize % 50_000).min(twin.len());
                let mut out = vec![0; count];
                window.read(0, &mut out);
                assert!(out.iter().eq(twin.iter().take(count)));
                twin.drain(..count);
                window.advance(count, twin.len(), &mut pool);
            }
            assert!(pool.used() <= 40 * BLOCK);
        }
        window.clear(&mut pool);
        assert_eq!(pool.used(), 0);
    }
}
