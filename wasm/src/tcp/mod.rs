//! TCP in userspace: an endpoint that ends connections inside this process (RFC 9293).
//!
//! This code reads no clock, makes no random numbers and does no I/O. Its inputs are segments, the time and seeds. Its
//! outputs are segments and deadlines.

pub mod buffer;
pub mod congestion;
pub mod connection;
pub mod recovery;
pub mod seq;
pub mod stack;
pub mod wire;

/// Microseconds on a clock that never goes back.
pub type Micros = u64;
