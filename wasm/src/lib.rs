//! What arrives in bulk or is secret: keys, ciphers, and whole batches of packets.
//!
//! The interface is numbers: offsets into linear memory, lengths, slots. `mod.ts` is its typed face.

pub mod aead;
mod chacha20;
pub mod checksum;
pub mod handshake;
pub mod joining;
pub mod keypairs;
pub mod offload;
#[cfg(any(test, not(wide)))]
mod poly1305;
#[cfg(any(test, wide))]
mod poly1305_wide;
pub mod replay;
pub mod tcp;
pub mod transport;

#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(target_arch = "wasm32")]
mod tcp_exports;
