//! TCP in userspace: an endpoint that ends connections inside this process (RFC 9293).
//!
//! Nothing here reads a clock, makes a random number or does I/O: segments, the time and seeds come in; segments and
//! deadlines go out.

pub mod buffer;
pub mod congestion;
pub mod connection;
pub mod recovery;
pub mod seq;
pub mod stack;
pub mod wire;

/// Microseconds on a clock that never goes back.
pub type Micros = u64;
