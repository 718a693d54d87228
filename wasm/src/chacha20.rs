//! ChaCha20 (RFC 8439 §2.3), four blocks at a time: each vector holds one state word of four consecutive blocks. The
//! wide build computes eight blocks at a time, with two vectors for each word. V8 combines the two into one of 256 bits
//! where the processor has them.
//!
//! No branch and no index depends on a secret.

/// Vectors per state word.
pub const WIDTH: usize = if cfg!(wide) { 2 } else { 1 };
/// Bytes of key stream that one call computes.
pub const CHUNK: usize = 256 * WIDTH;
const DOUBLE_ROUNDS: usize = 10;
/// How often a call pauses for other work.
pub const PAUSES: usize = DOUBLE_ROUNDS * WIDTH;
const COLUMNS: [[usize; 4]; 4] = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]];
const DIAGONALS: [[usize; 4]; 4] = [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

#[cfg(target_arch = "wasm32")]
mod vector {
    use core::arch::wasm32::*;

    /// One state word of four blocks.
    pub type Vector = v128;

    #[inline(always)]
    pub fn splat(word: u32) -> Vector {
        u32x4_splat(word)
    }

    /// Four consecutive block counters: the first four if `half` is 0, else the next four. Both are additions to the same
    /// splat, because V8 combines no others.
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

    /// Masks of swizzles that rotate each word by 16 and by 8 bits. LLVM must not know that they are constants: it would
    /// replace the swizzles by shuffles, and V8 builds the mask of a shuffle each time.
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
    /// 16 bytes at `key` must be readable and 16 at `text` writable.
    #[inline(always)]
    pub unsafe fn xor_into(text: *mut u8, key: *const u8) {
        unsafe { v128_store(text.cast(), v128_xor(v128_load(text.cast()), v128_load(key.cast()))) }
    }

    /// # Safety
    /// 16 bytes at `from` must be readable.
    #[inline(always)]
    pub unsafe fn load(from: *const u8) -> Vector {
        unsafe { v128_load(from.cast()) }
    }

    /// # Safety
    /// 16 bytes at `to` must be writable.
    #[inline(always)]
    pub unsafe fn store(to: *mut u8, value: Vector) {
        unsafe { v128_store(to.cast(), value) }
    }
}

/// The same with arrays, so that the tests run on any machine.
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
    /// 16 bytes at `key` must be readable and 16 at `text` writable.
    pub unsafe fn xor_into(text: *mut u8, key: *const u8) {
        let [text, key] = [text.cast::<[u8; 16]>(), key.cast_mut().cast()];
        unsafe { *text = core::array::from_fn(|i| (*text)[i] ^ (*key)[i]) }
    }

    /// # Safety
    /// 16 bytes at `from` must be readable.
    pub unsafe fn load(from: *const u8) -> Vector {
        let bytes = unsafe { from.cast::<[[u8; 4]; 4]>().read() };
        bytes.map(u32::from_le_bytes)
    }

    /// # Safety
    /// 16 bytes at `to` must be writable.
    pub unsafe fn store(to: *mut u8, value: Vector) {
        for (i, word) in value.iter().enumerate() {
            unsafe { to.cast::<u32>().add(i).write_unaligned(word.to_le()) }
        }
    }
}

use vector::{Rotations, Vector, add, count, load, rotate, splat, store, transpose, xor, xor_into};

/// One state word of all blocks of a call.
type Word = [Vector; WIDTH];

/// A chunk of key stream. In the wide build the rows of both halves alternate: row 0 of block 0, row 0 of block 4, row 1
/// of block 0, and so on, because V8 combines stores to adjacent addresses. In the module it must be a `static`: V8
/// combines stores only if there is no bounds check between them, and only constant addresses need none.
#[repr(align(64))]
pub struct KeyStream([u8; CHUNK]);

#[cfg(not(target_arch = "wasm32"))]
impl Default for KeyStream {
    fn default() -> Self {
        KeyStream::new()
    }
}

impl KeyStream {
    pub const fn new() -> Self {
        KeyStream([0; CHUNK])
    }

    /// The first 32 bytes of a chunk's first block: the key of the authenticator (RFC 8439 §2.6).
    #[inline(always)]
    pub fn authenticator_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.0[..16]);
        key[16..].copy_from_slice(&self.0[16 * WIDTH..16 * WIDTH + 16]);
        key
    }

    #[inline(always)]
    pub fn copy_from(&mut self, other: &KeyStream) {
        let (to, from) = (self.0.as_mut_ptr(), other.0.as_ptr());
        // Loads and stores one by one, because the module has no instruction that copies faster.
        for at in (0..CHUNK).step_by(16) {
            // SAFETY: within both.
            unsafe { store(to.add(at), load(from.add(at))) }
        }
    }

    /// Encrypts or decrypts bytes with the key stream from block `first` of the chunk on.
    ///
    /// # Panics
    /// If the chunk is too short for the bytes.
    #[inline(always)]
    pub fn apply(&self, first: usize, text: &mut [u8]) {
        assert!(text.len() <= CHUNK - 64 * first);
        let row = |block: usize, row: usize| unsafe {
            self.0.as_ptr().add(64 * WIDTH * (block % 4) + 16 * (block / 4) + 16 * WIDTH * row)
        };
        let length = text.len();
        let text = text.as_mut_ptr();
        let (mut at, mut block) = (0, first);
        while at + 64 <= length {
            for i in 0..4 {
                // SAFETY: within the text, and within the chunk, as asserted above.
                unsafe { xor_into(text.add(at + 16 * i), row(block, i)) }
            }
            at += 64;
            block += 1;
        }
        let mut i = 0;
        while at + 16 <= length {
            unsafe { xor_into(text.add(at), row(block, i)) }
            at += 16;
            i += 1;
        }
        for byte in at..length {
            unsafe { *text.add(byte) ^= row(block, i).add(byte - at).read() }
        }
    }

    /// Erases the chunk.
    #[cfg(target_arch = "wasm32")]
    pub fn wipe(&mut self) {
        let words = core::ptr::from_mut(self).cast::<u64>();
        for i in 0..CHUNK / 8 {
            // SAFETY: within `self`; volatile, so that the compiler does not drop it as unread.
            unsafe { words.add(i).write_volatile(0) }
        }
    }
}

/// A key and a nonce, from which any block can be computed.
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

    /// Computes a chunk of key stream from block number `block` on. Calls `meanwhile` `PAUSES` times while it does this.
    #[inline(always)]
    pub fn chunk(&self, block: u32, out: &mut KeyStream, mut meanwhile: impl FnMut()) {
        let mut x: [Word; 16] = core::array::from_fn(|i| self.start(block, i));
        let rotations = Rotations::new();
        for _ in 0..DOUBLE_ROUNDS {
            quarter_rounds(&mut x, &rotations, COLUMNS);
            // A processor looks some 200 instructions ahead. Two rounds of the wide build have more than that, two rounds
            // of the plain one have fewer.
            if cfg!(wide) {
                meanwhile();
            }
            quarter_rounds(&mut x, &rotations, DIAGONALS);
            meanwhile();
        }
        // Not a loop: in a loop, the compiler would keep the words in memory instead of in registers.
        self.finish_row::<0>(block, &x, out);
        self.finish_row::<1>(block, &x, out);
        self.finish_row::<2>(block, &x, out);
        self.finish_row::<3>(block, &x, out);
    }

    /// A state word before the rounds.
    #[inline(always)]
    fn start(&self, block: u32, i: usize) -> Word {
        core::array::from_fn(|half| if i == 12 { count(block, half) } else { splat(self.words[i]) })
    }

    /// Completes a row of four words of all blocks and stores it in the layout of `KeyStream`.
    #[inline(always)]
    fn finish_row<const ROW: usize>(&self, block: u32, x: &[Word; 16], out: &mut KeyStream) {
        let rows: [[Vector; 4]; WIDTH] = core::array::from_fn(|half| {
            let [a, b, c, d] = [4 * ROW, 4 * ROW + 1, 4 * ROW + 2, 4 * ROW + 3]
                .map(|i| add(x[i][half], self.start(block, i)[half]));
            transpose(a, b, c, d)
        });
        let out = out.0[16 * WIDTH * ROW..].as_mut_ptr();
        for block in 0..4 {
            for (half, blocks) in rows.iter().enumerate() {
                // SAFETY: the last block, row and half still end within the chunk.
                unsafe { store(out.add(64 * WIDTH * block + 16 * half), blocks[block]) }
            }
        }
    }
}

/// Four quarter rounds. Each step is done for all four before the next step, so none waits for another's result.
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
