//! What a span shows of itself.

use std::ffi::c_void;

use pyo3::ffi;
use pyo3::ffi::PyObject;

use super::View;
use crate::otel::ids;
use crate::raw::{self, Table};
use crate::text;

pub static ATTRIBUTES: Table<[ffi::PyGetSetDef; 3]> = Table([
    raw::getter(c"context", span_context, c"Its ids, as they cross process boundaries."),
    raw::getter(c"instrumentation_scope", scope, c"The scope of the tracer that started it."),
    raw::NO_MORE,
]);

/// # Safety
/// `this` is a view that outlives the result.
#[inline(always)]
unsafe fn of<'a>(this: *mut PyObject) -> &'a View {
    // SAFETY: by the caller's promise.
    unsafe { raw::value::<View>(this) }
}

pub unsafe extern "C" fn span_context(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let view = unsafe { of(this) };
        if view.context.get().is_null() {
            view.context.set(ids::of_node(py, view.native().node())?.into_ptr());
        }
        // SAFETY: a live object.
        Ok(unsafe { ffi::Py_NewRef(view.context.get()) })
    })
}

unsafe extern "C" fn scope(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: an attribute of this class.
        let Some(tracer) = unsafe { of(this) }.tracer() else { return Ok(raw::none()) };
        // SAFETY: a live object.
        Ok(unsafe { ffi::Py_NewRef(tracer.scope()) })
    })
}

pub unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    let context = unsafe { of(this) }.native().node().context;
    text::string(&format!("<coati.otel.Span {}-{}>", context.trace_id, context.span_id))
}
