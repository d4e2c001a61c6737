//! One single-producer single-consumer byte ring per thread.
//!
//! Records are contiguous, a multiple of 8 bytes long and begin with a word whose low half is their
//! length. A record that does not fit before the end of the storage starts at its beginning again;
//! a filler word takes up the rest. Positions count bytes since the ring was made and never wrap.
//!
//! SYNC POINT A, `tail`: the producer's Release store in [`Producer::publish`] pairs with the
//! consumer's Acquire load in [`Consumer::published`]: the bytes of a record are seen whole.
//! SYNC POINT B, `head`: the consumer's Release store in [`Consumer::release`] pairs with the
//! producer's Acquire load in [`Producer::reserve`]: bytes are overwritten after they were read.

mod consumer;
pub mod place;
mod producer;
mod storage;

pub use consumer::Consumer;
pub use producer::{NoRoom, Producer};
pub use storage::{Region, Storage};

/// Marks the word that fills the rest of a lap; its low half is the number of bytes to skip.
pub(crate) const FILLER: u64 = 1 << 63;

/// The smallest ring, in bytes.
pub const MIN_BYTES: usize = 4096;
