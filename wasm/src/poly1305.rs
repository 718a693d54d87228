//! Poly1305 (RFC 8439 §2.5) in five limbs of 26 bits, two blocks per reduction. (h + m₁)·r² + m₂·r needs one carry chain
//! where (((h + m₁)·r) + m₂)·r needs two, so r² is computed beforehand.

use zeroize::Zeroize;

const MASK: u32 = (1 << 26) - 1;
/// 2^128 in the last limb: the bit after every whole block.
const HIGH_BIT: u32 = 1 << 24;

type Limbs = [u32; 5];

/// A one-time authenticator. The default one has no key.
#[derive(Clone, Default)]
pub struct Poly1305 {
    r: Limbs,
    r2: Limbs,
    h: Limbs,
    pad: [u32; 4],
}

impl Poly1305 {
    /// The first half of the key is r, which is clamped. The second half is added at the end.
    #[inline(always)]
    pub fn new(key: &[u8; 32]) -> Self {
        let word = |i: usize| u32::from_le_bytes([key[i], key[i + 1], key[i + 2], key[i + 3]]);
        let r = [
            word(0) & 0x3ff_ffff,
            (word(3) >> 2) & 0x3ff_ff03,
            (word(6) >> 4) & 0x3ff_c0ff,
            (word(9) >> 6) & 0x3f0_3fff,
            (word(12) >> 8) & 0x00f_ffff,
        ];
        let r2 = reduce(product(&r, &r));
        Poly1305 { r, r2, h: [0; 5], pad: [word(16), word(20), word(24), word(28)] }
    }

    /// Adds bytes. An incomplete last block is padded with zeros, as the AEAD requires (RFC 8439 §2.8).
    #[inline(always)]
    pub fn update_padded(&mut self, data: &[u8]) {
        let mut pairs = data.chunks_exact(32);
        for pair in &mut pairs {
            let first = load(pair);
            let second = load(&pair[16..]);
            let sum = core::array::from_fn(|i| self.h[i] + first[i]);
            let (a, b) = (product(&sum, &self.r2), product(&second, &self.r));
            self.h = reduce(core::array::from_fn(|i| a[i] + b[i]));
        }
        for block in pairs.remainder().chunks(16) {
            let mut whole = [0u8; 16];
            whole[..block.len()].copy_from_slice(block);
            self.block(&whole);
        }
    }

    /// Adds one block.
    #[inline(always)]
    pub fn block(&mut self, block: &[u8; 16]) {
        let message = load(block);
        let sum = core::array::from_fn(|i| self.h[i] + message[i]);
        self.h = reduce(product(&sum, &self.r));
    }

    /// Returns the tag and erases the key. Nothing can be added after it.
    #[inline(always)]
    pub fn finish(&mut self) -> [u8; 16] {
        let mut h = self.h;
        let mut carry = 0;
        for _ in 0..2 {
            for limb in &mut h {
                *limb += carry;
                carry = *limb >> 26;
                *limb &= MASK;
            }
            carry *= 5;
        }
        h[0] += carry;
        // Replaces h by h - p if that is not negative, without a branch.
        let mut g = [0u32; 5];
        let mut carry = 5;
        for i in 0..5 {
            let sum = h[i] + carry;
            carry = sum >> 26;
            g[i] = sum & MASK;
        }
        let take = 0u32.wrapping_sub(carry & 1);
        for i in 0..5 {
            h[i] = (h[i] & !take) | (g[i] & take);
        }
        let words =
            [h[0] | h[1] << 26, h[1] >> 6 | h[2] << 20, h[2] >> 12 | h[3] << 14, h[3] >> 18 | h[4] << 8];
        let mut tag = [0; 16];
        let mut carry = 0u64;
        for i in 0..4 {
            carry += u64::from(words[i]) + u64::from(self.pad[i]);
            tag[4 * i..4 * i + 4].copy_from_slice(&(carry as u32).to_le_bytes());
            carry >>= 32;
        }
        self.r.zeroize();
        self.r2.zeroize();
        self.pad.zeroize();
        tag
    }
}

#[inline(always)]
fn load(block: &[u8]) -> Limbs {
    let low = u64::from_le_bytes(block[..8].try_into().expect("8 bytes"));
    let high = u64::from_le_bytes(block[8..16].try_into().expect("8 bytes"));
    [
        low as u32 & MASK,
        (low >> 26) as u32 & MASK,
        (low >> 52 | high << 12) as u32 & MASK,
        (high >> 14) as u32 & MASK,
        (high >> 40) as u32 | HIGH_BIT,
    ]
}

/// Schoolbook product modulo 2^130 - 5: the overflow of the fifth limb is multiplied by five and added to the lower limbs.
#[inline(always)]
fn product(a: &Limbs, r: &Limbs) -> [u64; 5] {
    let m = |x: u32, y: u32| u64::from(x) * u64::from(y);
    let s = r.map(|limb| limb * 5);
    [
        m(a[0], r[0]) + m(a[1], s[4]) + m(a[2], s[3]) + m(a[3], s[2]) + m(a[4], s[1]),
        m(a[0], r[1]) + m(a[1], r[0]) + m(a[2], s[4]) + m(a[3], s[3]) + m(a[4], s[2]),
        m(a[0], r[2]) + m(a[1], r[1]) + m(a[2], r[0]) + m(a[3], s[4]) + m(a[4], s[3]),
        m(a[0], r[3]) + m(a[1], r[2]) + m(a[2], r[1]) + m(a[3], r[0]) + m(a[4], s[4]),
        m(a[0], r[4]) + m(a[1], r[3]) + m(a[2], r[2]) + m(a[3], r[1]) + m(a[4], r[0]),
    ]
}

/// Carries once through all limbs. They then stay below 2^26 plus a few bits, which the next product allows for.
#[inline(always)]
fn reduce(mut d: [u64; 5]) -> Limbs {
    let mask = u64::from(MASK);
    d[1] += d[0] >> 26;
    d[2] += d[1] >> 26;
    d[3] += d[2] >> 26;
    d[4] += d[3] >> 26;
    let low = (d[0] & mask) + (d[4] >> 26) * 5;
    [
        (low & mask) as u32,
        ((d[1] & mask) + (low >> 26)) as u32,
        (d[2] & mask) as u32,
        (d[3] & mask) as u32,
        (d[4] & mask) as u32,
    ]
}
