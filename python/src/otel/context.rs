//! The API's contexts, made of what is current, and made current.

use std::sync::Arc;

use coati_core::propagate::Baggage;
use coati_core::span::{Span as Core, SpanContext};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::api::{Api, api, forgive};
use super::{View, ids, view};
use crate::baggage;
use crate::current::{Current, Node};
use crate::raw;
use crate::scope::Scope;
use crate::span::Span;

/// What stands in `dict` under `key`, borrowed; null where nothing does.
///
/// # Safety
/// `dict` is a Python object.
#[inline(always)]
pub unsafe fn item(dict: *mut PyObject, key: &Py<PyAny>) -> *mut PyObject {
    // SAFETY: by the caller's promise; keys are `str`.
    unsafe {
        if ffi::PyDict_Check(dict) == 0 {
            return std::ptr::null_mut();
        }
        let found = ffi::PyDict_GetItemWithError(dict, key.as_ptr());
        if found.is_null() {
            ffi::PyErr_Clear();
        }
        found
    }
}

/// The context of the API that is current. `base` gives the one outside all that is ours.
pub fn current<'py>(
    py: Python<'py>,
    base: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let current = Current::get();
    let around = current.around();
    // SAFETY: a live scope, which what is current keeps.
    let scope = (!around.is_null()).then(|| unsafe { raw::value::<Scope>(around) });
    let below = match scope {
        // SAFETY: a live object.
        Some(scope) => unsafe { Bound::from_borrowed_ptr(py, scope.context()) },
        None => base()?,
    };
    match current.node() {
        Some(node) if around != current.object() => over(py, &current, node, scope, below),
        _ => Ok(below),
    }
}

/// What is current over the context `below`, which is that of `scope` if there is one.
fn over<'py>(
    py: Python<'py>,
    current: &Current,
    node: &Node,
    scope: Option<&Scope>,
    below: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let api = api(py)?;
    let same = |a: Option<&Arc<Baggage>>, b: Option<&Arc<Baggage>>| match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (a, _) => a.is_none(),
    };
    let span = current.span().filter(|span| {
        node.context.is_valid() && scope.is_none_or(|scope| scope.span() != span.as_ptr())
    });
    let baggage = node.baggage.get();
    let baggage =
        baggage.filter(|own| !same(Some(own), scope.and_then(|scope| scope.node.baggage.get())));
    let fields = node.fields.get().filter(|own| {
        let below = scope.and_then(|scope| scope.node.fields.get());
        !below.is_some_and(|below| Arc::ptr_eq(below, own))
    });
    if span.is_none() && baggage.is_none() && fields.is_none() {
        return Ok(below);
    }
    let context = api.context.bind(py).call0()?;
    // SAFETY: the class is one of dicts; its own way of setting items refuses everybody.
    let put = |key: &Py<PyAny>, value: *mut PyObject| unsafe {
        match ffi::PyDict_SetItem(context.as_ptr(), key.as_ptr(), value) {
            0 => Ok(()),
            _ => Err(PyErr::fetch(py)),
        }
    };
    // SAFETY: as above.
    if unsafe { ffi::PyDict_Update(context.as_ptr(), below.as_ptr()) } != 0 {
        return Err(PyErr::fetch(py));
    }
    if let Some(span) = span {
        // SAFETY: a live span; the reference is ours.
        let view = unsafe { view::of(py, span.as_ptr()) }?;
        put(&api.span_key, view.as_ptr())?;
    }
    if let Some(baggage) = baggage {
        put(&api.baggage_key, baggage::dict(py, Some(baggage))?.as_ptr())?;
    }
    if fields.is_some() {
        put(&api.fields_key, current.object())?;
    }
    Ok(context)
}

/// The scope that makes `context` current, a new reference.
pub fn scope(py: Python<'_>, context: &Bound<'_, PyAny>, current: &Current) -> PyResult<Py<PyAny>> {
    let api = api(py)?;
    let around = current.around();
    // SAFETY: a live scope, which what is current keeps.
    let around = (!around.is_null()).then(|| unsafe { raw::value::<Scope>(around) });
    // SAFETY: live objects.
    let (span, baggage, fields) = unsafe {
        let at = context.as_ptr();
        let [span, baggage, fields] =
            [&api.span_key, &api.baggage_key, &api.fields_key].map(|key| item(at, key));
        let before = around.map(|scope| {
            let at = scope.context();
            (scope, item(at, &api.span_key), item(at, &api.baggage_key))
        });
        let span = match before {
            // The same foreign span is stood for by the same span of ours.
            Some((scope, before, _)) if before == span && !scope.span().is_null() => {
                Some(Bound::from_borrowed_ptr(py, scope.span()))
            }
            _ => native(py, span)?,
        };
        let baggage = match before {
            Some((scope, _, before)) if before == baggage => scope.node.baggage.get().cloned(),
            _ => read_baggage(py, baggage)?,
        };
        let carried = Current::of(ffi::Py_XNewRef(fields));
        let fields = carried.node().or(current.node()).and_then(|node| node.fields.get().cloned());
        (span, baggage, fields)
    };
    let node = match &span {
        Some(span) => {
            // SAFETY: a span.
            let node = unsafe { raw::value::<Span>(span.as_ptr()) }.node();
            Node::new(node.context, node.state.clone())
        }
        None => Node::new(SpanContext::default(), None),
    };
    if let Some(baggage) = baggage {
        let fields = baggage::fields(&baggage, current.node());
        if let Some(fields) = fields {
            let _ = node.fields.set(fields);
        }
        let _ = node.baggage.set(baggage);
    }
    if let Some(fields) = fields {
        let _ = node.fields.set(fields);
    }
    let span = span.map_or(std::ptr::null_mut(), Bound::into_ptr);
    // SAFETY: a new reference, or null with an error set.
    unsafe {
        let scope = raw::new(Scope::of_context(node, span, context.as_ptr()));
        Bound::from_owned_ptr_or_err(py, scope).map(Bound::unbind)
    }
}

/// The span of ours that a span of the API is or that stands for it; `None` where it is none.
///
/// # Safety
/// `span` is a Python object or null.
pub unsafe fn native<'py>(
    py: Python<'py>,
    span: *mut PyObject,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: by the caller's promise; classes are checked.
    unsafe {
        if span.is_null() || span == ffi::Py_None() {
            return Ok(None);
        }
        if raw::is::<View>(span) {
            return Ok(Some(raw::value::<View>(span).span(py)));
        }
        if raw::is::<Span>(span) {
            return Ok(Some(Bound::from_borrowed_ptr(py, span)));
        }
        let span = Bound::from_borrowed_ptr(py, span);
        if let Ok(Some(own)) = span.getattr_opt(intern!(py, "_coati_span"))
            && raw::is::<View>(own.as_ptr())
        {
            return Ok(Some(raw::value::<View>(own.as_ptr()).span(py)));
        }
        let context = span.call_method0(intern!(py, "get_span_context"));
        let node = forgive(py, context.and_then(|context| ids::read(&context)))?;
        let Some(node) = node.filter(|node| node.context.is_valid()) else { return Ok(None) };
        let object = Span::object_inside(Core::passing(node.context), Some(&node), None);
        Bound::from_owned_ptr_or_err(py, object).map(Some)
    }
}

/// The baggage of a context. What cannot go into a header is left out.
///
/// # Safety
/// `given` is a Python object or null.
unsafe fn read_baggage(py: Python<'_>, given: *mut PyObject) -> PyResult<Option<Arc<Baggage>>> {
    // SAFETY: by the caller's promise.
    let given = unsafe { Bound::from_borrowed_ptr_or_opt(py, given) };
    let Some(given) = given.and_then(|given| given.cast_into::<PyDict>().ok()) else {
        return Ok(None);
    };
    let mut baggage = Baggage::default();
    for (name, value) in given.iter() {
        let (Ok(name), Some(value)) = (name.cast_into::<PyString>(), forgive(py, value.str())?)
        else {
            continue;
        };
        let value = value.to_string_lossy();
        let name = name.to_string_lossy();
        // The API keeps properties as part of the value.
        let (value, properties) = value.split_once(';').unwrap_or((&value, ""));
        let _ = baggage.set(&name, value.trim_end(), properties)
            || baggage.set(&name, value.trim_end(), "");
    }
    Ok((!baggage.is_empty()).then(|| Arc::new(baggage)))
}

/// The parent that a context names: `Err` where it is to be asked of what is current.
///
/// # Safety
/// `context` is a Python object or null.
#[inline(always)]
pub unsafe fn parent<'py>(
    py: Python<'py>,
    api: &Api,
    context: *mut PyObject,
) -> PyResult<Result<Option<Bound<'py, PyAny>>, ()>> {
    // SAFETY: by the caller's promise.
    unsafe {
        if context.is_null() || context == ffi::Py_None() {
            return Ok(Err(()));
        }
        native(py, item(context, &api.span_key)).map(Ok)
    }
}
