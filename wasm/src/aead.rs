//! ChaCha20-Poly1305 (RFC 8439 §2.8) for transport data: no associated data, and a 64-bit counter as the nonce.
//!
//! The cipher uses the processor's vector units and the authenticator its multiplier. Alone, each spends most of its time
//! waiting for its own results. So they are interleaved, with the authenticator one chunk behind: while the key stream of
//! a chunk is computed, the ciphertext of the chunk before it is authenticated, even if that chunk belongs to the packet
//! before.

use crate::chacha20::{CHUNK, ChaCha20, KeyStream, PAUSES, WIDTH};
#[cfg(not(wide))]
use crate::poly1305::Poly1305;
#[cfg(wide)]
use crate::poly1305_wide::Poly1305;
use subtle::ConstantTimeEq;

/// Bytes that sealing adds.
pub const TAG: usize = 16;
/// Bytes that are authenticated in each pause of the cipher. The pauses of a chunk are enough for a whole chunk.
const SHARE: usize = 32;
const _: () = assert!(SHARE * PAUSES >= CHUNK);

/// The key stream of the newest chunk. Opening also needs the key stream of the chunk before it.
#[cfg_attr(not(target_arch = "wasm32"), derive(Default))]
struct Streams {
    new: KeyStream,
    old: KeyStream,
}

#[cfg(target_arch = "wasm32")]
static mut STREAMS: Streams = Streams { new: KeyStream::new(), old: KeyStream::new() };

/// Erases the key streams of the last calls. Called once per batch.
pub fn wipe() {
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the module has one thread, and no reference outlives a call.
    unsafe {
        let streams = (&raw mut STREAMS).as_mut_unchecked();
        streams.new.wipe();
        streams.old.wipe();
    }
}

/// The chunk of ciphertext to authenticate next. It is empty at first.
#[derive(Clone, Copy, Default)]
struct Waiting {
    /// Offset into the memory.
    at: usize,
    length: usize,
    /// The block of the key stream that belongs to the chunk's first byte.
    first: usize,
    /// The length of its packet, if this is the packet's last chunk.
    packet: Option<usize>,
}

/// Seals or opens packets in place, one after the other. All are in one slice of memory. Whether a packet is authentic is
/// known when the next packet is added, or at the end.
#[derive(Default)]
pub struct Aead<const SEAL: bool> {
    mac: Poly1305,
    waiting: Waiting,
    #[cfg(not(target_arch = "wasm32"))]
    streams: Box<Streams>,
}

pub type Sealer = Aead<true>;
pub type Opener = Aead<false>;

impl<const SEAL: bool> Aead<SEAL> {
    /// Adds a packet of `length` bytes at `at`. Its tag follows, or space for one. Returns whether the packet before it is
    /// authentic, if there was one. A sealed packet always is.
    ///
    /// # Panics
    /// If the packet and its tag are not inside the memory.
    // Not inlined: one copy for sealing and one for opening is enough.
    #[inline(never)]
    pub fn packet(
        &mut self,
        key: &[u8; 32],
        counter: u64,
        memory: &mut [u8],
        at: usize,
        length: usize,
    ) -> Option<bool> {
        let _ = &memory[at..at + length + TAG];
        #[cfg(target_arch = "wasm32")]
        // SAFETY: the module has one thread, and no reference outlives a call.
        let streams = unsafe { (&raw mut STREAMS).as_mut_unchecked() };
        #[cfg(not(target_arch = "wasm32"))]
        let streams = &mut *self.streams;
        let cipher = ChaCha20::new(key, counter);
        let mut verdict = None;
        // Copied, so that they stay in registers.
        let (mut mac, mut waiting) = (self.mac.clone(), self.waiting);
        let (mut done, mut number) = (0, 0);
        while waiting.packet.is_none() || number == 0 {
            if !SEAL {
                streams.old.copy_from(&streams.new);
            }
            let mut rest = &memory[waiting.at..waiting.at + waiting.length];
            cipher.chunk(number, &mut streams.new, || {
                if let Some((share, behind)) = rest.split_at_checked(SHARE) {
                    mac.update_padded(share);
                    rest = behind;
                }
            });
            mac.update_padded(rest);
            verdict = Self::settle(&mut mac, waiting, memory, &streams.old).or(verdict);
            let first = usize::from(number == 0);
            if number == 0 {
                mac = Poly1305::new(&streams.new.authenticator_key());
            }
            let part = (length - done).min(CHUNK - 64 * first);
            let last = done + part == length;
            waiting = Waiting { at: at + done, length: part, first, packet: last.then_some(length) };
            if SEAL {
                streams.new.apply(first, &mut memory[waiting.at..waiting.at + part]);
            }
            done += part;
            number += 4 * WIDTH as u32;
        }
        (self.mac, self.waiting) = (mac, waiting);
        verdict
    }

    /// Completes the last packet. Returns whether it is authentic, if there was one.
    pub fn finish(mut self, memory: &mut [u8]) -> Option<bool> {
        let Waiting { at, length, .. } = self.waiting;
        self.mac.update_padded(&memory[at..at + length]);
        #[cfg(target_arch = "wasm32")]
        // SAFETY: the module has one thread, and no reference outlives a call.
        let stream = unsafe { &(&raw mut STREAMS).as_mut_unchecked().new };
        #[cfg(not(target_arch = "wasm32"))]
        let stream = &self.streams.new;
        Self::settle(&mut self.mac, self.waiting, memory, stream)
    }

    /// Finishes a chunk that has been authenticated: decrypts it, and at the end of its packet writes or compares the tag.
    #[inline(always)]
    fn settle(
        mac: &mut Poly1305,
        Waiting { at, length, first, packet }: Waiting,
        memory: &mut [u8],
        stream: &KeyStream,
    ) -> Option<bool> {
        let (text, behind) = memory[at..].split_at_mut(length);
        if !SEAL {
            stream.apply(first, text);
        }
        let mut lengths = [0u8; 16];
        lengths[8..].copy_from_slice(&(packet? as u64).to_le_bytes());
        mac.block(&lengths);
        let tag = mac.finish();
        if SEAL {
            behind[..TAG].copy_from_slice(&tag);
            Some(true)
        } else {
            Some(tag.ct_eq(&behind[..TAG]).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chacha20poly1305::aead::AeadInPlace;
    use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

    /// Compares packets of every length up to 1,599 bytes, and some longer ones, with RustCrypto. Each has a shorter packet
    /// before it and a longer one behind it. Then one bit of a packet is flipped: that packet fails, and the others do not.
    #[test]
    fn agrees_with_rustcrypto_for_every_length() {
        let mut random = crate::checksum::tests::Random(7);
        for length in (0..1600).chain([4_096, 9_000, 65_535]) {
            let key: [u8; 32] = core::array::from_fn(|_| random.next() as u8);
            let lengths = [length / 3, length, length + 70];
            let counters = lengths.map(|_| random.next());
            let text: Vec<u8> =
                (0..lengths.iter().sum::<usize>() + 3 * TAG).map(|_| random.next() as u8).collect();
            let places = [0, lengths[0] + TAG, lengths[0] + lengths[1] + 2 * TAG];
            let mut memory = text.clone();
            let mut sealer = Sealer::default();
            for i in 0..3 {
                let before = sealer.packet(&key, counters[i], &mut memory, places[i], lengths[i]);
                assert_eq!(before, (i > 0).then_some(true));
            }
            assert_eq!(sealer.finish(&mut memory), Some(true));

            let mut expected = text.clone();
            for i in 0..3 {
                let mut nonce = [0; 12];
                nonce[4..].copy_from_slice(&counters[i].to_le_bytes());
                let (packet, behind) = expected[places[i]..].split_at_mut(lengths[i]);
                let tag = ChaCha20Poly1305::new(&key.into())
                    .encrypt_in_place_detached(&nonce.into(), b"", packet)
                    .unwrap();
                behind[..TAG].copy_from_slice(&tag);
            }
            assert_eq!(memory, expected, "sealing {length} bytes");

            let sealed = memory.clone();
            for forged in [3, 0, 1, 2] {
                memory.copy_from_slice(&sealed);
                if forged < 3 {
                    let bit = random.next() as usize % (8 * (lengths[forged] + TAG));
                    memory[places[forged] + bit / 8] ^= 1 << (bit % 8);
                }
                let mut opener = Opener::default();
                let mut verdicts = vec![];
                for i in 0..3 {
                    verdicts.extend(opener.packet(&key, counters[i], &mut memory, places[i], lengths[i]));
                }
                verdicts.extend(opener.finish(&mut memory));
                for i in 0..3 {
                    assert_eq!(verdicts[i], i != forged, "packet {i} of {length} bytes");
                    let packet = places[i]..places[i] + lengths[i];
                    assert!(i == forged || memory[packet.clone()] == text[packet], "opening {length} bytes");
                }
            }
        }
    }
}
