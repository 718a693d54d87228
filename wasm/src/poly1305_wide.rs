//! Poly1305 (RFC 8439 §2.5) in 64-bit words: four wide products a block, for engines that multiply 64 by 64 bits into
//! 128 at once. The rest use `poly1305.rs`.

use zeroize::Zeroize;

/// A one-time authenticator; by default one that is not in use.
#[derive(Clone, Default)]
pub struct Poly1305 {
    r: [u64; 2],
    /// Five quarters of r's upper word: what overflows 2^130 comes back times five, and clamping made r a multiple of
    /// four there.
    s: u64,
    h: [u64; 3],
    pad: [u64; 2],
}

impl Poly1305 {
    /// The first half of the key is r, which is clamped; the second is added at the end.
    #[inline(always)]
    pub fn new(key: &[u8; 32]) -> Self {
        let r = [word(key, 0) & 0x0fff_fffc_0fff_ffff, word(key, 8) & 0x0fff_fffc_0fff_fffc];
        Poly1305 { r, s: r[1] + (r[1] >> 2), h: [0; 3], pad: [word(key, 16), word(key, 24)] }
    }

    /// Takes in bytes; a last block that is not whole is filled with zeros, as the AEAD wants it.
    #[inline(always)]
    pub fn update_padded(&mut self, data: &[u8]) {
        let mut blocks = data.chunks_exact(16);
        for block in &mut blocks {
            self.block(block.try_into().expect("16 bytes"));
        }
        let rest = blocks.remainder();
        if !rest.is_empty() {
            let mut whole = [0u8; 16];
            whole[..rest.len()].copy_from_slice(rest);
            self.block(&whole);
        }
    }

    /// Takes in one block.
    #[inline(always)]
    pub fn block(&mut self, block: &[u8; 16]) {
        let ([r0, r1], s) = (self.r, self.s);
        let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
        // Carries go by the upper halves of 128-bit sums: V8 makes an add and an adc of each, and of a comparison five
        // instructions that wait for each other. What the block before left above 2^130 comes back here, with the
        // message, so that there is one chain of carries a block.
        let top = self.h[2];
        let low = u128::from(self.h[0]) + u128::from((top >> 2) + (top & !3)) + u128::from(word(block, 0));
        let high = u128::from(self.h[1]) + u128::from(word(block, 8)) + (low >> 64);
        let (h0, h1, h2) = (low as u64, high as u64, (top & 3) + (high >> 64) as u64 + 1);
        let low = wide(h0, r0) + wide(h1, s);
        let high = wide(h0, r1) + wide(h1, r0) + u128::from(h2 * s) + (low >> 64);
        self.h = [low as u64, high as u64, h2 * r0 + (high >> 64) as u64];
    }

    /// The tag. Erases the key; nothing can follow.
    #[inline(always)]
    pub fn finish(&mut self) -> [u8; 16] {
        let top = self.h[2];
        let low = u128::from(self.h[0]) + u128::from((top >> 2) + (top & !3));
        let high = u128::from(self.h[1]) + (low >> 64);
        let h = u128::from(low as u64) | high << 64;
        let top = (top & 3) + (high >> 64) as u64;
        // h - p, taken if it is not negative, without a branch.
        let (g, carry) = h.overflowing_add(5);
        let take = 0u128.wrapping_sub(u128::from((top + u64::from(carry)) >> 2 & 1));
        let h = (h & !take) | (g & take);
        let pad = u128::from(self.pad[0]) | u128::from(self.pad[1]) << 64;
        self.r.zeroize();
        self.s.zeroize();
        self.pad.zeroize();
        h.wrapping_add(pad).to_le_bytes()
    }
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

#[cfg(test)]
mod tests {
    use super::Poly1305;

    /// RFC 8439 A.3, vectors 7 to 11: results that are not fully reduced, and carries that run all the way.
    #[test]
    fn reduces_whatever_remains() {
        let block = |first: u8, rest: u8| {
            let mut block = [rest; 16];
            block[0] = first;
            block
        };
        let ones = block(0xff, 0xff);
        for (r, s, text, tag) in [
            (2, 0, vec![ones], block(3, 0)),
            (2, 0xff, vec![block(2, 0)], block(3, 0)),
            (1, 0, vec![ones, block(0xf0, 0xff), block(0x11, 0)], block(5, 0)),
            (1, 0, vec![ones, block(0xfb, 0xfe), block(1, 1)], block(0, 0)),
            (2, 0, vec![block(0xfd, 0xff)], block(0xfa, 0xff)),
        ] {
            let mut key = [s; 32];
            key[..16].copy_from_slice(&block(r, 0));
            let text = text.concat();
            let mut wide = Poly1305::new(&key);
            wide.update_padded(&text);
            assert_eq!(wide.finish(), tag);
            let mut narrow = crate::poly1305::Poly1305::new(&key);
            narrow.update_padded(&text);
            assert_eq!(narrow.finish(), tag);
        }
    }

    /// The other implementation is tested against RustCrypto as part of the AEAD.
    #[test]
    fn agrees_with_the_one_in_26_bit_limbs() {
        let mut random = crate::checksum::tests::Random(11);
        for length in (0..400).chain([1_408, 65_535]) {
            // Now and then all ones: the longest carries.
            let mut byte = || if length % 3 == 0 { 0xff } else { random.next() as u8 };
            let key: [u8; 32] = core::array::from_fn(|_| byte());
            let text: Vec<u8> = (0..length).map(|_| byte()).collect();
            let mut wide = Poly1305::new(&key);
            wide.update_padded(&text);
            let mut narrow = crate::poly1305::Poly1305::new(&key);
            narrow.update_padded(&text);
            assert_eq!(wide.finish(), narrow.finish(), "{length} bytes");
        }
    }
}
