//! Where a log call stands in Python code.

use coati_core::intern::{self, Id};
use coati_core::record::CallSite;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::gil::Guarded;
use crate::text;

const SLOTS: usize = 256;

/// Ids by the identity of a code object's file name, to which it holds a reference.
#[derive(Clone, Copy)]
struct File {
    name: *mut PyObject,
    id: u32,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for File {}

static FILES: Guarded<[File; SLOTS]> =
    Guarded::new([const { File { name: std::ptr::null_mut(), id: 0 } }; SLOTS]);

/// The frame that is running: native methods have none of their own.
#[cold]
pub fn of(_: Python<'_>) -> Option<CallSite> {
    // SAFETY: the interpreter is attached; the frame is borrowed, its code a new reference.
    unsafe {
        let frame = ffi::PyEval_GetFrame();
        if frame.is_null() {
            return None;
        }
        let line = ffi::PyFrame_GetLineNumber(frame).max(0) as u32;
        let code = ffi::PyFrame_GetCode(frame);
        let name = ffi::PyObject_GetAttrString(code.cast(), c"co_filename".as_ptr());
        ffi::Py_DECREF(code.cast());
        if name.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let file = file(name);
        ffi::Py_DECREF(name);
        file.map(|Id(file)| CallSite { file, line })
    }
}

/// The place that another library found: a file and a line.
#[cold]
pub fn given(site: &Bound<'_, PyAny>) -> Option<CallSite> {
    let (name, line): (Bound<'_, PyAny>, u32) = site.extract().ok()?;
    // SAFETY: a live object.
    let Id(file) = unsafe { file(name.as_ptr()) }?;
    Some(CallSite { file, line })
}

/// # Safety
/// `name` is a live object.
unsafe fn file(name: *mut PyObject) -> Option<Id> {
    let slot = (name as usize >> 4) % SLOTS;
    if let Some(files) = FILES.borrow()
        && files[slot].name == name
    {
        return Some(Id(files[slot].id));
    }
    // SAFETY: by the caller's promise, and checked to be a `str`.
    let text = unsafe {
        if ffi::PyUnicode_Check(name) == 0 {
            return None;
        }
        text::lossy(name)
    };
    let id = intern::intern(&text)?;
    // SAFETY: a live object.
    let fresh = File { name: unsafe { ffi::Py_NewRef(name) }, id: id.0 };
    let before = FILES.borrow().map(|mut files| std::mem::replace(&mut files[slot], fresh));
    if let Some(before) = before {
        // SAFETY: our reference to a plain `str`, or null.
        unsafe { ffi::Py_XDECREF(before.name) };
    }
    Some(id)
}
