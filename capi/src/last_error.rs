//! The last failure in words, per thread.

use std::cell::RefCell;
use std::fmt::Display;

use crate::buffer;
use crate::entry::entry;
use crate::status::{Failure, coati_status};
use crate::types::coati_buffer;

thread_local!(static LAST: RefCell<String> = const { RefCell::new(String::new()) });

/// Keeps why `failure` comes back.
pub(crate) fn because(failure: Failure, reason: &dyn Display) -> Failure {
    // Nobody can ask any more once the thread-local is gone.
    let _ = LAST.try_with(|last| *last.borrow_mut() = reason.to_string());
    failure
}

/// Why the last coati_init, coati_counter_new, coati_up_down_counter_new, coati_gauge_new or
/// coati_histogram_new that failed on this thread did; empty if none has.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_last_error(out: *mut coati_buffer) -> coati_status {
    entry(|| {
        let text = || LAST.try_with(|last| last.borrow().clone().into_bytes());
        // SAFETY: `out` is null or the caller's to write.
        unsafe { buffer::give(out, Ok(()), |()| Ok(text().unwrap_or_default())) }
    })
}
