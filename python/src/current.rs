//! The one context variable. Its value is a [`Node`]: the current span and the context's fields.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use coati_core::propagate::{Baggage, TraceState};
use coati_core::span::SpanContext;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::fields::Layer;
use crate::raw;
use crate::scope::Scope;
use crate::span::Span;

static VARIABLE: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// Makes the variable.
pub fn make(py: Python<'_>) -> PyResult<()> {
    // SAFETY: a static name and no default.
    let variable = unsafe { ffi::PyContextVar_New(c"coati".as_ptr(), std::ptr::null_mut()) };
    if variable.is_null() {
        return Err(PyErr::fetch(py));
    }
    VARIABLE.store(variable, Ordering::Relaxed);
    Ok(())
}

#[inline(always)]
fn variable() -> *mut PyObject {
    VARIABLE.load(Ordering::Relaxed)
}

/// What is current: part of a [`Span`] that is entered, or of a [`Scope`].
pub struct Node {
    /// The span's ids, zero outside any.
    pub context: SpanContext,
    /// Fields for every log line.
    pub fields: OnceCell<Arc<Layer>>,
    /// The W3C `tracestate` that came with the trace.
    pub state: Option<Arc<TraceState>>,
    /// What is passed on to whom the program calls.
    pub baggage: OnceCell<Arc<Baggage>>,
    /// What was current before, once this was left while something later still is current.
    left: Cell<*mut PyObject>,
    /// The [`Scope`] of the OpenTelemetry context inside which this is current; null outside any.
    around: Cell<*mut PyObject>,
}

impl Node {
    /// A node without fields.
    #[inline(always)]
    pub fn new(context: SpanContext, state: Option<Arc<TraceState>>) -> Self {
        let (fields, baggage) = (OnceCell::new(), OnceCell::new());
        let (left, around) = (Cell::new(std::ptr::null_mut()), Cell::new(std::ptr::null_mut()));
        Self { context, fields, state, baggage, left, around }
    }

    /// Forgets what was before; for the collector and when the node goes.
    pub fn forget_left(&self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.left.replace(std::ptr::null_mut())) };
    }

    /// The scope of the OpenTelemetry context around it, borrowed; null outside any.
    #[inline(always)]
    pub fn around(&self) -> *mut PyObject {
        self.around.get()
    }

    /// Is inside the OpenTelemetry context that `current` is inside of, or is.
    #[inline(always)]
    pub fn stay_inside(&self, current: &Current) {
        let scope = current.around();
        if !scope.is_null() || !self.around.get().is_null() {
            // SAFETY: a live object or null, and our reference.
            unsafe { ffi::Py_XDECREF(self.around.replace(ffi::Py_XNewRef(scope))) };
        }
    }

    /// Is inside no OpenTelemetry context any more; for the collector and when the node goes.
    pub fn forget_around(&self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.around.replace(std::ptr::null_mut())) };
    }

    /// Visits the objects it holds.
    pub fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> std::ffi::c_int) -> i32 {
        match visit(self.left.get()) {
            0 => visit(self.around.get()),
            stop => stop,
        }
    }

    /// The fields.
    #[inline(always)]
    pub fn fields(&self) -> Option<&Layer> {
        self.fields.get().map(|fields| &**fields)
    }
}

/// A strong reference to the variable's value, where it is one of ours.
pub struct Current(*mut PyObject);

impl Current {
    /// What is current in the calling thread or task.
    #[inline(always)]
    pub fn get() -> Self {
        let mut value = std::ptr::null_mut();
        // SAFETY: a live variable; an error cannot come of one without a default.
        unsafe { ffi::PyContextVar_Get(variable(), std::ptr::null_mut(), &mut value) };
        Self(value)
    }

    /// Takes over a reference that was [`Current::into_object`], perhaps null.
    pub fn of(object: *mut PyObject) -> Self {
        Self(object)
    }

    /// The node, if there is one.
    #[inline(always)]
    pub fn node(&self) -> Option<&Node> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: a live object, which the reference keeps.
        unsafe { node(self.0) }
    }

    /// The scope of the OpenTelemetry context that it is or is inside of, borrowed; else null.
    #[inline(always)]
    pub fn around(&self) -> *mut PyObject {
        let Some(node) = self.node() else { return std::ptr::null_mut() };
        // SAFETY: a live object whose class is checked.
        unsafe {
            let own = raw::is::<Scope>(self.0) && !raw::value::<Scope>(self.0).context().is_null();
            if own { self.0 } else { node.around() }
        }
    }

    /// The object, borrowed; null where there is none.
    pub fn object(&self) -> *mut PyObject {
        self.0
    }

    /// The object, with its reference.
    pub fn into_object(self) -> *mut PyObject {
        let object = self.0;
        std::mem::forget(self);
        object
    }
}

impl Drop for Current {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.0) };
    }
}

/// Whether what is current was put over `object` to last as long as it.
#[cold]
fn is_over(current: &Current, object: *mut PyObject) -> bool {
    let over = current.object();
    // SAFETY: a live object whose class is checked.
    !over.is_null()
        && unsafe { raw::is::<Scope>(over) && raw::value::<Scope>(over).is_over(object) }
}

/// # Safety
/// `object` is a live object that outlives the result.
#[inline(always)]
unsafe fn node<'a>(object: *mut PyObject) -> Option<&'a Node> {
    // SAFETY: the types are checked.
    unsafe {
        if raw::is::<Span>(object) {
            Some(raw::value::<Span>(object).node())
        } else if raw::is::<Scope>(object) {
            Some(&raw::value::<Scope>(object).node)
        } else {
            None
        }
    }
}

/// How something became current: what was so before, and the variable's token.
#[derive(Debug)]
pub struct Entry {
    before: *mut PyObject,
    token: *mut PyObject,
}

impl Entry {
    /// Makes `object` current. Where that fails nothing changes.
    #[inline(always)]
    pub fn enter(object: *mut PyObject, before: Current) -> Option<Self> {
        // SAFETY: live objects.
        let token = unsafe { ffi::PyContextVar_Set(variable(), object) };
        if token.is_null() {
            // SAFETY: an error is set.
            unsafe { ffi::PyErr_Clear() };
            return None;
        }
        Some(Self { before: before.into_object(), token })
    }

    /// Makes current what was so before `object` was entered. Where something later is current,
    /// `object` is passed over when that is left; where the variable is another thread's or task's,
    /// nothing happens there.
    #[inline(always)]
    pub fn leave(self, object: *mut PyObject) {
        let current = Current::get();
        // SAFETY: live objects: the entry and `current` hold them.
        unsafe {
            if current.object() != object && !is_over(&current, object) {
                if let Some(node) = node(object) {
                    let before = if self.before.is_null() { ffi::Py_None() } else { self.before };
                    ffi::Py_XDECREF(node.left.replace(ffi::Py_NewRef(before)));
                }
                return;
            }
        }
        self.restore();
    }

    /// Makes current what was so before `object` was entered, although something later may be
    /// current, which finds its way past `object` when it is left. `false` where `object` was entered
    /// in another context of the interpreter's: there nothing changes.
    pub fn detach(self, object: *mut PyObject) -> bool {
        let is_current = Current::get().object() == object;
        // SAFETY: live objects, held by the entry.
        unsafe {
            let ours = ffi::PyContextVar_Reset(variable(), self.token) == 0;
            if !ours {
                ffi::PyErr_Clear();
            }
            if if ours { self.is_before_left() } else { is_current } {
                self.leave_otherwise();
            }
            if ours
                && !is_current
                && let Some(node) = node(object)
            {
                let before = if self.before.is_null() { ffi::Py_None() } else { self.before };
                ffi::Py_XDECREF(node.left.replace(ffi::Py_NewRef(before)));
            }
            ours
        }
    }

    /// Makes current what was so before, whatever is current now.
    #[inline(always)]
    pub fn restore(self) {
        // SAFETY: live objects, held by the entry.
        unsafe {
            if self.is_before_left() || ffi::PyContextVar_Reset(variable(), self.token) != 0 {
                self.leave_otherwise();
            }
        }
    }

    /// # Safety
    /// The entry holds live objects.
    #[inline(always)]
    unsafe fn is_before_left(&self) -> bool {
        // SAFETY: by the caller's promise.
        !self.before.is_null()
            && unsafe { node(self.before) }.is_some_and(|before| !before.left.get().is_null())
    }

    /// Without the token: it is of another context, or what was before has been left meanwhile.
    #[cold]
    fn leave_otherwise(&self) {
        // SAFETY: live objects, each kept by the one before it.
        unsafe {
            ffi::PyErr_Clear();
            let mut target = self.before;
            while let Some(left) = (!target.is_null()).then(|| node(target)).flatten() {
                if left.left.get().is_null() {
                    break;
                }
                target = left.left.get();
            }
            let target = if target.is_null() { ffi::Py_None() } else { target };
            let token = ffi::PyContextVar_Set(variable(), target);
            if token.is_null() {
                ffi::PyErr_Clear();
            }
            ffi::Py_XDECREF(token);
        }
    }

    /// Visits what it holds.
    pub fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> std::ffi::c_int) -> i32 {
        match visit(self.before) {
            0 => visit(self.token),
            stop => stop,
        }
    }
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Drop for Entry {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: our references.
        unsafe {
            ffi::Py_XDECREF(self.before);
            ffi::Py_DECREF(self.token);
        }
    }
}

impl Drop for Node {
    #[inline(always)]
    fn drop(&mut self) {
        if !self.left.get().is_null() {
            self.forget_left();
        }
        if !self.around.get().is_null() {
            self.forget_around();
        }
    }
}
