//! Memory given to the caller.

use crate::entry::guard;
use crate::handle;
use crate::status::{Failure, Outcome};
use crate::types::coati_buffer;

const EMPTY: coati_buffer = coati_buffer { ptr: std::ptr::null_mut(), len: 0 };

/// Writes a buffer with what `make` makes out of `owner`.
///
/// # Safety
/// `out` is null or may be written.
pub(crate) unsafe fn give<O>(
    out: *mut coati_buffer,
    owner: Result<O, Failure>,
    make: impl FnOnce(O) -> Result<Vec<u8>, Failure>,
) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe {
        handle::fill(out, EMPTY, owner, |owner| {
            let mut bytes = make(owner)?;
            let len = bytes.len();
            bytes.push(0);
            Ok(coati_buffer { ptr: Box::into_raw(bytes.into_boxed_slice()).cast(), len })
        })
    }
}

/// Gives a buffer's memory back and empties it. NULL and an empty buffer are nothing to do.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_buffer_free(buffer: *mut coati_buffer) {
    guard(|| {
        // SAFETY: null, or a buffer that the caller owns.
        let Some(buffer) = (unsafe { buffer.as_mut() }) else { return };
        let coati_buffer { ptr, len } = std::mem::replace(buffer, EMPTY);
        if !ptr.is_null() {
            let bytes = std::ptr::slice_from_raw_parts_mut(ptr.cast::<u8>(), len + 1);
            // SAFETY: made by `give` with the NUL that `len` does not count.
            drop(unsafe { Box::from_raw(bytes) });
        }
    });
}
