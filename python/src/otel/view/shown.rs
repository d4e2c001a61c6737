//! What a span shows of itself.

use std::ffi::c_void;

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::{View, values};
use crate::current::Node;
use crate::otel::api::api;
use crate::otel::ids;
use crate::raw::{self, Table};
use crate::text;

/// Besides the context nothing of this is the API's. Programs that have a span of the SDK's ask for
/// it, and instrumentations of servers take the kind for granted.
pub static ATTRIBUTES: Table<[ffi::PyGetSetDef; 10]> = Table([
    raw::getter(c"context", span_context, c"Its ids, as they cross process boundaries."),
    raw::getter(c"name", name, c"The name, None once it has ended."),
    raw::getter(c"kind", kind, c"What it stands for."),
    raw::getter(c"parent", parent, c"The ids of its parent, None for a root."),
    raw::getter(c"status", status, c"How it went; why not once it has ended."),
    raw::getter(c"attributes", attributes, c"A copy of the attributes, empty once it has ended."),
    raw::getter(c"_attributes", attributes, c"The same, where some look for them."),
    raw::getter(c"_coati_span", itself, c"Itself, for who finds a proxy in its place."),
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

unsafe extern "C" fn itself(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_NewRef(this) }
}

unsafe extern "C" fn name(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    let native = unsafe { of(this) }.native();
    let name = native.with_core(|core| core.body().map(|body| body.name().to_owned()));
    name.flatten().map_or_else(raw::none, |name| text::string(&name))
}

unsafe extern "C" fn kind(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let kind = unsafe { of(this) }.native().with_core(|core| core.kind());
        let kind = kind.unwrap_or_default() as usize;
        Ok(api(py)?.kinds[kind].clone_ref(py).into_ptr())
    })
}

unsafe extern "C" fn parent(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let native = unsafe { of(this) }.native();
        let Some(parent) = native.with_core(|core| core.parent()).flatten() else {
            return Ok(raw::none());
        };
        let node = Node::new(parent, native.node().state.clone());
        ids::of_node(py, &node).map(Py::into_ptr)
    })
}

unsafe extern "C" fn status(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let native = unsafe { of(this) }.native();
        let told = native.with_core(|core| {
            let status = core.status();
            (status, core.body().map(|body| body.description().to_owned()))
        });
        let (status, why) = told.unwrap_or_default();
        let code = api(py)?.statuses[status as usize].clone_ref(py);
        let why = why.filter(|why| !why.is_empty());
        let class = py.import("opentelemetry.trace")?.getattr("Status")?;
        Ok(class.call1((code, why))?.into_ptr())
    })
}

unsafe extern "C" fn attributes(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let native = unsafe { of(this) }.native();
        let pairs = native.with_core(|core| core.body().map(|body| values::attributes(body)));
        Ok(values::dict(py, &pairs.flatten().unwrap_or_default())?.into_any().into_ptr())
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
