//! What differs between platforms: memory mappings, clocks of the operating system, fork hooks.
//!
//! Linux is complete. Other systems get portable fall-backs behind the same functions, so that the
//! rest of the crate does not know where it runs.

mod slot;
#[doc(hidden)]
pub use slot::zeros;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub use unix::*;

#[cfg(not(unix))]
mod portable;
#[cfg(not(unix))]
pub use portable::*;

/// Randomness for systems whose own source cannot be reached: the standard library's hash keys,
/// which are seeded once per process, mixed with the clock.
pub(crate) fn fallback_random(bytes: &mut [u8]) {
    use std::hash::{BuildHasher, Hasher};
    for chunk in bytes.chunks_mut(8) {
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u64(monotonic_ns());
        hasher.write_u32(std::process::id());
        let word = hasher.finish().to_ne_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}
