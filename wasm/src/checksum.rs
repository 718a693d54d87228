//! The Internet checksum (RFC 1071).

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::*;

/// The one's-complement sum of `initial` and big-endian 16-bit words, folded to 16 bits and not inverted. An odd last byte
/// is padded with a zero.
pub fn sum(data: &[u8], initial: u32) -> u16 {
    // Summed in little-endian order and swapped at the end, which gives the same result (RFC 1071 §2).
    let mut total = u64::from(initial.swap_bytes() >> 16) + u64::from((initial >> 16).swap_bytes() >> 16);
    let rest = wide(data, &mut total);
    let mut words = rest.chunks_exact(4);
    for word in &mut words {
        total += u64::from(u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    }
    let mut last = [0u8; 4];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    total += u64::from(u32::from_le_bytes(last));
    total = (total & 0xffff_ffff) + (total >> 32);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    total = (total & 0xffff) + (total >> 16);
    (total as u16).swap_bytes()
}

#[cfg(target_arch = "wasm32")]
static ONES: v128 = i16x8(1, 1, 1, 1, 1, 1, 1, 1);
#[cfg(target_arch = "wasm32")]
static BIAS: v128 = u16x8(0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 0x8000);

/// Adds 32 bytes at a time and returns the rest.
#[cfg(target_arch = "wasm32")]
#[inline(always)]
fn wide<'a>(data: &'a [u8], total: &mut u64) -> &'a [u8] {
    // The instruction that adds pairs of words takes them as signed. So 2^15 is subtracted from each word first, and added
    // for all of them at once.
    // SAFETY: both are initialised, aligned and never written. Volatile, since V8 would build the constants for each use.
    let (ones, bias) = unsafe { ((&raw const ONES).read_volatile(), (&raw const BIAS).read_volatile()) };
    let mut lanes = i32x4_splat(0);
    let mut other = i32x4_splat(0);
    let mut chunks = data.chunks_exact(32);
    *total += (chunks.len() as u64) << (15 + 4);
    // No lane overflows: a step changes it by at most 2^16, and a packet has at most 2^11 steps.
    for chunk in &mut chunks {
        // SAFETY: the chunk has 32 bytes.
        let (a, b) = unsafe { (v128_load(chunk.as_ptr().cast()), v128_load(chunk.as_ptr().add(16).cast())) };
        lanes = i32x4_add(lanes, i32x4_dot_i16x8(v128_xor(a, bias), ones));
        other = i32x4_add(other, i32x4_dot_i16x8(v128_xor(b, bias), ones));
    }
    let lanes = i32x4_add(lanes, other);
    let signed = i64::from(i32x4_extract_lane::<0>(lanes))
        + i64::from(i32x4_extract_lane::<1>(lanes))
        + i64::from(i32x4_extract_lane::<2>(lanes))
        + i64::from(i32x4_extract_lane::<3>(lanes));
    *total = total.wrapping_add_signed(signed);
    chunks.remainder()
}

#[cfg(not(target_arch = "wasm32"))]
fn wide<'a>(data: &'a [u8], _total: &mut u64) -> &'a [u8] {
    data
}

/// The sum of a TCP or UDP pseudo-header over IPv4 or IPv6 (RFC 9293 §3.1, RFC 8200 §8.1).
///
/// `addresses` are both addresses as they are in the IP header. `length` is that of the transport header and payload.
pub fn pseudo_header(addresses: &[u8], protocol: u8, length: usize) -> u32 {
    u32::from(sum(addresses, u32::from(protocol) + length as u32))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A small deterministic generator of random numbers (xorshift64*).
    pub struct Random(pub u64);

    impl Random {
        #[allow(clippy::should_implement_trait)]
        pub fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
        }
    }

    fn reference(data: &[u8], initial: u32) -> u16 {
        let mut total = initial;
        for pair in data.chunks(2) {
            total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            total = (total & 0xffff) + (total >> 16);
        }
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    #[test]
    fn agrees_with_the_reference_for_every_length_and_alignment() {
        let mut random = Random(1);
        let data: Vec<u8> = (0..9_100).map(|_| random.next() as u8).collect();
        for length in 0..=9_001 {
            for offset in [0, 1, 3, 7] {
                let initial = random.next() as u32 & 0xf_ffff;
                let part = &data[offset..offset + length];
                assert_eq!(sum(part, initial), reference(part, initial), "{length} bytes at {offset}");
            }
        }
        let ones = [0xff; 65_535];
        assert_eq!(sum(&ones, 0), reference(&ones, 0));
    }
}
