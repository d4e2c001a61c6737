//! What drives a coroutine or generator whose span is current only while it runs.

use std::cell::Cell;
use std::ffi::c_int;

use pyo3::exceptions::PyBaseException;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::function::Traced;
use crate::current::{Current, Entry};
use crate::exception::Kept;
use crate::raw;
use crate::span::Span;

/// A running body, its span, and what was current in it when it was last suspended.
pub struct Driver {
    inner: Cell<*mut PyObject>,
    traced: *mut PyObject,
    span: Cell<*mut PyObject>,
    current: Cell<*mut PyObject>,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Running,
    Suspended,
    Done,
}

/// What a step came to.
#[derive(Clone, Copy, PartialEq)]
pub enum Step {
    /// It goes on later.
    Suspended,
    /// It is over; a `StopIteration` or the like may be set.
    Finished,
    /// It is over with the exception that is set.
    Failed,
}

impl Driver {
    /// Takes over the reference to `inner`, which calling `traced` gave.
    pub fn new(traced: *mut PyObject, inner: *mut PyObject) -> Self {
        Self {
            inner: Cell::new(inner),
            // SAFETY: a live object.
            traced: unsafe { ffi::Py_NewRef(traced) },
            span: Cell::new(std::ptr::null_mut()),
            current: Cell::new(std::ptr::null_mut()),
            state: Cell::new(State::New),
        }
    }

    /// The body, borrowed; null while it is being taken apart.
    pub fn inner(&self) -> *mut PyObject {
        self.inner.get()
    }

    /// Runs one step of the body with its span current.
    #[inline(always)]
    pub fn step<R>(
        &self,
        run: impl FnOnce(*mut PyObject) -> R,
        judge: impl FnOnce(&R) -> Step,
    ) -> R {
        match self.state.get() {
            State::Running | State::Done => return run(self.inner.get()),
            State::New => {
                // SAFETY: a live instance.
                let span = unsafe { raw::value::<Traced>(self.traced) }.start();
                if span.is_null() {
                    // SAFETY: memory is short, which the body will find out for itself.
                    unsafe { ffi::PyErr_Clear() };
                    return run(self.inner.get());
                }
                self.span.set(span);
                // SAFETY: a live object.
                self.current.set(unsafe { ffi::Py_NewRef(span) });
            }
            State::Suspended => {}
        }
        let resumed = self.current.replace(std::ptr::null_mut());
        let before = Current::get();
        let entry = if resumed.is_null() { None } else { Entry::enter(resumed, before) };
        self.state.set(State::Running);
        let result = run(self.inner.get());
        match judge(&result) {
            Step::Suspended => {
                self.state.set(State::Suspended);
                self.current.set(Current::get().into_object());
                if let Some(entry) = entry {
                    entry.restore();
                }
            }
            Step::Finished => {
                self.state.set(State::Done);
                // SAFETY: an error that is set is kept over what follows.
                let error = unsafe { Kept::new() };
                if let Some(entry) = entry {
                    entry.restore();
                }
                self.span().end(None);
                drop(error);
            }
            Step::Failed => {
                self.state.set(State::Done);
                fail(self.span.get(), || {
                    if let Some(entry) = entry {
                        entry.restore();
                    }
                });
            }
        }
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(resumed) };
        result
    }

    /// Whether it has not begun.
    pub fn is_new(&self) -> bool {
        self.state.get() == State::New
    }

    /// No span begins any more.
    pub fn finish(&self) {
        self.state.set(State::Done);
    }

    fn span(&self) -> &Span {
        // SAFETY: set before the first step and held until the end.
        unsafe { raw::value::<Span>(self.span.get()) }
    }

    /// Visits what it holds.
    pub fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        for held in [self.inner.get(), self.traced, self.span.get(), self.current.get()] {
            match visit(held) {
                0 => {}
                stop => return stop,
            }
        }
        0
    }

    /// Lets go of a body that nobody will resume: what it does on its way out happens with its
    /// span current, and ends it.
    pub fn abandon(&self) {
        // SAFETY: an error that is set is kept over what follows; our references.
        unsafe {
            let error = Kept::new();
            let resumed = self.current.replace(std::ptr::null_mut());
            let inner = self.inner.replace(std::ptr::null_mut());
            if self.state.replace(State::Done) == State::Suspended && !inner.is_null() {
                let before = Current::get();
                let entry = if resumed.is_null() { None } else { Entry::enter(resumed, before) };
                ffi::Py_DECREF(inner);
                if let Some(entry) = entry {
                    entry.restore();
                }
                self.span().abandon();
            } else {
                ffi::Py_XDECREF(inner);
            }
            ffi::Py_XDECREF(resumed);
            drop(error);
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.abandon();
        // SAFETY: our references.
        unsafe {
            ffi::Py_XDECREF(self.span.get());
            ffi::Py_DECREF(self.traced);
        }
    }
}

/// Ends `span` with the exception that is set, which stays set. `leave` makes current what was so
/// before.
#[cold]
pub fn fail(span: *mut PyObject, leave: impl FnOnce()) {
    // SAFETY: called with the interpreter attached, a live span and an exception set.
    let (py, span) = unsafe { (Python::assume_attached(), raw::value::<Span>(span)) };
    let error = PyErr::take(py);
    leave();
    let told = match &error {
        Some(error) => span.fail(error.value(py).cast::<PyBaseException>().expect("an exception")),
        None => Ok(()),
    };
    span.end(None);
    if let Some(error) = told.err().or(error) {
        error.restore(py);
    }
}
