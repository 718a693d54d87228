//! Poly1305 (RFC 8439 §2.5) in 64-bit words, with four wide products a block. It is for engines that multiply 64 by 64
//! bits into 128 with one instruction; the others use `poly1305.rs`.

use zeroize::Zeroize;

/// A one-time authenticator. The default one has no key.
#[derive(Clone, Default)]
pub struct Poly1305 {
    r: [u64; 2],
    /// Five quarters of r's upper word. The overflow beyond 2^130 is multiplied by five and added at the bottom. The
    /// division is exact because clamping made this word a multiple of four.
    s: u64,
    h: [u64; 3],
    pad: [u64; 2],
}

impl Poly1305 {
    /// The first half of the key is r, which is clamped. The second half is added at the end.
    #[inline(always)]
    pub fn new(key: &[u8; 32]) -> Self {
        let r = [word(key, 0) & 0x0fff_fffc_0fff_ffff, word(key, 8) & 0x0fff_fffc_0fff_fffc];
        Poly1305 { r, s: r[1] + (r[1] >> 2), h: [0; 3], pad: [word(key, 16), word(key, 24)] }
    }

    /// Adds bytes. An incomplete last block is padded with zeros, as the AEAD requires (RFC 8439 §2.8).
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

    /// Adds one block.
    #[inline(always)]
    pub fn block(&mut self, block: &[u8; 16]) {
        let ([r0, r1], s) = (self.r, self.s);
        let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
        // A carry is the upper half of a 128-bit sum. V8 compiles that to an add and an adc, but a comparison to five
        // dependent instructions. The last block's bits above 2^130 are reduced here, in the same addition as the message,
        // so that each block has one chain of carries.
        let top = self.h[2];
        let low = u128::from(self.h[0]) + u128::from((top >> 2) + (top & !3)) + u128::from(word(block, 0));
        let high = u128::from(self.h[1]) + u128::from(word(block, 8)) + (low >> 64);
        let (h0, h1, h2) = (low as u64, high as u64, (top & 3) + (high >> 64) as u64 + 1);
        let low = wide(h0, r0) + wide(h1, s);
        let high = wide(h0, r1) + wide(h1, r0) + u128::from(h2 * s) + (low >> 64);
        self.h = [low as u64, high as u64, h2 * r0 + (high >> 64) as u64];
    }

    /// Returns the tag and erases the key. Nothing can be added after it.
    #[inline(always)]
    pub fn finish(&mut self) -> [u8; 16] {
        let top = self.h[2];
        let low = u128::from(self.h[0]) + u128::from((top >> 2) + (top & !3));
        let high = u128::from(self.h[1]) + (low >> 64);
        let h = u128::from(low as u64) | high << 64;
        let top = (top & 3) + (high >> 64) as u64;
        // Replaces h by h - p if that is not negative, without a branch.
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

    /// RFC 8439 A.3, vectors 7 to 11: results that are not fully reduced, and carries through all words.
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
            // Every third input is all ones, which gives the longest carries.
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
