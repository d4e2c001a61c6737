//! An iterator that tells its stream what it gives.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::{End, Stream};
use crate::exception::Kept;
use crate::raw::{self, Class, Raw, Table};
use crate::trace::{attribute_of, call};

/// What both kinds of iterators hold.
pub struct Wrapped {
    /// Strong references.
    pub inner: Cell<*mut PyObject>,
    stream: *mut PyObject,
    /// It has ended, or its stream has been told so.
    done: Cell<bool>,
    /// The collector has broken it up.
    broken: Cell<bool>,
}

impl Wrapped {
    /// Takes over the reference to `inner`.
    pub fn new(stream: *mut PyObject, inner: *mut PyObject) -> Self {
        // SAFETY: an instance, by whose method this is called.
        let of = unsafe { raw::value::<Stream>(stream) };
        of.wrapped.set(true);
        of.live.set(of.live.get() + 1);
        Self {
            inner: Cell::new(inner),
            // SAFETY: a live object.
            stream: unsafe { ffi::Py_NewRef(stream) },
            done: Cell::new(false),
            broken: Cell::new(false),
        }
    }

    pub fn stream(&self) -> &Stream {
        // SAFETY: held as long as this.
        unsafe { raw::value::<Stream>(self.stream) }
    }

    /// Runs a step of the iterator, its span current, and tells the stream what came of it.
    #[inline(always)]
    pub fn step(
        &self,
        py: Python<'_>,
        at_end: &[*mut PyObject],
        run: impl FnOnce(*mut PyObject) -> *mut PyObject,
    ) -> *mut PyObject {
        let stream = self.stream();
        let entry = stream.enter_step();
        let chunk = run(self.inner.get());
        if entry.is_none() && !chunk.is_null() {
            return self.took(py, chunk);
        }
        {
            // SAFETY: an error that is set is kept over what follows.
            let error = unsafe { Kept::new() };
            if let Some(entry) = entry {
                entry.restore();
            }
            drop(error);
        }
        if chunk.is_null() { self.failed(py, at_end) } else { self.took(py, chunk) }
    }

    /// The chunk, once the stream has heard of it.
    #[inline(always)]
    pub fn took(&self, py: Python<'_>, chunk: *mut PyObject) -> *mut PyObject {
        if !self.done.get()
            && let Err(error) = self.stream().take(py, chunk)
        {
            // SAFETY: our reference.
            unsafe { ffi::Py_DECREF(chunk) };
            error.restore(py);
            return std::ptr::null_mut();
        }
        chunk
    }

    /// The iterator is at its end or has raised what is set.
    pub fn failed(&self, py: Python<'_>, at_end: &[*mut PyObject]) -> *mut PyObject {
        if !self.done.replace(true) {
            self.stream().judge(py, at_end);
        }
        std::ptr::null_mut()
    }

    /// Somebody closes it.
    pub fn close(&self) {
        if !self.done.replace(true) {
            self.stream().over(End::Closed, None);
        }
    }

    pub unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match visit(self.stream) {
            0 => visit(self.inner.get()),
            stop => stop,
        }
    }

    pub fn clear(&self) {
        self.broken.set(true);
        self.let_go();
    }

    /// Nobody will ask for more: what is inside goes first, its span still current where it is.
    pub fn let_go(&self) {
        // SAFETY: our reference; an error that is set is kept over what follows.
        unsafe {
            let error = Kept::new();
            let inner = self.inner.replace(std::ptr::null_mut());
            let entry = if inner.is_null() { None } else { self.stream().enter_step() };
            ffi::Py_XDECREF(inner);
            if let Some(entry) = entry {
                entry.restore();
            }
            if !self.done.replace(true) {
                let inside = self.stream().depth.get() > 0 && !self.broken.get();
                self.stream().over(if inside { End::LetGo } else { End::Collected }, None);
            }
            drop(error);
        }
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        self.let_go();
        // SAFETY: our reference.
        unsafe { ffi::Py_DECREF(self.stream) };
    }
}

/// A wrapped iterator.
pub struct Iterator(pub Wrapped);

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Iterator {}

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 6]> = Table([
    raw::plain(c"send", send, ffi::METH_O, c"send($self, value, /)\n--\n\n"),
    raw::fast(c"throw", throw, c"throw($self, type, value=None, traceback=None, /)\n--\n\n"),
    raw::plain(c"close", close, ffi::METH_NOARGS, c"close($self, /)\n--\n\n"),
    raw::plain(c"__enter__", enter, ffi::METH_NOARGS, c"__enter__($self, /)\n--\n\n"),
    raw::fast(c"__exit__", exit, c"__exit__($self, /, *exc_info)\n--\n\n"),
    raw::END,
]);

impl Raw for Iterator {
    const NAME: &'static CStr = c"coati._native.StreamIterator";
    const DOC: &'static CStr = c"An iterator that tells its stream span what it gives.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_iter, itself as *mut c_void),
            raw::slot(ffi::Py_tp_iternext, next as *mut c_void),
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
/// `this` is an [`Iterator`] that outlives the result.
unsafe fn of<'a>(this: *mut PyObject) -> &'a Wrapped {
    // SAFETY: by the caller's promise.
    unsafe { &raw::value::<Iterator>(this).0 }
}

pub unsafe extern "C" fn itself(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_NewRef(this) }
}

unsafe extern "C" fn enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_NewRef(this) }
}

unsafe extern "C" fn next(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class; `inner` came from `PyObject_GetIter`, so that its class has
    // the slot.
    unsafe {
        let py = Python::assume_attached();
        of(this).step(py, &[ffi::PyExc_StopIteration], |inner| match inner.is_null() {
            true => std::ptr::null_mut(),
            false => (*ffi::Py_TYPE(inner)).tp_iternext.map_or(std::ptr::null_mut(), |f| f(inner)),
        })
    }
}

unsafe extern "C" fn send(this: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class, and a live argument.
    unsafe {
        let py = Python::assume_attached();
        let run = |inner| call(inner, c"send", &value, 1);
        of(this).step(py, &[ffi::PyExc_StopIteration], run)
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
        let run = |inner| call(inner, c"throw", args, count);
        of(this).step(py, &[ffi::PyExc_StopIteration], run)
    }
}

/// Closes what is inside, where it can be.
unsafe extern "C" fn close(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe {
        let wrapped = of(this);
        let inner = wrapped.inner.get();
        let can_close =
            !inner.is_null() && ffi::PyObject_HasAttrString(inner, c"close".as_ptr()) != 0;
        let entry = wrapped.stream().enter_step();
        let closed = match can_close {
            true => call(inner, c"close", std::ptr::null(), 0),
            false => raw::none(),
        };
        let error = Kept::new();
        if let Some(entry) = entry {
            entry.restore();
        }
        wrapped.close();
        drop(error);
        closed
    }
}

unsafe extern "C" fn exit(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as for this method.
    unsafe {
        let closed = close(this, std::ptr::null_mut());
        if closed.is_null() {
            return closed;
        }
        ffi::Py_DECREF(closed);
        raw::none()
    }
}

unsafe extern "C" fn attribute(this: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class, and a name.
    unsafe { attribute_of(this, name, of(this).inner.get()) }
}
