//! What `start_as_current_span` gives: a span that starts when the statement is entered, and a
//! decorator.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::tracer::{Given, Tracer, is_on};
use super::view::{self, View};
use crate::gil::Guarded;
use crate::raw::{self, Class, Raw, Spare, Table};
use crate::span;

/// The parameters of `start_as_current_span`.
pub const PARAMETERS: [&str; 9] = [
    "name",
    "context",
    "kind",
    "attributes",
    "links",
    "start_time",
    "record_exception",
    "set_status_on_exception",
    "end_on_exit",
];

/// The context manager.
pub struct Entered {
    /// A strong reference.
    tracer: *mut PyObject,
    /// The arguments, null where they were not given. Strong references.
    given: [*mut PyObject; PARAMETERS.len()],
    /// What is open, if anything is.
    open: Cell<Open>,
    /// What was open when it was entered once more.
    outer: Guarded<Vec<Open>>,
}

/// A span that is current. Strong references.
#[derive(Clone, Copy)]
struct Open {
    /// Null for none.
    span: *mut PyObject,
    /// Null where the span is current without the API's help.
    token: *mut PyObject,
}

const NONE: Open = Open { span: std::ptr::null_mut(), token: std::ptr::null_mut() };

impl Open {
    /// # Safety
    /// Gives the references up.
    unsafe fn forget(self) {
        // SAFETY: our references.
        unsafe {
            ffi::Py_XDECREF(self.span);
            ffi::Py_XDECREF(self.token);
        }
    }
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Entered {}
// SAFETY: as above.
unsafe impl Send for Open {}

static CLASS: Class = Class::new();
static UNUSED: Spare = Spare::new();

static METHODS: Table<[ffi::PyMethodDef; 2]> = Table([
    raw::plain(
        c"_again",
        again,
        ffi::METH_NOARGS,
        c"_again($self, /)\n--\n\nThe same once more, for another call of a decorated function.",
    ),
    raw::END,
]);

impl Raw for Entered {
    const NAME: &'static CStr = c"coati.otel.StartedSpan";
    const DOC: &'static CStr = c"A span that is current inside a `with` statement.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn spare() -> Option<&'static Spare> {
        Some(&UNUSED)
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_call, decorate as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let open = self.open.get();
        for held in [self.tracer, open.span, open.token].into_iter().chain(self.given) {
            match visit(held) {
                0 => {}
                stop => return stop,
            }
        }
        for open in self.outer.borrow().iter().flat_map(|outer| outer.iter()) {
            match visit(open.span) {
                0 => {}
                stop => return stop,
            }
        }
        0
    }

    fn clear(&self) {
        // SAFETY: our references.
        unsafe { self.open.replace(NONE).forget() };
        while let Some(open) = self.outer.borrow().and_then(|mut outer| outer.pop()) {
            // SAFETY: our references.
            unsafe { open.forget() };
        }
    }
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        self.clear();
        // SAFETY: our references.
        unsafe {
            for given in self.given {
                ffi::Py_XDECREF(given);
            }
            ffi::Py_DECREF(self.tracer);
        }
    }
}

impl Entered {
    /// What these arguments of `tracer` start, which are borrowed.
    #[inline(always)]
    pub fn object(
        tracer: *mut PyObject,
        given: &[*mut PyObject; PARAMETERS.len()],
    ) -> *mut PyObject {
        // SAFETY: live objects, or null.
        raw::new_with(|| unsafe {
            Self {
                tracer: ffi::Py_NewRef(tracer),
                given: given.map(|given| ffi::Py_XNewRef(given)),
                open: Cell::new(NONE),
                outer: Guarded::new(Vec::new()),
            }
        })
    }

    #[inline(always)]
    fn start<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, bool)> {
        // SAFETY: a tracer and arguments that `self` keeps; a new reference, or null with an error
        // set.
        unsafe {
            let given = Given::of(&self.given);
            let (span, own) = raw::value::<Tracer>(self.tracer).start(py, self.tracer, &given)?;
            Ok((Bound::from_owned_ptr_or_err(py, span)?, own))
        }
    }
}

/// # Safety
/// `this` is an instance that outlives the result.
#[inline(always)]
unsafe fn of<'a>(this: *mut PyObject) -> &'a Entered {
    // SAFETY: by the caller's promise.
    unsafe { raw::value::<Entered>(this) }
}

/// Makes a span current by the API's means.
#[cold]
#[inline(never)]
fn attach<'py>(py: Python<'py>, span: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let context = py.import("opentelemetry.trace")?.call_method1("set_span_in_context", (span,))?;
    py.import("opentelemetry.context")?.call_method1("attach", (context,))
}

pub unsafe extern "C" fn enter(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class; the class of the span is checked.
        unsafe {
            let entered = of(this);
            let (span, own) = entered.start(py)?;
            if own || raw::is::<View>(span.as_ptr()) {
                span::enter(raw::value::<View>(span.as_ptr()).raw_span());
            }
            let mut open = Open { span: span.as_ptr(), token: std::ptr::null_mut() };
            if !own {
                open.token = attach(py, &span)?.into_ptr();
            }
            ffi::Py_INCREF(open.span);
            let outer = entered.open.replace(open);
            if !outer.span.is_null()
                && let Some(mut all) = entered.outer.borrow()
            {
                all.push(outer);
            }
            Ok(span.into_ptr())
        }
    })
}

pub unsafe extern "C" fn exit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and live arguments; the references are taken over.
        unsafe {
            let entered = of(this);
            let outer = match entered.outer.borrow() {
                Some(mut outer) if !outer.is_empty() => outer.pop(),
                _ => None,
            };
            let open = entered.open.replace(outer.unwrap_or(NONE));
            let Some(span) = Bound::from_owned_ptr_or_opt(py, open.span) else {
                return Ok(raw::none());
            };
            let failed = if count < 2 { ffi::Py_None() } else { *args.add(1) };
            let ends = is_on(entered.given[8]);
            if !open.token.is_null() {
                let token = Bound::from_owned_ptr(py, open.token);
                py.import("opentelemetry.context")?.call_method1("detach", (token,))?;
            }
            if !raw::is::<View>(span.as_ptr()) {
                let exception = Bound::from_borrowed_ptr(py, failed);
                let given = Given::of(&entered.given);
                let flags = (is_on(given.record_exception), is_on(given.set_status));
                let left = py.import("coati.otel._observed")?.getattr("left")?;
                left.call1((span, exception, flags.0, flags.1, ends))?;
                return Ok(raw::none());
            }
            let view = raw::value::<View>(span.as_ptr());
            span::leave(view.raw_span());
            let failed = match failed == ffi::Py_None() {
                true => Ok(()),
                false => {
                    let exception = Bound::from_borrowed_ptr(py, failed);
                    view::fail(py, view.native(), &exception, view.flags())
                }
            };
            if ends {
                view::finish(py, span.as_ptr());
            }
            failed?;
            Ok(raw::none())
        }
    })
}

unsafe extern "C" fn again(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    let entered = unsafe { of(this) };
    Entered::object(entered.tracer, &entered.given)
}

unsafe extern "C" fn decorate(
    this: *mut PyObject,
    args: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a tuple, as the interpreter passes.
        let (this, args) =
            unsafe { (Bound::from_borrowed_ptr(py, this), Bound::from_borrowed_ptr(py, args)) };
        let function = args.get_item(0)?;
        let decorate = py.import("coati.otel._decorate")?.getattr("decorate")?;
        Ok(decorate.call1((this.getattr("_again")?, function))?.into_ptr())
    })
}
