//! An awaitable that is done: what `__aenter__` and `__aexit__` give back.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::ffi::PyObject;

use crate::gil::Guarded;
use crate::raw::{self, Class, Raw};

/// Its result, until it is awaited; null afterwards.
pub struct Ready(Guarded<*mut PyObject>);

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Ready {}

static CLASS: Class = Class::new();

impl Raw for Ready {
    const NAME: &'static CStr = c"coati._native.Ready";
    const DOC: &'static CStr = c"An awaitable that is done.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_am_await, itself as *mut c_void),
            raw::slot(ffi::Py_am_send, send as *mut c_void),
            raw::slot(ffi::Py_tp_iter, itself as *mut c_void),
            raw::slot(ffi::Py_tp_iternext, next as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        visit(self.0.borrow().map_or(std::ptr::null_mut(), |result| *result))
    }

    fn clear(&self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.take()) };
    }
}

impl Ready {
    fn take(&self) -> *mut PyObject {
        let taken =
            self.0.borrow().map(|mut result| std::mem::replace(&mut *result, std::ptr::null_mut()));
        taken.unwrap_or(std::ptr::null_mut())
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Awaiting it gives `result`, a reference that is taken over; null with an error set stays so.
pub fn ready(result: *mut PyObject) -> *mut PyObject {
    if result.is_null() { result } else { raw::new(Ready(Guarded::new(result))) }
}

unsafe extern "C" fn itself(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_NewRef(this) }
}

unsafe extern "C" fn send(
    this: *mut PyObject,
    _: *mut PyObject,
    result: *mut *mut PyObject,
) -> ffi::PySendResult {
    // SAFETY: a method of this class, with a place for the result.
    unsafe {
        let taken = raw::value::<Ready>(this).take();
        *result = if taken.is_null() { raw::none() } else { taken };
    }
    ffi::PySendResult::PYGEN_RETURN
}

unsafe extern "C" fn next(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class; a value of `StopIteration` ends the iteration.
    unsafe {
        let taken = raw::value::<Ready>(this).take();
        if !taken.is_null() && taken != ffi::Py_None() {
            stop(taken);
        }
        ffi::Py_XDECREF(taken);
    }
    std::ptr::null_mut()
}

/// Sets the `StopIteration` that returns `value`.
///
/// # Safety
/// `value` is a live object.
pub unsafe fn stop(value: *mut PyObject) {
    // SAFETY: by the caller's promise. The instance is made here, as a tuple or an exception given
    // as the value would be taken for its arguments.
    unsafe {
        let stop = ffi::PyObject_CallFunctionObjArgs(
            ffi::PyExc_StopIteration,
            value,
            std::ptr::null_mut::<PyObject>(),
        );
        if !stop.is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, stop);
            ffi::Py_DECREF(stop);
        }
    }
}
