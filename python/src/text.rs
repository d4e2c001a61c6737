//! Python strings as UTF-8.

use std::borrow::Cow;

use pyo3::ffi;
use pyo3::ffi::PyObject;

/// The text of `string`; `None` where it holds lone surrogates. May run foreign code only then.
///
/// # Safety
/// `string` is a `str`, or of a subclass, that outlives the result.
#[inline(always)]
pub unsafe fn utf8<'a>(string: *mut PyObject) -> Option<&'a str> {
    // SAFETY: by the caller's promise; ASCII text stands right behind the head.
    unsafe {
        if ffi::PyUnicode_IS_COMPACT_ASCII(string) != 0 {
            let len = ffi::PyUnicode_GET_LENGTH(string) as usize;
            let start = string.cast::<ffi::PyASCIIObject>().add(1).cast::<u8>();
            return Some(std::str::from_utf8_unchecked(std::slice::from_raw_parts(start, len)));
        }
        encoded(string)
    }
}

/// # Safety
/// As [`utf8`].
#[inline(never)]
unsafe fn encoded<'a>(string: *mut PyObject) -> Option<&'a str> {
    // SAFETY: the encoded form is cached in the object and lives as long as it.
    unsafe {
        let mut len = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(string, &mut len);
        if start.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let bytes = std::slice::from_raw_parts(start.cast::<u8>(), len as usize);
        Some(std::str::from_utf8_unchecked(bytes))
    }
}

/// The text of `string`, lone surrogates as U+FFFD.
///
/// # Safety
/// As [`utf8`].
pub unsafe fn lossy<'a>(string: *mut PyObject) -> Cow<'a, str> {
    // SAFETY: by the caller's promise.
    if let Some(text) = unsafe { utf8(string) } {
        return Cow::Borrowed(text);
    }
    // SAFETY: as above; the buffer is ours to free.
    unsafe {
        let points = ffi::PyUnicode_AsUCS4Copy(string);
        if points.is_null() {
            ffi::PyErr_Clear();
            return Cow::Borrowed("\u{FFFD}");
        }
        let len = ffi::PyUnicode_GET_LENGTH(string) as usize;
        let text = std::slice::from_raw_parts(points, len)
            .iter()
            .map(|&point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        ffi::PyMem_Free(points.cast());
        Cow::Owned(text)
    }
}

/// A new `str`.
pub fn string(text: &str) -> *mut PyObject {
    // SAFETY: valid UTF-8 of that length.
    unsafe { ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize) }
}

/// A new `str` of ASCII text, without a look at each byte.
#[inline(always)]
pub fn ascii(text: &[u8]) -> *mut PyObject {
    debug_assert!(text.is_ascii());
    // SAFETY: a compact ASCII object of that length has its bytes right behind its head.
    unsafe {
        let object = ffi::PyUnicode_New(text.len() as isize, 127);
        if !object.is_null() {
            let start = object.cast::<ffi::PyASCIIObject>().add(1).cast::<u8>();
            std::ptr::copy_nonoverlapping(text.as_ptr(), start, text.len());
        }
        object
    }
}
