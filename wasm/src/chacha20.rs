//! ChaCha20 (RFC 8439 §2.3), four blocks at a time: each vector holds one state word of four consecutive blocks.
//!
//! Nothing here branches or indexes by a secret.

/// Bytes that one call makes.
pub const CHUNK: usize = 256;
const ROUNDS: usize = 20;

#[cfg(target_arch = "wasm32")]
mod vector {
    use core::arch::wasm32::*;

    /// One state word of four blocks.
    pub type Vector = v128;

    #[inline(always)]
    pub fn splat(word: u32) -> Vector {
        u32x4_splat(word)
    }

    /// Consecutive block counters.
    #[inline(always)]
    pub fn count(first: u32) -> Vector {
        i32x4_add(u32x4_splat(first), u32x4(0, 1, 2, 3))
    }

    #[inline(always)]
    pub fn add(a: Vector, b: Vector) -> Vector {
        i32x4_add(a, b)
    }

    #[inline(always)]
    pub fn xor(a: Vector, b: Vector) -> Vector {
        v128_xor(a, b)
    }

    // Rotations by whole bytes are one shuffle; V8 makes a pshufb of it.
    #[inline(always)]
    pub fn rotate16(a: Vector) -> Vector {
        i8x16_shuffle::<2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13>(a, a)
    }

    #[inline(always)]
    pub fn rotate8(a: Vector) -> Vector {
        i8x16_shuffle::<3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14>(a, a)
    }

    #[inline(always)]
    pub fn rotate12(a: Vector) -> Vector {
        v128_or(i32x4_shl(a, 12), u32x4_shr(a, 20))
    }

    #[inline(always)]
    pub fn rotate7(a: Vector) -> Vector {
        v128_or(i32x4_shl(a, 7), u32x4_shr(a, 25))
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

    pub fn count(first: u32) -> Vector {
        core::array::from_fn(|i| first.wrapping_add(i as u32))
    }

    pub fn add(a: Vector, b: Vector) -> Vector {
        core::array::from_fn(|i| a[i].wrapping_add(b[i]))
    }

    pub fn xor(a: Vector, b: Vector) -> Vector {
        core::array::from_fn(|i| a[i] ^ b[i])
    }

    pub fn rotate16(a: Vector) -> Vector {
        a.map(|word| word.rotate_left(16))
    }

    pub fn rotate12(a: Vector) -> Vector {
        a.map(|word| word.rotate_left(12))
    }

    pub fn rotate8(a: Vector) -> Vector {
        a.map(|word| word.rotate_left(8))
    }

    pub fn rotate7(a: Vector) -> Vector {
        a.map(|word| word.rotate_left(7))
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

use vector::{
    Vector, add, count, rotate7, rotate8, rotate12, rotate16, splat, store, transpose, xor, xor_into,
};

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

    /// Four blocks from number `block` on, as four vectors per block.
    #[inline(always)]
    fn blocks(&self, block: u32) -> [[Vector; 4]; 4] {
        let mut start: [Vector; 16] = core::array::from_fn(|i| splat(self.words[i]));
        start[12] = count(block);
        let mut x = start;
        for _ in 0..ROUNDS / 2 {
            quarter_rounds(&mut x, [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]]);
            quarter_rounds(&mut x, [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]]);
        }
        for (word, start) in x.iter_mut().zip(start) {
            *word = add(*word, start);
        }
        [
            transpose(x[0], x[1], x[2], x[3]),
            transpose(x[4], x[5], x[6], x[7]),
            transpose(x[8], x[9], x[10], x[11]),
            transpose(x[12], x[13], x[14], x[15]),
        ]
    }

    /// Writes 256 bytes of key stream.
    #[inline(always)]
    pub fn key_stream(&self, block: u32, out: &mut [u8; CHUNK]) {
        let rows = self.blocks(block);
        for (row, blocks) in rows.iter().enumerate() {
            for (i, vector) in blocks.iter().enumerate() {
                // SAFETY: 64 * 3 + 16 * 3 + 16 = 256.
                unsafe { store(out.as_mut_ptr().add(64 * i + 16 * row), *vector) }
            }
        }
    }

    /// Encrypts or decrypts 256 bytes.
    ///
    /// # Safety
    /// 256 bytes at `from` must be readable and at `to` writable; they are the same or do not overlap.
    #[inline(always)]
    pub unsafe fn apply(&self, block: u32, to: *mut u8, from: *const u8) {
        let rows = self.blocks(block);
        for i in 0..4 {
            for (row, blocks) in rows.iter().enumerate() {
                let at = 64 * i + 16 * row;
                unsafe { xor_into(to.add(at), from.add(at), blocks[i]) }
            }
        }
    }
}

/// Four quarter rounds, step by step side by side: none waits for another's result.
#[inline(always)]
fn quarter_rounds(x: &mut [Vector; 16], quarters: [[usize; 4]; 4]) {
    for [a, b, _, d] in quarters {
        x[a] = add(x[a], x[b]);
        x[d] = rotate16(xor(x[d], x[a]));
    }
    for [_, b, c, d] in quarters {
        x[c] = add(x[c], x[d]);
        x[b] = rotate12(xor(x[b], x[c]));
    }
    for [a, b, _, d] in quarters {
        x[a] = add(x[a], x[b]);
        x[d] = rotate8(xor(x[d], x[a]));
    }
    for [_, b, c, d] in quarters {
        x[c] = add(x[c], x[d]);
        x[b] = rotate7(xor(x[b], x[c]));
    }
}
