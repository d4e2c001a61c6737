//! An asynchronous iterator that tells its stream what it gives.

use std::ffi::{CStr, c_int, c_void};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::ffi::{PyObject, PySendResult};
use pyo3::prelude::*;

use super::iterator::{Wrapped, itself};
use crate::awaitable;
use crate::exception::Kept;
use crate::raw::{self, Class, Raw, Table};
use crate::trace::{attribute_of, call};

/// A wrapped asynchronous iterator.
pub struct AsyncIterator(pub Wrapped);

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for AsyncIterator {}

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 5]> = Table([
    raw::plain(c"aclose", aclose, ffi::METH_NOARGS, c"aclose($self, /)\n--\n\n"),
    raw::plain(c"close", close, ffi::METH_NOARGS, c"close($self, /)\n--\n\n"),
    raw::plain(c"__aenter__", async_enter, ffi::METH_NOARGS, c"__aenter__($self, /)\n--\n\n"),
    raw::fast(c"__aexit__", async_exit, c"__aexit__($self, /, *exc_info)\n--\n\n"),
    raw::END,
]);

impl Raw for AsyncIterator {
    const NAME: &'static CStr = c"coati._native.AsyncStreamIterator";
    const DOC: &'static CStr =
        c"An asynchronous iterator that tells its stream span what it gives.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_am_aiter, itself as *mut c_void),
            raw::slot(ffi::Py_am_anext, anext as *mut c_void),
            raw::slot(ffi::Py_tp_getattro, attribute as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        // SAFETY: as for this method.
        unsafe { self.0.traverse(visit) }
    }

    fn clear(&self) {
        self.0.clear();
    }
}

/// # Safety
/// `this` is an [`AsyncIterator`] that outlives the result.
unsafe fn of<'a>(this: *mut PyObject) -> &'a Wrapped {
    // SAFETY: by the caller's promise.
    unsafe { &raw::value::<AsyncIterator>(this).0 }
}

/// What `__anext__` gives: awaited, it gives the next chunk.
pub struct Step {
    /// Strong references: the iterator, and what is sent to.
    of: *mut PyObject,
    inner: *mut PyObject,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Step {}

static STEPS: Class = Class::new();

static STEP_METHODS: Table<[ffi::PyMethodDef; 4]> = Table([
    raw::plain(c"send", send_method, ffi::METH_O, c"send($self, value, /)\n--\n\n"),
    raw::fast(c"throw", throw, c"throw($self, type, value=None, traceback=None, /)\n--\n\n"),
    raw::plain(c"close", close_step, ffi::METH_NOARGS, c"close($self, /)\n--\n\n"),
    raw::END,
]);

impl Raw for Step {
    const NAME: &'static CStr = c"coati._native.StreamStep";
    const DOC: &'static CStr = c"A step of an asynchronous stream.";

    fn class() -> &'static Class {
        &STEPS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, STEP_METHODS.pointer()),
            raw::slot(ffi::Py_am_await, itself as *mut c_void),
            raw::slot(ffi::Py_am_send, send as *mut c_void),
            raw::slot(ffi::Py_tp_iter, itself as *mut c_void),
            raw::slot(ffi::Py_tp_iternext, next as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match visit(self.of) {
            0 => visit(self.inner),
            stop => stop,
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // SAFETY: our references.
        unsafe {
            ffi::Py_DECREF(self.inner);
            ffi::Py_DECREF(self.of);
        }
    }
}

unsafe fn at_end() -> [*mut PyObject; 1] {
    // SAFETY: a static of the interpreter's, set since its start.
    unsafe { [ffi::PyExc_StopAsyncIteration] }
}

unsafe extern "C" fn anext(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class; live objects.
    unsafe {
        let py = Python::assume_attached();
        let wrapped = of(this);
        let inner = wrapped.inner.get();
        let slot = if inner.is_null() { None } else { am(inner).and_then(|am| am.am_anext) };
        let Some(slot) = slot else {
            ffi::PyErr_SetNone(ffi::PyExc_StopAsyncIteration);
            return wrapped.failed(py, &at_end());
        };
        let awaitable = slot(inner);
        if awaitable.is_null() {
            return wrapped.failed(py, &at_end());
        }
        let inner = awaiting(py, awaitable);
        ffi::Py_DECREF(awaitable);
        if inner.is_null() {
            return wrapped.failed(py, &at_end());
        }
        raw::new(Step { of: ffi::Py_NewRef(this), inner })
    }
}

unsafe fn am<'a>(object: *mut PyObject) -> Option<&'a ffi::PyAsyncMethods> {
    // SAFETY: the class of a live object.
    unsafe { (*ffi::Py_TYPE(object)).tp_as_async.as_ref() }
}

/// The iterator behind an awaitable, a new reference; null with an error set.
unsafe fn awaiting(py: Python<'_>, awaitable: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe {
        match am(awaitable).and_then(|am| am.am_await) {
            Some(slot) => slot(awaitable),
            // A coroutine made of a generator.
            None if ffi::PyIter_Check(awaitable) != 0 => ffi::Py_NewRef(awaitable),
            None => {
                PyTypeError::new_err("__anext__() gave what cannot be awaited").restore(py);
                std::ptr::null_mut()
            }
        }
    }
}

unsafe extern "C" fn send(
    this: *mut PyObject,
    value: *mut PyObject,
    result: *mut *mut PyObject,
) -> PySendResult {
    // SAFETY: a method of this class, with a place for the result.
    unsafe {
        let py = Python::assume_attached();
        let step = raw::value::<Step>(this);
        let wrapped = of(step.of);
        let entry = wrapped.stream().enter_step();
        let sent = ffi::PyIter_Send(step.inner, value, result);
        if let Some(entry) = entry {
            let error = Kept::new();
            entry.restore();
            drop(error);
        }
        match sent {
            PySendResult::PYGEN_NEXT => sent,
            PySendResult::PYGEN_RETURN => {
                *result = wrapped.took(py, *result);
                if (*result).is_null() { PySendResult::PYGEN_ERROR } else { sent }
            }
            PySendResult::PYGEN_ERROR => {
                wrapped.failed(py, &at_end());
                sent
            }
        }
    }
}

unsafe extern "C" fn next(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { send_method(this, ffi::Py_None()) }
}

unsafe extern "C" fn send_method(this: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe {
        let mut result = std::ptr::null_mut();
        match send(this, value, &mut result) {
            PySendResult::PYGEN_NEXT => return result,
            PySendResult::PYGEN_RETURN => {
                awaitable::stop(result);
                ffi::Py_DECREF(result);
            }
            PySendResult::PYGEN_ERROR => {}
        }
        std::ptr::null_mut()
    }
}

unsafe extern "C" fn throw(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class, and live arguments.
    unsafe {
        let py = Python::assume_attached();
        let step = raw::value::<Step>(this);
        let wrapped = of(step.of);
        let entry = wrapped.stream().enter_step();
        let given = call(step.inner, c"throw", args, count);
        if let Some(entry) = entry {
            let error = Kept::new();
            entry.restore();
            drop(error);
        }
        if !given.is_null() {
            return given;
        }
        // A step that returns all the same gives a chunk.
        if ffi::PyErr_ExceptionMatches(ffi::PyExc_StopIteration) == 0 {
            return wrapped.failed(py, &at_end());
        }
        if let Some(error) = PyErr::take(py) {
            let told = match error.value(py).getattr("value") {
                Ok(chunk) => wrapped.stream().take(py, chunk.as_ptr()),
                Err(_) => Ok(()),
            };
            told.err().unwrap_or(error).restore(py);
        }
        given
    }
}

unsafe extern "C" fn close_step(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { call(raw::value::<Step>(this).inner, c"close", std::ptr::null(), 0) }
}

/// Closes what is inside by its method `name`, if it has that; an awaitable.
unsafe fn closing(this: *mut PyObject, name: &CStr) -> *mut PyObject {
    // SAFETY: an instance.
    unsafe {
        let wrapped = of(this);
        let inner = wrapped.inner.get();
        let can = !inner.is_null() && ffi::PyObject_HasAttrString(inner, name.as_ptr()) != 0;
        let closed = match can {
            true => call(inner, name, std::ptr::null(), 0),
            false => awaitable::ready(raw::none()),
        };
        let error = Kept::new();
        wrapped.close();
        drop(error);
        closed
    }
}

unsafe extern "C" fn aclose(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { closing(this, c"aclose") }
}

unsafe extern "C" fn close(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { closing(this, c"close") }
}

unsafe extern "C" fn async_enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    awaitable::ready(unsafe { ffi::Py_NewRef(this) })
}

unsafe extern "C" fn async_exit(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe {
        let inner = of(this).inner.get();
        let has = |name: &CStr| ffi::PyObject_HasAttrString(inner, name.as_ptr()) != 0;
        let by_close = !inner.is_null() && !has(c"aclose") && has(c"close");
        closing(this, if by_close { c"close" } else { c"aclose" })
    }
}

unsafe extern "C" fn attribute(this: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class, and a name.
    unsafe { attribute_of(this, name, of(this).inner.get()) }
}
