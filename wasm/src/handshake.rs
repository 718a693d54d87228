//! The primitives of the handshake (whitepaper §5.4): Curve25519, BLAKE2s, HMAC and HKDF over it, and the AEADs of
//! handshake messages and cookies.

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, XChaCha20Poly1305};
use curve25519_dalek::MontgomeryPoint;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

pub type Key = [u8; 32];
const BLOCK: usize = 64;

/// The shared secret. None if it is all zero, which is the case for a public key of low order (RFC 7748 §6.1).
pub fn shared_secret(private: &Key, public: &Key) -> Option<Key> {
    let shared = MontgomeryPoint(*public).mul_clamped(*private).0;
    let zero: bool = shared.ct_eq(&[0; 32]).into();
    (!zero).then_some(shared)
}

pub fn public_key(private: &Key) -> Key {
    MontgomeryPoint::mul_base_clamped(*private).0
}

pub fn hash(parts: &[&[u8]]) -> Key {
    let mut state = Blake2s256::new();
    for part in parts {
        Digest::update(&mut state, part);
    }
    state.finalize().into()
}

/// Keyed BLAKE2s with 16 bytes of output. The key has at most 32 bytes.
pub fn mac(key: &[u8], data: &[u8]) -> [u8; 16] {
    let mut state = <Blake2sMac<U16> as KeyInit>::new_from_slice(key).expect("a key of at most 32 bytes");
    Update::update(&mut state, data);
    state.finalize_fixed().into()
}

/// HMAC (RFC 2104) over BLAKE2s, as Noise requires, and not BLAKE2s's own keyed mode.
pub fn hmac(key: &Key, parts: &[&[u8]]) -> Key {
    let mut pad = [0x36; BLOCK];
    for (byte, key) in pad.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut inner = Blake2s256::new();
    Digest::update(&mut inner, pad);
    for part in parts {
        Digest::update(&mut inner, part);
    }
    let inner: Key = inner.finalize().into();
    for byte in &mut pad {
        *byte ^= 0x36 ^ 0x5c;
    }
    let tag = hash(&[&pad, &inner]);
    pad.zeroize();
    tag
}

/// HKDF as Noise uses it (whitepaper §5.4). The caller takes as many of the three outputs as it needs.
pub fn kdf(chaining_key: &Key, input: &[u8]) -> [Key; 3] {
    let mut secret = hmac(chaining_key, &[input]);
    let first = hmac(&secret, &[&[1]]);
    let second = hmac(&secret, &[&first, &[2]]);
    let third = hmac(&secret, &[&second, &[3]]);
    secret.zeroize();
    [first, second, third]
}

/// ChaCha20-Poly1305 with nonce 0. `data` is the plaintext, with space for the tag behind it.
pub fn seal(key: &Key, aad: &[u8], data: &mut [u8]) {
    seal_with(ChaCha20Poly1305::new(key.into()), &[0; 12], aad, data);
}

/// The inverse of `seal`. If it returns true, the bytes before the tag are the plaintext.
#[must_use]
pub fn open(key: &Key, aad: &[u8], data: &mut [u8]) -> bool {
    open_with(ChaCha20Poly1305::new(key.into()), &[0; 12], aad, data)
}

/// XChaCha20-Poly1305, whose nonce is long enough to be random. Cookie replies use it.
pub fn seal_cookie(key: &Key, nonce: &[u8; 24], aad: &[u8], data: &mut [u8]) {
    seal_with(XChaCha20Poly1305::new(key.into()), nonce, aad, data);
}

/// The inverse of `seal_cookie`.
#[must_use]
pub fn open_cookie(key: &Key, nonce: &[u8; 24], aad: &[u8], data: &mut [u8]) -> bool {
    open_with(XChaCha20Poly1305::new(key.into()), nonce, aad, data)
}

fn seal_with<C: AeadInPlace>(cipher: C, nonce: &[u8], aad: &[u8], data: &mut [u8]) {
    let (text, tag) = data.split_at_mut(data.len() - 16);
    let computed = cipher.encrypt_in_place_detached(nonce.into(), aad, text).expect("a short message");
    tag.copy_from_slice(&computed);
}

fn open_with<C: AeadInPlace>(cipher: C, nonce: &[u8], aad: &[u8], data: &mut [u8]) -> bool {
    let (text, tag) = data.split_at_mut(data.len() - 16);
    cipher.decrypt_in_place_detached(nonce.into(), aad, text, (&*tag).into()).is_ok()
}
