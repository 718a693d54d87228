//! Keys, ciphers and whole batches of packets: what is secret or arrives in bulk.
//!
//! All arguments and results are numbers: offsets into linear memory, lengths, slots. `mod.ts` gives them types.

pub mod aead;
mod chacha20;
pub mod checksum;
pub mod handshake;
mod headers;
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
