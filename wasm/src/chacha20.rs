//! ChaCha20 (RFC 8439 §2.3), four blocks at a time: each vector holds one state word of four consecutive blocks. The
//! wide build takes eight, as two vectors a word, of which V8 makes one of 256 bits where the processor has them.
//!
//! Nothing here branches or indexes by a secret.

/// Vectors per state word.
pub const WIDTH: usize = if cfg!(wide) { 2 } else { 1 };
/// Bytes that one call makes.
pub const CHUNK: usize = 256 * WIDTH;
const DOUBLE_ROUNDS: usize = 10;

#[cfg(target_arch = "wasm32")]
mod vector {
    use core::arch::wasm32::*;

    /// One state word of four blocks.
    pub type Vector = v128;

    #[inline(always)]
    pub fn splat(word: u32) -> Vector {
        u32x4_splat(word)
    }

    /// Consecutive block counters, of which `half` says whether they are the first four or the next. Both add to one
    /// splat: V8 joins no others.
    #[inline(always)]
    pub fn count(first: u32, half: usize) -> Vector {
        i32x4_add(u32x4_splat(first), if half == 0 { u32x4(0, 1, 2, 3) } else { u32x4(4, 5, 6, 7) })
    }

    #[inline(always)]
    pub fn add(a: Vector, b: Vector) -> Vector {
        i32x4_add(a, b)
    }

    #[inline(always)]
    pub fn xor(a: Vector, b: Vector) -> Vector {
        v128_xor(a, b)
    }

    /// Shuffles that rotate each word by 16 and by 8 bits. LLVM must not see that they are constants: it would make
    /// shuffles of the swizzles, for which V8 builds the mask anew each time.
    pub struct Rotations(Vector, Vector);

    static BY_16: Vector = i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    static BY_8: Vector = i8x16(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14);

    impl Rotations {
        #[inline(always)]
        pub fn new() -> Self {
            // SAFETY: both are initialised, aligned and never written.
            unsafe { Rotations((&raw const BY_16).read_volatile(), (&raw const BY_8).read_volatile()) }
        }

        #[inline(always)]
        pub fn by_16(&self, a: Vector) -> Vector {
            if cfg!(wide) { rotate::<16, 16>(a) } else { i8x16_relaxed_swizzle(a, self.0) }
        }

        #[inline(always)]
        pub fn by_8(&self, a: Vector) -> Vector {
            if cfg!(wide) { rotate::<8, 24>(a) } else { i8x16_relaxed_swizzle(a, self.1) }
        }
    }

    #[inline(always)]
    pub fn rotate<const LEFT: u32, const RIGHT: u32>(a: Vector) -> Vector {
        v128_or(i32x4_shl(a, LEFT), u32x4_shr(a, RIGHT))
    }

    /// Turns four words of four blocks into four blocks of four words.
    #[inline(always)]
    pub fn transpose(a: Vector, b: Vector, c: Vector, d: Vector) -> [Vector; 4] {
        let ab_low = i32x4_shuffle::<0, 4, 1, 5>(a, b);
        let ab_high = i32x4_shuffle::<2, 6, 3, 7>(a, b);
        let cd_low = i32x4_shuffle::<0, 4, 1, 5>(c, d);
        let cd_high = i32x4_shuffle::<2, 6, 3, 7>(c, d);
        [
            i64x2_shuffle::<0, 2>(ab_low, cd_low),
            i64x2_shuffle::<1, 3>(ab_low, cd_low),
            i64x2_shuffle::<0, 2>(ab_high, cd_high),
            i64x2_shuffle::<1, 3>(ab_high, cd_high),
        ]
    }

    /// # Safety
    /// 16 bytes at `from` must be readable and 16 at `to` writable.
    #[inline(always)]
    pub unsafe fn xor_into(to: *mut u8, from: *const u8, key: Vector) {
        unsafe { v128_store(to.cast(), v128_xor(v128_load(from.cast()), key)) }
    }

    /// # Safety
    /// 16 bytes at `to` must be writable.
    #[inline(always)]
    pub unsafe fn store(to: *mut u8, value: Vector) {
        unsafe { v128_store(to.cast(), value) }
    }
}

/// The same by arrays, so that the tests run on any machine.
#[cfg(not(target_arch = "wasm32"))]
mod vector {
    pub type Vector = [u32; 4];

    pub fn splat(word: u32) -> Vector {
        [word; 4]
    }

    pub fn count(first: u32, half: usize) -> Vector {
        core::array::from_fn(|i| first.wrapping_add((4 * half + i) as u32))
    }

    pub fn add(a: Vector, b: Vector) -> Vector {
        core::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }

    pub fn xor(a: Vector, b: Vector) -> Vector {
        core::array::from_fn(|i| a[i] ^ b[i])
    }

    pub struct Rotations;

    impl Rotations {
        pub fn new() -> Self {
            Rotations
        }

        pub fn by_16(&self, a: Vector) -> Vector {
            rotate::<16, 16>(a)
        }

        pub fn by_8(&self, a: Vector) -> Vector {
            rotate::<8, 24>(a)
        }
    }

    pub fn rotate<const LEFT: u32, const RIGHT: u32>(a: Vector) -> Vector {
        a.map(|word| word << LEFT | word >> RIGHT)
    }

    pub fn transpose(a: Vector, b: Vector, c: Vector, d: Vector) -> [Vector; 4] {
        core::array::from_fn(|i| [a[i], b[i], c[i], d[i]])
    }

    /// # Safety
    /// 16 bytes at `from` must be readable and 16 at `to` writable.
    pub unsafe fn xor_into(to: *mut u8, from: *const u8, key: Vector) {
        for (i, word) in key.iter().enumerate() {
            unsafe {
                let text = from.cast::<u32>().add(i).read_unaligned();
                to.cast::<u32>().add(i).write_unaligned(text ^ word.to_le());
            }
        }
    }

    /// # Safety
    /// 16 bytes at `to` must be writable.
    pub unsafe fn store(to: *mut u8, value: Vector) {
        for (i, word) in value.iter().enumerate() {
            unsafe { to.cast::<u32>().add(i).write_unaligned(word.to_le()) }
        }
    }
}

use vector::{Rotations, Vector, add, count, rotate, splat, store, transpose, xor, xor_into};

/// One state word of all blocks of a call.
type Word = [Vector; WIDTH];

/// Where the blocks of one call are while they wait for their use. In the module it must be a `static`: V8 joins stores
/// only if no bounds check is between them, and it leaves those out at constant addresses.
#[repr(align(64))]
pub struct Scratch {
    words: [Word; 16],
    /// Key stream for what is not a whole chunk.
    pub stream: [u8; CHUNK],
}

impl Scratch {
    pub const fn new() -> Self {
        // SAFETY: vectors and bytes may be zero.
        unsafe { core::mem::zeroed() }
    }

    /// Erases what is left of key streams.
    #[cfg(target_arch = "wasm32")]
    pub fn wipe(&mut self) {
        let words = core::ptr::from_mut(self).cast::<u64>();
        for i in 0..size_of::<Self>() / 8 {
            // SAFETY: within `self`; volatile, so that the compiler does not drop it as unread.
            unsafe { words.add(i).write_volatile(0) }
        }
    }
}

/// A key with its nonce, ready for any block.
pub struct ChaCha20 {
    words: [u32; 16],
}

impl ChaCha20 {
    /// The nonce is four zero bytes and a 64-bit counter (whitepaper §5.4.6).
    #[inline(always)]
    pub fn new(key: &[u8; 32], nonce: u64) -> Self {
        let mut words = [0u32; 16];
        // "expand 32-byte k"
        words[..4].copy_from_slice(&[0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
        for (word, bytes) in words[4..12].iter_mut().zip(key.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        words[14] = nonce as u32;
        words[15] = (nonce >> 32) as u32;
        ChaCha20 { words }
    }

    /// Runs the rounds for the blocks from number `block` on.
    #[inline(always)]
    fn rounds(&self, block: u32, out: &mut [Word; 16]) {
        let mut x: [Word; 16] = core::array::from_fn(|i| [splat(self.words[i]); WIDTH]);
        x[12] = core::array::from_fn(|half| count(block, half));
        let rotations = Rotations::new();
        for _ in 0..DOUBLE_ROUNDS {
            double_round(&mut x, &rotations);
        }
        *out = x;
    }

    /// Hands over each row of four words of four blocks, key stream now, with its place in the chunk.
    #[inline(always)]
    fn rows(&self, block: u32, words: &[Word; 16], mut take: impl FnMut(usize, Vector)) {
        (0..WIDTH).for_each(|half| {
            let word = |i: usize| {
                let start = if i == 12 { count(block, half) } else { splat(self.words[i]) };
                add(words[i][half], start)
            };
            for row in 0..4 {
                let first = 4 * row;
                let blocks = transpose(word(first), word(first + 1), word(first + 2), word(first + 3));
                for (i, vector) in blocks.into_iter().enumerate() {
                    take(256 * half + 64 * i + 16 * row, vector);
                }
            }
        });
    }

    /// Makes a chunk of key stream in `scratch.stream`.
    #[inline(always)]
    pub fn key_stream(&self, block: u32, scratch: &mut Scratch) {
        self.rounds(block, &mut scratch.words);
        let out = scratch.stream.as_mut_ptr();
        // SAFETY: places are below CHUNK - 15.
        self.rows(block, &scratch.words, |at, vector| unsafe { store(out.add(at), vector) });
    }

    /// Encrypts or decrypts a chunk.
    ///
    /// # Safety
    /// A chunk at `from` must be readable and at `to` writable; they are the same or do not overlap.
    #[inline(always)]
    pub unsafe fn apply(&self, block: u32, to: *mut u8, from: *const u8, scratch: &mut Scratch) {
        self.rounds(block, &mut scratch.words);
        self.rows(block, &scratch.words, |at, vector| unsafe { xor_into(to.add(at), from.add(at), vector) });
    }
}

#[inline(always)]
fn double_round(x: &mut [Word; 16], rotations: &Rotations) {
    quarter_rounds(x, rotations, [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]]);
    quarter_rounds(x, rotations, [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]]);
}

/// Four quarter rounds, step by step side by side: none waits for another's result.
#[inline(always)]
fn quarter_rounds(x: &mut [Word; 16], rotations: &Rotations, quarters: [[usize; 4]; 4]) {
    let sum = |a: Word, b: Word| core::array::from_fn(|i| add(a[i], b[i]));
    let mixed = |a: Word, b: Word| -> Word { core::array::from_fn(|i| xor(a[i], b[i])) };
    for [a, b, _, d] in quarters {
        x[a] = sum(x[a], x[b]);
        x[d] = mixed(x[d], x[a]).map(|word| rotations.by_16(word));
    }
    for [_, b, c, d] in quarters {
        x[c] = sum(x[c], x[d]);
        x[b] = mixed(x[b], x[c]).map(rotate::<12, 20>);
    }
    for [a, b, _, d] in quarters {
        x[a] = sum(x[a], x[b]);
        x[d] = mixed(x[d], x[a]).map(|word| rotations.by_8(word));
    }
    for [_, b, c, d] in quarters {
        x[c] = sum(x[c], x[d]);
        x[b] = mixed(x[b], x[c]).map(rotate::<7, 25>);
    }
}
