//! Ownership over the boundary: what comes in by pointer is borrowed, made or freed here.

use crate::entry::guard;
use crate::status::{Failure, Outcome};
use crate::types::coati_str;

/// The object behind a handle.
///
/// # Safety
/// `handle` is null or from [`give`], not freed before `'a` ends.
#[inline(always)]
pub(crate) unsafe fn borrow<'a, T>(handle: *const T) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise. Objects behind handles are only ever shared.
    unsafe { handle.as_ref() }.ok_or(Failure::NullHandle)
}

/// Writes a handle to what `make` makes out of `owner`; null where it makes nothing.
///
/// # Safety
/// `out` is null or may be written.
pub(crate) unsafe fn give<O, T: Sync>(
    out: *mut *mut T,
    owner: Result<O, Failure>,
    make: impl FnOnce(O) -> Result<T, Failure>,
) -> Outcome {
    // SAFETY: the caller's promise.
    unsafe {
        fill(out, std::ptr::null_mut(), owner, |owner| Ok(Box::into_raw(Box::new(make(owner)?))))
    }
}

/// Writes what `make` makes out of `owner`, or `empty` where it makes nothing. A null handle is
/// told before a null `out`.
///
/// # Safety
/// `out` is null or may be written.
pub(crate) unsafe fn fill<O, T>(
    out: *mut T,
    empty: T,
    owner: Result<O, Failure>,
    make: impl FnOnce(O) -> Result<T, Failure>,
) -> Outcome {
    if out.is_null() {
        return owner.and(Err(Failure::BadArgument));
    }
    // Emptied first: `make` may panic.
    // SAFETY: the caller's promise; what stood there may be uninitialised and is not read.
    unsafe { out.write(empty) };
    let made = make(owner?)?;
    // SAFETY: as above.
    unsafe { out.write(made) };
    Ok(())
}

/// Takes an object back and drops it.
///
/// # Safety
/// `handle` is null or from [`give`] and is not used again.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    guard(|| {
        if !handle.is_null() {
            // SAFETY: the caller's promise.
            drop(unsafe { Box::from_raw(handle) });
        }
    });
}

/// `n` values at `first`.
///
/// # Safety
/// `first` is null or points to `n` values that stay as they are until `'a` ends.
#[inline(always)]
pub(crate) unsafe fn slice<'a, T>(first: *const T, n: usize) -> Result<&'a [T], Failure> {
    if n == 0 {
        return Ok(&[]);
    }
    if first.is_null() || !first.is_aligned() || n > isize::MAX as usize / size_of::<T>() {
        return Err(Failure::BadArgument);
    }
    // SAFETY: the caller's promise; not null, aligned, not longer than any object can be.
    Ok(unsafe { std::slice::from_raw_parts(first, n) })
}

impl coati_str {
    /// Its bytes.
    ///
    /// # Safety
    /// As [`slice`].
    #[inline(always)]
    pub(crate) unsafe fn bytes<'a>(self) -> Result<&'a [u8], Failure> {
        // SAFETY: the caller's promise.
        unsafe { slice(self.ptr.cast(), self.len) }
    }
}
