//! The runtime context: the API's `attach`, `detach` and `get_current` over the one variable.

use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::api::{Api, api};
use super::context;
use crate::current::{Current, Entry};
use crate::gil::Guarded;
use crate::raw::{self, Class, Raw, Table};

/// The runtime context. There is one.
pub struct Runtime {
    /// The one in force before, null where there was none: what has been attached there is current
    /// until something of ours is. A strong reference.
    previous: Cell<*mut PyObject>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Runtime {}

/// Tokens that have yet to be given back. Relaxed: changed under the interpreter's lock.
static ATTACHED: AtomicUsize = AtomicUsize::new(0);
static CLASS: Class = Class::new();
static RUNTIME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

static METHODS: Table<[ffi::PyMethodDef; 6]> = Table([
    raw::plain(
        c"attach",
        attach,
        ffi::METH_O,
        c"attach($self, context, /)\n--\n\nMake a context current; what it gives is for `detach`.",
    ),
    raw::plain(
        c"detach",
        detach,
        ffi::METH_O,
        c"detach($self, token, /)\n--\n\nMake current what was so before.",
    ),
    raw::plain(
        c"get_current",
        get_current,
        ffi::METH_NOARGS,
        c"get_current($self, /)\n--\n\nThe context that is current.",
    ),
    raw::plain(
        c"_over",
        over,
        ffi::METH_O,
        c"_over($self, previous, /)\n--\n\nStand over what was in force before.",
    ),
    raw::plain(
        c"_attached",
        attached,
        ffi::METH_NOARGS,
        c"_attached($self, /)\n--\n\nHow much has been attached and not detached yet, by whomever.",
    ),
    raw::END,
]);

impl Raw for Runtime {
    const NAME: &'static CStr = c"coati.otel.RuntimeContext";
    const DOC: &'static CStr = c"OpenTelemetry's context and coati's, as one.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![raw::slot(ffi::Py_tp_methods, METHODS.pointer())]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        visit(self.previous.get())
    }

    fn clear(&self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.previous.replace(std::ptr::null_mut())) };
    }
}

impl Runtime {
    fn previous<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        // SAFETY: a live object or null.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, self.previous.get()) }
    }
}

/// Whether ours is in force.
#[inline(always)]
pub fn is_in_force(py: Python<'_>, api: &Api) -> bool {
    RUNTIME.get(py).is_some_and(|own| own.as_ptr() == api.runtime())
}

/// The runtime context.
#[pyfunction]
pub fn _otel_runtime(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let made = RUNTIME.get_or_try_init(py, || {
        let runtime = raw::new(Runtime { previous: Cell::new(std::ptr::null_mut()) });
        // SAFETY: a new reference, or null with an error set.
        unsafe { Bound::from_owned_ptr_or_err(py, runtime) }.map(Bound::unbind)
    })?;
    Ok(made.bind(py).clone())
}

/// # Safety
/// `this` is a [`Runtime`] that outlives the result.
unsafe fn of<'a>(this: *mut PyObject) -> &'a Runtime {
    // SAFETY: by the caller's promise.
    unsafe { raw::value::<Runtime>(this) }
}

unsafe extern "C" fn over(this: *mut PyObject, previous: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class, with a live argument; the reference put away is ours.
    unsafe {
        let fresh = match previous == ffi::Py_None() || previous == this {
            true => std::ptr::null_mut(),
            false => ffi::Py_NewRef(previous),
        };
        ffi::Py_XDECREF(of(this).previous.replace(fresh));
    }
    raw::none()
}

unsafe extern "C" fn attached(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter is attached.
    unsafe { ffi::PyLong_FromSize_t(ATTACHED.load(Ordering::Relaxed)) }
}

unsafe extern "C" fn get_current(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        let base = || {
            // SAFETY: a method of this class.
            match unsafe { of(this) }.previous(py) {
                Some(previous) => previous.call_method0(intern!(py, "get_current")),
                None => Ok(api(py)?.empty.bind(py).clone()),
            }
        };
        context::current(py, base).map(Bound::into_ptr)
    })
}

unsafe extern "C" fn attach(_: *mut PyObject, context: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a live argument.
        let context = unsafe { Bound::from_borrowed_ptr(py, context) };
        let current = Current::get();
        let scope = context::scope(py, &context, &current)?;
        let entry = Entry::enter(scope.as_ptr(), current);
        if entry.is_some() {
            ATTACHED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(raw::new(Token { scope: scope.into_ptr(), entry: Guarded::new(entry) }))
    })
}

unsafe extern "C" fn detach(this: *mut PyObject, token: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: live objects; the class is checked.
        unsafe {
            if !raw::is::<Token>(token) {
                // Attached before ours was in force.
                let token = Bound::from_borrowed_ptr(py, token);
                if let Some(previous) = of(this).previous(py) {
                    previous.call_method1(intern!(py, "detach"), (token,))?;
                }
                return Ok(raw::none());
            }
            let token = raw::value::<Token>(token);
            let Some(entry) = token.take() else {
                return Err(PyRuntimeError::new_err("the token has already been used once"));
            };
            if entry.detach(token.scope) {
                return Ok(raw::none());
            }
            Err(PyValueError::new_err("the token was made in another context"))
        }
    })
}

/// What `attach` gives.
pub struct Token {
    /// A strong reference.
    scope: *mut PyObject,
    entry: Guarded<Option<Entry>>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Token {}

static TOKEN: Class = Class::new();

impl Raw for Token {
    const NAME: &'static CStr = c"coati.otel.Token";
    const DOC: &'static CStr = c"What has been attached, until it is detached.";

    fn class() -> &'static Class {
        &TOKEN
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        Vec::new()
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match visit(self.scope) {
            0 => match self.entry.borrow().as_deref() {
                Some(Some(entry)) => entry.traverse(visit),
                _ => 0,
            },
            stop => stop,
        }
    }

    fn clear(&self) {
        drop(self.take());
    }
}

impl Token {
    fn take(&self) -> Option<Entry> {
        let entry = self.entry.borrow().and_then(|mut entry| entry.take());
        if entry.is_some() {
            ATTACHED.fetch_sub(1, Ordering::Relaxed);
        }
        entry
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        drop(self.take());
        // SAFETY: our reference.
        unsafe { ffi::Py_DECREF(self.scope) };
    }
}
