//! Python strings as UTF-8.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Characters of a string that is copied. Of a longer one the object itself is kept: no call copies
/// what it will not record, and none ends the process where memory is short.
const COPIED: isize = 1 << 14;
/// More of a name, or of a string that is not UTF-8 as it stands, is not looked at.
const LOOKED_AT: usize = 1 << 20;

/// A text that stays what it is while other code runs.
pub enum Text {
    /// A short one, or one of ours.
    Copied(String),
    /// A long one: the object, and its text inside of it.
    Kept(Py<PyString>, *const str),
}

// SAFETY: the text of a `str` never changes, and the reference to it is let go of as `Py` does.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}

impl Text {
    /// The text of `string`.
    pub fn of(string: &Bound<'_, PyString>) -> Self {
        // SAFETY: a live string.
        if unsafe { ffi::PyUnicode_GET_LENGTH(string.as_ptr()) } > COPIED
            && let Some(kept) = Self::keep(string)
        {
            return kept;
        }
        // SAFETY: a `str` that lives over the call.
        Self::Copied(begin(unsafe { lossy(string.as_ptr()) }))
    }

    fn keep(string: &Bound<'_, PyString>) -> Option<Self> {
        // SAFETY: a live string. A copy is made of a subclass alone, whose end may run any code;
        // what cannot be made leaves an error behind.
        let exact = unsafe {
            let exact = ffi::PyUnicode_FromObject(string.as_ptr());
            if exact.is_null() {
                ffi::PyErr_Clear();
                return None;
            }
            Bound::from_owned_ptr(string.py(), exact).cast_into::<PyString>().ok()?
        };
        // SAFETY: a `str`, whose text lives as long as it.
        let text = std::ptr::from_ref::<str>(unsafe { utf8(exact.as_ptr()) }?);
        Some(Self::Kept(exact.unbind(), text))
    }

    /// As a name or a message of our own: the beginning, where it is long.
    pub fn into_name(self) -> String {
        match self {
            Self::Copied(text) => text,
            kept => begin(Cow::Borrowed(&kept)),
        }
    }
}

/// All of a text, or as much as is looked at.
fn begin(text: Cow<'_, str>) -> String {
    if text.len() <= LOOKED_AT {
        return text.into_owned();
    }
    beginning(&text).to_owned()
}

/// As much of a text as is looked at.
pub fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(LOOKED_AT)]
}

/// The name that `string` is.
///
/// # Safety
/// As [`utf8`].
pub unsafe fn name(string: *mut PyObject) -> String {
    // SAFETY: by the caller's promise.
    begin(unsafe { lossy(string) })
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Copied(text) => text,
            // SAFETY: the text of the object that is kept beside it.
            Self::Kept(_, text) => unsafe { &**text },
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Copied(text)
    }
}

/// A name as a caller gives it: any `str`, lone surrogates replaced.
#[derive(Default)]
pub struct Name<'a>(Cow<'a, str>);

impl Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Name<'a> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let string = object.cast::<PyString>()?;
        // SAFETY: a `str` that is borrowed for as long as its text.
        Ok(Self(unsafe { lossy(string.as_ptr()) }))
    }
}

/// The text of `object` if it is exactly a `str`, as [`utf8`].
///
/// # Safety
/// `object` is a Python object that outlives the result.
#[inline(always)]
pub unsafe fn exact<'a>(object: *mut PyObject) -> Option<&'a str> {
    // SAFETY: by the caller's promise.
    unsafe { if ffi::PyUnicode_CheckExact(object) != 0 { utf8(object) } else { None } }
}

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

/// The text of `string`, lone surrogates as U+FFFD; of a long one with any, the beginning.
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
        let part = match ffi::PyUnicode_GET_LENGTH(string) > LOOKED_AT as isize {
            true => ffi::PyUnicode_Substring(string, 0, LOOKED_AT as isize),
            false => ffi::Py_NewRef(string),
        };
        let points = match part.is_null() {
            true => std::ptr::null_mut(),
            false => ffi::PyUnicode_AsUCS4Copy(part),
        };
        if points.is_null() {
            ffi::PyErr_Clear();
            ffi::Py_XDECREF(part);
            return Cow::Borrowed("\u{FFFD}");
        }
        let len = ffi::PyUnicode_GET_LENGTH(part) as usize;
        ffi::Py_DECREF(part);
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
