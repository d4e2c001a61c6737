//! Counts log calls below their level: the cheapest call there is should not look its thread up.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::gil::is_held;
use crate::hub::hub;

/// Calls not yet told to the pipeline. Written under the interpreter's lock only.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// Counts one call.
#[inline(always)]
pub fn count() {
    // Relaxed load and store: the interpreter's lock keeps other writers out.
    PENDING.store(PENDING.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Tells the pipeline; before anything reads its books. A thread without the interpreter's lock
/// leaves it to the next that has it.
pub fn tell() {
    if !is_held() {
        return;
    }
    let pending = PENDING.swap(0, Ordering::Relaxed);
    if pending > 0
        && let Some(pipeline) = hub().pipeline()
    {
        pipeline.counts_without_ring().filtered.add_shared(pending);
    }
}

/// Forgets what a forked child has inherited.
pub fn forget() {
    PENDING.store(0, Ordering::Relaxed);
}
