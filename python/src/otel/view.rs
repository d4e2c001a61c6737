//! A span as the API has it: one of ours, seen through the API's methods.

mod methods;
mod shown;
mod values;

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::tracer::Tracer;
use crate::raw::{self, Class, Object, Raw, Spare, Table};
use crate::span::Span;

pub use methods::{enter, exit, fail, finish, link};

/// The view of a span. All that it knows beyond the span is what its starter said of exceptions.
pub struct View {
    /// A strong reference to the span, which knows of the view as long as that lives.
    span: *mut PyObject,
    /// The tracer that started it, null for a span of coati's own. A strong reference.
    tracer: *mut PyObject,
    /// The API's span context, once it has been asked for.
    context: Cell<*mut PyObject>,
    /// What programs put there, which some do.
    dict: Cell<*mut PyObject>,
    weak: Cell<*mut PyObject>,
    flags: Flags,
}

/// What happens when an exception leaves a `with` statement over a span.
#[derive(Clone, Copy)]
pub struct Flags {
    pub record_exception: bool,
    pub set_status: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { record_exception: true, set_status: true }
    }
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for View {}

static CLASS: Class = Class::new();
static UNUSED: Spare = Spare::new();

const fn member(name: &'static CStr, offset: usize) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: (offset_of!(Object<View>, value) + offset) as isize,
        flags: ffi::Py_READONLY,
        doc: std::ptr::null(),
    }
}

static MEMBERS: Table<[ffi::PyMemberDef; 3]> = Table([
    member(c"__dictoffset__", offset_of!(View, dict)),
    member(c"__weaklistoffset__", offset_of!(View, weak)),
    ffi::PyMemberDef {
        name: std::ptr::null(),
        type_code: 0,
        offset: 0,
        flags: 0,
        doc: std::ptr::null(),
    },
]);

impl Raw for View {
    const NAME: &'static CStr = c"coati.otel.Span";
    const DOC: &'static CStr =
        c"A span as OpenTelemetry's API has it. A `with` statement over it ends it.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn spare() -> Option<&'static Spare> {
        Some(&UNUSED)
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, methods::METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, shown::ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_members, MEMBERS.pointer()),
            raw::slot(ffi::Py_tp_repr, shown::repr as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        for held in [self.span, self.tracer, self.dict.get()] {
            match visit(held) {
                0 => {}
                stop => return stop,
            }
        }
        0
    }

    fn clear(&self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.dict.replace(std::ptr::null_mut())) };
    }

    unsafe fn finalize(this: *mut PyObject) {
        // SAFETY: an instance; weak references to it end here.
        unsafe {
            let view = raw::value::<Self>(this);
            let place = view.native().view();
            if place.get() == this {
                place.set(std::ptr::null_mut());
            }
            if !view.weak.get().is_null() {
                ffi::PyObject_ClearWeakRefs(this);
            }
        }
    }
}

impl View {
    /// The view of a span that has just been started, whose reference is taken over; null with an
    /// error set where there is none or memory is short.
    #[inline(always)]
    pub fn object(span: *mut PyObject, tracer: *mut PyObject, flags: Flags) -> *mut PyObject {
        if span.is_null() {
            return span;
        }
        let null = || Cell::new(std::ptr::null_mut());
        // SAFETY: a live object or null.
        let tracer = unsafe { ffi::Py_XNewRef(tracer) };
        let view = raw::new_with(|| Self {
            span,
            tracer,
            context: null(),
            dict: null(),
            weak: null(),
            flags,
        });
        // SAFETY: a span, which the view keeps.
        unsafe { raw::value::<Span>(span) }.view().set(view);
        view
    }

    /// The span.
    #[inline(always)]
    pub fn native(&self) -> &Span {
        // SAFETY: a span, which `self` keeps.
        unsafe { raw::value::<Span>(self.span) }
    }

    /// What becomes of an exception.
    #[inline(always)]
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// The span as an object, borrowed.
    #[inline(always)]
    pub fn raw_span(&self) -> *mut PyObject {
        self.span
    }

    /// The span as an object.
    pub fn span<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        // SAFETY: a live object.
        unsafe { Bound::from_borrowed_ptr(py, self.span) }
    }

    fn tracer(&self) -> Option<&Tracer> {
        // SAFETY: a tracer, which `self` keeps, or null.
        (!self.tracer.is_null()).then(|| unsafe { raw::value::<Tracer>(self.tracer) })
    }
}

impl Drop for View {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: our references.
        unsafe {
            ffi::Py_XDECREF(self.context.get());
            ffi::Py_XDECREF(self.dict.get());
            ffi::Py_XDECREF(self.tracer);
            ffi::Py_DECREF(self.span);
        }
    }
}

/// The view of a span whose reference is taken over; null with an error set where there is none.
///
/// # Safety
/// `span` is a [`Span`].
pub unsafe fn of_owned(py: Python<'_>, span: *mut PyObject) -> *mut PyObject {
    // SAFETY: by the caller's promise; our reference.
    unsafe {
        let view = of(py, span);
        ffi::Py_DECREF(span);
        view.map_or_else(
            |error| {
                error.restore(py);
                std::ptr::null_mut()
            },
            Bound::into_ptr,
        )
    }
}

/// The view of a span: the one that there is, or a new one.
///
/// # Safety
/// `span` is a [`Span`].
pub unsafe fn of(py: Python<'_>, span: *mut PyObject) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: by the caller's promise; the view that a span knows is alive.
    unsafe {
        let known = raw::value::<Span>(span).view().get();
        let view = match known.is_null() {
            true => View::object(ffi::Py_NewRef(span), std::ptr::null_mut(), Flags::default()),
            false => ffi::Py_NewRef(known),
        };
        Bound::from_owned_ptr_or_err(py, view)
    }
}
