//! Asynchronous generators of decorated functions.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::ffi::{PyObject, PySendResult};

use super::driver::{self, Driver};
use super::routine::{attribute_of, call, itself};
use crate::awaitable::stop;
use crate::raw::{self, Class, Raw, Table};

/// An asynchronous generator.
pub struct AsyncGenerator(pub Driver);

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for AsyncGenerator {}

static GENERATORS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 4]> = Table([
    raw::fast(c"asend", asend, c"asend($self, value, /)\n--\n\n"),
    raw::fast(c"athrow", athrow, c"athrow($self, type, value=None, traceback=None, /)\n--\n\n"),
    raw::fast(c"aclose", aclose, c"aclose($self, /)\n--\n\n"),
    raw::END,
]);

impl Raw for AsyncGenerator {
    const NAME: &'static CStr = c"coati._native.TracedAsyncGenerator";
    const DOC: &'static CStr =
        c"Runs the body of a decorated function, its span current while it runs.";

    fn class() -> &'static Class {
        &GENERATORS
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
        self.0.traverse(visit)
    }

    fn clear(&self) {
        self.0.abandon();
    }
}

/// What `asend` and its like give: awaited, it runs the body up to its next `yield`.
pub struct Step {
    generator: *mut PyObject,
    inner: *mut PyObject,
    /// Whether it is the generator's last step when it returns.
    closes: bool,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Step {}

static STEPS: Class = Class::new();

static STEP_METHODS: Table<[ffi::PyMethodDef; 4]> = Table([
    raw::plain(c"send", send_method, ffi::METH_O, c"send($self, value, /)\n--\n\n"),
    raw::fast(c"throw", throw, c"throw($self, type, value=None, traceback=None, /)\n--\n\n"),
    raw::plain(c"close", close, ffi::METH_NOARGS, c"close($self, /)\n--\n\n"),
    raw::END,
]);

impl Raw for Step {
    const NAME: &'static CStr = c"coati._native.TracedStep";
    const DOC: &'static CStr = c"A step of an asynchronous generator.";

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
        match visit(self.generator) {
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
            ffi::Py_DECREF(self.generator);
        }
    }
}

/// # Safety
/// `this` is an [`AsyncGenerator`] that outlives the result.
unsafe fn of<'a>(this: *mut PyObject) -> &'a Driver {
    // SAFETY: by the caller's promise.
    unsafe { &raw::value::<AsyncGenerator>(this).0 }
}

/// The step that the body's method `name` gives.
///
/// # Safety
/// `this` is an [`AsyncGenerator`]; `count` live arguments.
unsafe fn begin(
    this: *mut PyObject,
    name: &CStr,
    args: *const *mut PyObject,
    count: isize,
    closes: bool,
) -> *mut PyObject {
    // SAFETY: by the caller's promise.
    unsafe {
        let inner = call(of(this).inner(), name, args, count);
        if inner.is_null() {
            return inner;
        }
        raw::new(Step { generator: ffi::Py_NewRef(this), inner, closes })
    }
}

unsafe extern "C" fn anext(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { begin(this, c"__anext__", std::ptr::null(), 0, false) }
}

unsafe extern "C" fn asend(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { begin(this, c"asend", args, count, false) }
}

unsafe extern "C" fn athrow(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { begin(this, c"athrow", args, count, false) }
}

unsafe extern "C" fn aclose(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { begin(this, c"aclose", args, count, true) }
}

unsafe extern "C" fn attribute(this: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class, and a name.
    unsafe { attribute_of(this, name, of(this).inner()) }
}

unsafe extern "C" fn send(
    this: *mut PyObject,
    value: *mut PyObject,
    result: *mut *mut PyObject,
) -> PySendResult {
    // SAFETY: a method of this class, with a place for the result.
    unsafe {
        let step = raw::value::<Step>(this);
        let generator = of(step.generator);
        if step.closes && generator.is_new() {
            generator.finish();
        }
        generator.step(
            |_| ffi::PyIter_Send(step.inner, value, result),
            |sent| match sent {
                PySendResult::PYGEN_NEXT => driver::Step::Suspended,
                PySendResult::PYGEN_RETURN if step.closes => driver::Step::Finished,
                PySendResult::PYGEN_RETURN => driver::Step::Suspended,
                PySendResult::PYGEN_ERROR => failed(),
            },
        )
    }
}

/// What the exception that is set says of the generator.
fn failed() -> driver::Step {
    // SAFETY: called with an exception set.
    let over = unsafe { ffi::PyErr_ExceptionMatches(ffi::PyExc_StopAsyncIteration) } != 0;
    if over { driver::Step::Finished } else { driver::Step::Failed }
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
                stop(result);
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
        let step = raw::value::<Step>(this);
        of(step.generator).step(
            |_| call(step.inner, c"throw", args, count),
            |given| {
                let stopped =
                    given.is_null() && ffi::PyErr_ExceptionMatches(ffi::PyExc_StopIteration) != 0;
                if !given.is_null() || (stopped && !step.closes) {
                    driver::Step::Suspended
                } else if stopped {
                    driver::Step::Finished
                } else {
                    failed()
                }
            },
        )
    }
}

unsafe extern "C" fn close(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { call(raw::value::<Step>(this).inner, c"close", std::ptr::null(), 0) }
}
