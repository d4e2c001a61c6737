//! Counts calls that record nothing: log calls below their level, spans inside a trace that is not
//! sampled. The cheapest calls there are should not look their thread up.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::gil::is_held;
use crate::hub::hub;

/// Calls not yet told to the pipeline. Written under the interpreter's lock only.
pub struct Pending(AtomicU64);

/// Log calls below their level.
pub static FILTERED: Pending = Pending(AtomicU64::new(0));
/// Spans that are not sampled.
pub static UNSAMPLED: Pending = Pending(AtomicU64::new(0));

impl Pending {
    /// Counts one call.
    #[inline(always)]
    pub fn count(&self) {
        // Relaxed load and store: the interpreter's lock keeps other writers out.
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Tells the pipeline; before anything reads its books. A thread without the interpreter's lock
/// leaves it to the next that has it.
pub fn tell() {
    if !is_held() {
        return;
    }
    let (filtered, unsampled) = (FILTERED.take(), UNSAMPLED.take());
    if filtered + unsampled > 0
        && let Some(pipeline) = hub().pipeline()
    {
        pipeline.counts_without_ring().filtered.add_shared(filtered);
        pipeline.counts_without_ring().unsampled.add_shared(unsampled);
    }
}

/// Forgets what a forked child has inherited.
pub fn forget() {
    FILTERED.take();
    UNSAMPLED.take();
}
