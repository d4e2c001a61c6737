//! How many forks lie between this process and the one that loaded the library.
//!
//! The at-fork handler of the child does nothing but raise this count and make the surviving
//! thread forget its cached ring, so that its next call takes the slow path, sees a pipeline of
//! an older generation and builds a fresh one.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The current fork generation.
pub fn generation() -> u32 {
    // Relaxed: the value only changes while the process has a single thread.
    GENERATION.load(Ordering::Relaxed)
}

/// Installs the at-fork handler, once per process image.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| crate::os::at_fork_child(in_child));
}

extern "C" fn in_child() {
    GENERATION.store(GENERATION.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    if !crate::sync::mutant!("fork_cached") {
        crate::thread::forget_cached();
    }
}
