//! ChaCha20-Poly1305 (RFC 8439 §2.8) for transport data: no associated data, a 64-bit counter for a nonce.

use crate::chacha20::{CHUNK, ChaCha20, KeyStream, WIDTH};
#[cfg(not(wide))]
use crate::poly1305::Poly1305;
#[cfg(wide)]
use crate::poly1305_wide::Poly1305;
use subtle::ConstantTimeEq;

/// Bytes that sealing adds.
pub const TAG: usize = 16;
/// Bytes that are authenticated in each double round of the cipher: ten of them make a chunk.
const SHARE: usize = 16 * if cfg!(wide) { 3 } else { 2 };

/// Encrypts `length` bytes from `source` to `target` and writes the tag behind them.
///
/// # Safety
/// `length` bytes at `source` must be readable and `length + 16` at `target` writable; they begin at the same place or
/// do not overlap.
pub unsafe fn seal(key: &[u8; 32], counter: u64, target: *mut u8, source: *const u8, length: usize) {
    unsafe {
        let tag = crypt::<true>(key, counter, target, source, length);
        target.add(length).cast::<[u8; TAG]>().write(tag);
    }
}

/// Decrypts `length` bytes from `source`, which the tag follows, to `target`. False if the tag is wrong; then what is
/// at `target` means nothing.
///
/// # Safety
/// `length + 16` bytes at `source` must be readable and `length` at `target` writable; they do not overlap.
#[must_use]
pub unsafe fn open(key: &[u8; 32], counter: u64, target: *mut u8, source: *const u8, length: usize) -> bool {
    unsafe {
        let expected = source.add(length).cast::<[u8; TAG]>().read();
        let tag = crypt::<false>(key, counter, target, source, length);
        tag.ct_eq(&expected).into()
    }
}

#[cfg(target_arch = "wasm32")]
static mut STREAM: KeyStream = KeyStream::new();

/// Erases the key stream that the last calls left; once a batch is enough.
pub fn wipe() {
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the module has one thread, and no reference outlives a call.
    unsafe {
        (&raw mut STREAM).as_mut_unchecked().wipe()
    }
}

/// Runs the cipher, and the authenticator over the ciphertext, which is the output or the input.
///
/// The cipher keeps a processor's vector units busy, the authenticator its multiplier. So they run side by side: while a
/// chunk of key stream is made, the ciphertext before it is authenticated.
#[inline(always)]
unsafe fn crypt<const SEAL: bool>(
    key: &[u8; 32],
    counter: u64,
    target: *mut u8,
    source: *const u8,
    length: usize,
) -> [u8; TAG] {
    let cipher = ChaCha20::new(key, counter);
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the module has one thread, and only this function uses it, which does not call itself.
    let stream = unsafe { (&raw mut STREAM).as_mut_unchecked() };
    #[cfg(not(target_arch = "wasm32"))]
    let stream = &mut KeyStream::new();
    let ciphertext = if SEAL { target.cast_const() } else { source };
    let bytes =
        |from: usize, to: usize| unsafe { core::slice::from_raw_parts(ciphertext.add(from), to - from) };
    let mut mac = Poly1305::new(&[0; 32]);
    let (mut block, mut crypted, mut authenticated) = (0, 0, 0);
    loop {
        cipher.chunk(block, stream, || {
            if crypted - authenticated >= SHARE {
                mac.update_padded(bytes(authenticated, authenticated + SHARE));
                authenticated += SHARE;
            }
        });
        let first = usize::from(block == 0);
        if block == 0 {
            mac = Poly1305::new(&stream.authenticator_key());
        }
        let part = (length - crypted).min(CHUNK - 64 * first);
        unsafe { stream.apply(first, target.add(crypted), source.add(crypted), part) };
        crypted += part;
        block += 4 * WIDTH as u32;
        if crypted == length {
            break;
        }
    }
    mac.update_padded(bytes(authenticated, length));
    let mut lengths = [0u8; 16];
    lengths[8..].copy_from_slice(&(length as u64).to_le_bytes());
    mac.block(&lengths);
    mac.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20poly1305::aead::AeadInPlace;
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

    /// Every length up to four packets' worth, against RustCrypto; then one flipped bit each.
    #[test]
    fn agrees_with_rustcrypto_for_every_length() {
        let mut random = crate::checksum::tests::Random(7);
        for length in (0..1600).chain([4_096, 9_000, 65_535]) {
            let key: [u8; 32] = core::array::from_fn(|_| random.next() as u8);
            let counter = random.next();
            let text: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            let mut sealed = vec![0; length + TAG];
            unsafe { seal(&key, counter, sealed.as_mut_ptr(), text.as_ptr(), length) };

            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&counter.to_le_bytes());
            let mut expected = text.clone();
            let tag = ChaCha20Poly1305::new(&key.into())
                .encrypt_in_place_detached(&nonce.into(), b"", &mut expected)
                .unwrap();
            expected.extend_from_slice(&tag);
            assert_eq!(sealed, expected, "sealing {length} bytes");

            let mut opened = vec![0; length];
            assert!(unsafe { open(&key, counter, opened.as_mut_ptr(), sealed.as_ptr(), length) });
            assert_eq!(opened, text, "opening {length} bytes");
            let bit = random.next() as usize % (8 * sealed.len());
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert!(!unsafe { open(&key, counter, opened.as_mut_ptr(), sealed.as_ptr(), length) });
        }
    }
}
