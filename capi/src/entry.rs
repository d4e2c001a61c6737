//! How every function begins: no panic crosses into C.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::status::{COATI_OK, COATI_PANIC, Outcome, coati_status};

/// Runs `call`; a panic, or what it leaves undone, becomes a status.
#[inline(always)]
pub(crate) fn entry(call: impl FnOnce() -> Outcome) -> coati_status {
    match guard(call) {
        Some(Ok(())) => COATI_OK,
        Some(Err(failure)) => failure as coati_status,
        None => COATI_PANIC,
    }
}

/// Whether a call that cannot panic may do without [`guard`]: unless this one is to panic.
#[inline(always)]
pub(crate) fn is_calm() -> bool {
    #[cfg(feature = "test-panic")]
    return !provoke::armed();
    #[cfg(not(feature = "test-panic"))]
    true
}

/// Runs `call`; `None` after a panic.
#[inline(always)]
pub(crate) fn guard<R>(call: impl FnOnce() -> R) -> Option<R> {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "test-panic")]
        provoke::now();
        call()
    }));
    // A payload may panic when it is dropped.
    caught.map_err(std::mem::forget).ok()
}

#[cfg(feature = "test-panic")]
mod provoke {
    //! Panics on demand.

    use std::cell::Cell;

    thread_local!(static ARMED: Cell<bool> = const { Cell::new(false) });

    /// Makes this thread's next call of a coati function panic inside. Only in a build with the
    /// feature `test-panic`.
    #[cfg_attr(feature = "export", unsafe(no_mangle))]
    pub extern "C" fn coati_test_panic_next() {
        ARMED.with(|armed| armed.set(true));
    }

    pub(super) fn armed() -> bool {
        ARMED.with(Cell::get)
    }

    pub(super) fn now() {
        if ARMED.with(|armed| armed.replace(false)) {
            std::panic::panic_any(Bomb);
        }
    }

    /// A payload that panics once more when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a panic's payload was dropped");
        }
    }
}
