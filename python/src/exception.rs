//! Exceptions as fields, by OpenTelemetry's names.

use coati_core::intern::reserved;
use coati_core::record::value::Key;
use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::convert::{Owned, printed, tolerate};
use crate::fields::Layer;
use crate::text::Text;

/// Type, message and stack trace of an exception.
pub struct Told {
    pub kind: String,
    pub message: Text,
    pub stacktrace: Text,
}

impl Told {
    /// What is to be said of `exception`.
    pub fn of(exception: &Bound<'_, PyBaseException>) -> PyResult<Self> {
        Ok(Self {
            kind: kind(exception)?,
            message: printed(exception)?,
            stacktrace: match formatted(exception) {
                Ok(text) => text,
                Err(error) => {
                    tolerate(exception.py(), error)?;
                    String::new().into()
                }
            },
        })
    }

    /// The fields of a log line.
    pub fn layer(self) -> Layer {
        let named = |id| Key::Id(id);
        Layer::of(&[
            (named(reserved::EXCEPTION_TYPE), Owned::Str(self.kind.into())),
            (named(reserved::EXCEPTION_MESSAGE), Owned::Str(self.message)),
            (named(reserved::EXCEPTION_STACKTRACE), Owned::Str(self.stacktrace)),
        ])
    }
}

/// The type's name, with its module unless that is `builtins`.
fn kind(exception: &Bound<'_, PyBaseException>) -> PyResult<String> {
    let class = exception.get_type();
    let name = |name: PyResult<Bound<'_, pyo3::types::PyString>>| {
        name.map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
    };
    let (module, qualname) = (name(class.module()), name(class.qualname()));
    let plain = module.is_empty() || module == "builtins";
    Ok(if plain { qualname } else { format!("{module}.{qualname}") })
}

fn formatted(exception: &Bound<'_, PyBaseException>) -> PyResult<Text> {
    let py = exception.py();
    let class = exception.get_type();
    let trace = exception.getattr("__traceback__")?;
    let lines =
        py.import("traceback")?.call_method1("format_exception", (class, exception, trace))?;
    printed(&PyString::new(py, "").call_method1("join", (lines,))?)
}

/// The exception being handled, as `sys.exc_info()` tells it.
pub fn handled(py: Python<'_>) -> Option<Bound<'_, PyBaseException>> {
    let (mut class, mut value, mut trace) =
        (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: three places for new references, which are taken over below.
    unsafe {
        ffi::PyErr_GetExcInfo(&mut class, &mut value, &mut trace);
        ffi::Py_XDECREF(class);
        ffi::Py_XDECREF(trace);
        Bound::from_owned_ptr_or_opt(py, value)?.cast_into().ok()
    }
}

/// The exception that a value given as `exc_info` names, as the standard library reads it; the
/// outer `None` says that it is not of that kind.
pub fn named<'py>(value: &Bound<'py, PyAny>) -> Option<Option<Bound<'py, PyBaseException>>> {
    let py = value.py();
    if let Ok(exception) = value.cast::<PyBaseException>() {
        return Some(Some(exception.clone()));
    }
    if value.is_none() || value.is(&*pyo3::types::PyBool::new(py, false)) {
        return Some(None);
    }
    if value.is(&*pyo3::types::PyBool::new(py, true)) {
        return Some(handled(py));
    }
    let triple = value.cast::<PyTuple>().ok().filter(|triple| triple.len() == 3)?;
    let middle = triple.get_item(1).ok()?;
    if middle.is_none() {
        return Some(None);
    }
    middle.cast_into::<PyBaseException>().ok().map(Some)
}

/// The exception that was set, set again at the end, over whatever is set by then.
pub struct Kept {
    #[cfg(not(Py_3_12))]
    class: *mut PyObject,
    value: *mut PyObject,
    #[cfg(not(Py_3_12))]
    trace: *mut PyObject,
}

impl Kept {
    /// # Safety
    /// The interpreter is attached.
    #[cfg(Py_3_12)]
    pub unsafe fn new() -> Self {
        // SAFETY: by the caller's promise; a new reference or null.
        Self { value: unsafe { ffi::PyErr_GetRaisedException() } }
    }

    /// # Safety
    /// The interpreter is attached.
    #[cfg(not(Py_3_12))]
    pub unsafe fn new() -> Self {
        let null = std::ptr::null_mut();
        let mut kept = Self { class: null, value: null, trace: null };
        // SAFETY: three places for new references.
        unsafe { ffi::PyErr_Fetch(&mut kept.class, &mut kept.value, &mut kept.trace) };
        kept
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: gives the references back.
        #[cfg(Py_3_12)]
        unsafe {
            ffi::PyErr_SetRaisedException(self.value);
        }
        // SAFETY: as above.
        #[cfg(not(Py_3_12))]
        unsafe {
            ffi::PyErr_Restore(self.class, self.value, self.trace);
        }
    }
}
