//! Coroutines and generators of decorated functions.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::ffi::{PyObject, PySendResult};

use super::driver::{Driver, Step};
use crate::awaitable::stop;
use crate::raw::{self, Class, Raw, Table};

/// A coroutine or a generator.
pub struct Routine<const KIND: u8>(pub Driver);

pub const COROUTINE: u8 = 0;
pub const GENERATOR: u8 = 1;

// SAFETY: touched under the interpreter's lock only.
unsafe impl<const KIND: u8> Send for Routine<KIND> {}

static CLASSES: [Class; 2] = [const { Class::new() }; 2];

const fn methods<const KIND: u8>() -> [ffi::PyMethodDef; 4] {
    [
        raw::plain(c"send", send_method::<KIND>, ffi::METH_O, c"send($self, value, /)\n--\n\n"),
        raw::fast(
            c"throw",
            throw::<KIND>,
            c"throw($self, type, value=None, traceback=None, /)\n--\n\n",
        ),
        raw::plain(c"close", close::<KIND>, ffi::METH_NOARGS, c"close($self, /)\n--\n\n"),
        raw::END,
    ]
}

static METHODS: Table<[[ffi::PyMethodDef; 4]; 2]> =
    Table([methods::<COROUTINE>(), methods::<GENERATOR>()]);

impl<const KIND: u8> Raw for Routine<KIND> {
    const NAME: &'static CStr =
        [c"coati._native.TracedCoroutine", c"coati._native.TracedGenerator"][KIND as usize];
    const DOC: &'static CStr =
        c"Runs the body of a decorated function, its span current while it runs.";

    fn class() -> &'static Class {
        &CLASSES[KIND as usize]
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        let mut slots = vec![
            raw::slot(ffi::Py_tp_methods, (&raw const METHODS.0[KIND as usize]).cast_mut().cast()),
            raw::slot(ffi::Py_tp_iternext, next::<KIND> as *mut c_void),
            raw::slot(ffi::Py_am_send, send::<KIND> as *mut c_void),
            raw::slot(ffi::Py_tp_getattro, attribute::<KIND> as *mut c_void),
        ];
        // A coroutine is no iterator: only its `__await__` is.
        slots.push(match KIND {
            COROUTINE => raw::slot(ffi::Py_am_await, itself as *mut c_void),
            _ => raw::slot(ffi::Py_tp_iter, itself as *mut c_void),
        });
        slots
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        self.0.traverse(visit)
    }

    fn clear(&self) {
        self.0.abandon();
    }
}

/// # Safety
/// `this` is an instance that outlives the result.
#[inline(always)]
unsafe fn of<'a, const KIND: u8>(this: *mut PyObject) -> &'a Driver {
    // SAFETY: by the caller's promise.
    unsafe { &raw::value::<Routine<KIND>>(this).0 }
}

pub unsafe extern "C" fn itself(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_NewRef(this) }
}

unsafe extern "C" fn send<const KIND: u8>(
    this: *mut PyObject,
    value: *mut PyObject,
    result: *mut *mut PyObject,
) -> PySendResult {
    // SAFETY: a method of this class, with a place for the result.
    unsafe {
        of::<KIND>(this).step(
            |inner| ffi::PyIter_Send(inner, value, result),
            |sent| match sent {
                PySendResult::PYGEN_NEXT => Step::Suspended,
                PySendResult::PYGEN_RETURN => Step::Finished,
                PySendResult::PYGEN_ERROR => Step::Failed,
            },
        )
    }
}

unsafe extern "C" fn next<const KIND: u8>(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { send_method::<KIND>(this, ffi::Py_None()) }
}

unsafe extern "C" fn send_method<const KIND: u8>(
    this: *mut PyObject,
    value: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe {
        let mut result = std::ptr::null_mut();
        match send::<KIND>(this, value, &mut result) {
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

/// What a method that gives a value or raises came to.
pub fn judge(given: &*mut PyObject) -> Step {
    // SAFETY: null comes with an exception set.
    unsafe {
        if !given.is_null() {
            Step::Suspended
        } else if ffi::PyErr_ExceptionMatches(ffi::PyExc_StopIteration) != 0 {
            Step::Finished
        } else {
            Step::Failed
        }
    }
}

/// Calls the method `name` of `inner`.
///
/// # Safety
/// Live objects, `count` of them in `args`.
pub unsafe fn call(
    inner: *mut PyObject,
    name: &CStr,
    args: *const *mut PyObject,
    count: isize,
) -> *mut PyObject {
    // SAFETY: by the caller's promise.
    unsafe {
        let method = ffi::PyObject_GetAttrString(inner, name.as_ptr());
        if method.is_null() {
            return method;
        }
        let result = ffi::PyObject_Vectorcall(method, args, count as usize, std::ptr::null_mut());
        ffi::Py_DECREF(method);
        result
    }
}

unsafe extern "C" fn throw<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class, and live arguments.
    unsafe { of::<KIND>(this).step(|inner| call(inner, c"throw", args, count), judge) }
}

unsafe extern "C" fn close<const KIND: u8>(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class. Closing a body that has not begun starts no span.
    unsafe {
        let driver = of::<KIND>(this);
        let close = |inner| call(inner, c"close", std::ptr::null(), 0);
        if driver.is_new() {
            driver.finish();
            return close(driver.inner());
        }
        driver.step(close, |closed| if closed.is_null() { Step::Failed } else { Step::Finished })
    }
}

/// What it has not itself, the body has: its frame, its name, whether it runs.
unsafe extern "C" fn attribute<const KIND: u8>(
    this: *mut PyObject,
    name: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a method of this class, and a name.
    unsafe { attribute_of(this, name, of::<KIND>(this).inner()) }
}

/// # Safety
/// Live objects; `inner` may be null.
pub unsafe fn attribute_of(
    this: *mut PyObject,
    name: *mut PyObject,
    inner: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: by the caller's promise.
    unsafe {
        let own = ffi::PyObject_GenericGetAttr(this, name);
        let missing = own.is_null()
            && !inner.is_null()
            && ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) != 0;
        if !missing {
            return own;
        }
        ffi::PyErr_Clear();
        ffi::PyObject_GetAttr(inner, name)
    }
}
