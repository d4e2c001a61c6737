//! Results.

use std::ffi::{CStr, c_char};

use crate::entry::guard;

/// A result; 0 is success. Values are never renumbered.
pub type coati_status = i32;

/// Done.
pub const COATI_OK: coati_status = 0;
/// A handle was NULL; nothing was done.
pub const COATI_NULL_HANDLE: coati_status = 1;
/// An argument is not what it has to be; nothing was done.
pub const COATI_BAD_ARGUMENT: coati_status = 2;
/// The configuration is refused; coati_last_error says why.
pub const COATI_BAD_CONFIG: coati_status = 3;
/// Not finished in time; what was begun goes on.
pub const COATI_TIMEOUT: coati_status = 4;
/// The engine has been shut down; nothing was recorded.
pub const COATI_STOPPED: coati_status = 5;
/// The span had been ended before; nothing was done.
pub const COATI_ALREADY_ENDED: coati_status = 6;
/// The operating system refused; coati_last_error says why.
pub const COATI_IO: coati_status = 7;
/// A defect of the library itself; the call may have been done in part.
pub const COATI_PANIC: coati_status = 8;

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Failure {
    NullHandle = COATI_NULL_HANDLE,
    BadArgument = COATI_BAD_ARGUMENT,
    BadConfig = COATI_BAD_CONFIG,
    Timeout = COATI_TIMEOUT,
    Stopped = COATI_STOPPED,
    AlreadyEnded = COATI_ALREADY_ENDED,
    Io = COATI_IO,
}

pub(crate) type Outcome = Result<(), Failure>;

const fn text(status: coati_status) -> &'static CStr {
    match status {
        COATI_OK => c"ok",
        COATI_NULL_HANDLE => c"null handle",
        COATI_BAD_ARGUMENT => c"bad argument",
        COATI_BAD_CONFIG => c"bad configuration",
        COATI_TIMEOUT => c"timed out",
        COATI_STOPPED => c"the engine has been shut down",
        COATI_ALREADY_ENDED => c"the span has already ended",
        COATI_IO => c"input or output failed",
        COATI_PANIC => c"internal error",
        _ => c"unknown status",
    }
}

/// A status in words, for any number; static, never NULL.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub extern "C" fn coati_status_str(status: coati_status) -> *const c_char {
    guard(|| text(status)).unwrap_or(text(COATI_PANIC)).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_words_of_its_own() {
        let words: std::collections::HashSet<_> = (-1..=COATI_PANIC).map(text).collect();
        assert_eq!(words.len(), 10);
        assert_eq!(text(i32::MIN), text(i32::MAX));
    }
}
