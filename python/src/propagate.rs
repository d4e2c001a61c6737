//! Contexts in headers.

mod carrier;
mod custom;
mod headers;

use std::sync::Arc;

use coati_core::propagate::{Baggage, Context, Formats, TraceState, traceparent};
use coati_core::span::SpanContext;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::current::{Current, Node};
use crate::hub::hub;
use crate::raw::{self, Args};
use crate::remote::{Remote, node_of};
use crate::text;

pub use custom::set_propagators;

/// Header names.
struct Names {
    traceparent: Py<PyString>,
    tracestate: Py<PyString>,
    baggage: Py<PyString>,
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

fn names(py: Python<'_>) -> &Names {
    NAMES.get_or_init(py, || Names {
        traceparent: PyString::intern(py, "traceparent").unbind(),
        tracestate: PyString::intern(py, "tracestate").unbind(),
        baggage: PyString::intern(py, "baggage").unbind(),
    })
}

/// Whether the headers are W3C's alone.
#[inline(always)]
fn is_plain() -> bool {
    !custom::is_set() && hub().live().propagators() == Formats::W3C
}

/// `inject(headers, context=None, /, *, environ=False)`
pub unsafe extern "C" fn inject(
    _: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    keywords: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, keywords);
        args.expect_range("inject", 1, 2)?;
        args.only("inject", &["context", "environ"])?;
        let given = args.find(py, 1, "context").filter(|context| !context.is_none());
        let current = Current::get();
        let node = match &given {
            Some(context) => node_of(context),
            None => current.node(),
        };
        let headers = args.positional(0);
        // SAFETY: a live argument.
        if !is_plain() || unsafe { ffi::PyDict_CheckExact(headers) } == 0 || !keywords.is_null() {
            let environ = args.keyword(py, "environ").map(|environ| environ.is_truthy());
            // SAFETY: a live argument.
            let headers = unsafe { Bound::from_borrowed_ptr(py, headers) };
            return inject_otherwise(&headers, node, &current, environ.transpose()?);
        }
        let Some(node) = node else { return Ok(raw::none()) };
        let names = names(py);
        if let Some(header) = traceparent::format(&node.context) {
            set(py, headers, &names.traceparent, text::ascii(&header))?;
            if let Some(state) = &node.state {
                set(py, headers, &names.tracestate, text::string(&state.header()))?;
            }
        }
        if let Some(header) = baggage_of(node, &current).and_then(|baggage| baggage.header()) {
            set(py, headers, &names.baggage, text::string(&header))?;
        }
        Ok(raw::none())
    })
}

/// A context that carries none goes with what is current.
#[inline(always)]
fn baggage_of<'a>(node: &'a Node, current: &'a Current) -> Option<&'a Arc<Baggage>> {
    node.baggage.get().or_else(|| current.node()?.baggage.get())
}

/// Takes over the reference to `value`.
#[inline(always)]
fn set(
    py: Python<'_>,
    headers: *mut PyObject,
    name: &Py<PyString>,
    value: *mut PyObject,
) -> PyResult<()> {
    // SAFETY: a live dict; a null value comes with an error set.
    unsafe {
        if value.is_null() {
            return Err(PyErr::fetch(py));
        }
        let result = ffi::PyDict_SetItem(headers, name.as_ptr(), value);
        ffi::Py_DECREF(value);
        if result == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
    }
}

/// Into whatever it is, by whatever propagators there are.
#[inline(never)]
fn inject_otherwise(
    headers: &Bound<'_, PyAny>,
    node: Option<&Node>,
    current: &Current,
    environ: Option<bool>,
) -> PyResult<*mut PyObject> {
    let mut context = Context::default();
    if let Some(node) = node {
        context.span = node.context;
        context.state = node.state.as_deref().cloned();
        context.baggage = baggage_of(node, current).map(|b| (**b).clone()).unwrap_or_default();
    }
    let carrier = carrier::Carrier::of(headers, environ)?;
    match custom::ways(headers.py()) {
        Some(ways) => custom::inject(&ways, &carrier, context)?,
        None => carrier.inject(hub().live().propagators(), &context)?,
    }
    Ok(raw::none())
}

/// `extract(headers, /)`
pub unsafe extern "C" fn extract(_: *mut PyObject, headers: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a live argument; the references that `PyDict_GetItemWithError` gives are borrowed
        // and used before other code runs.
        unsafe {
            if is_plain() && ffi::PyDict_CheckExact(headers) != 0 {
                let names = names(py);
                let parent = ffi::PyDict_GetItemWithError(headers, names.traceparent.as_ptr());
                if let Some(context) = parsed(parent)
                    && let Some(others) = others(headers)
                {
                    return Ok(others.object(context));
                }
            }
        }
        // SAFETY: a live argument.
        extract_otherwise(&unsafe { Bound::from_borrowed_ptr(py, headers) })
    })
}

/// The one `tracestate` and the one `baggage` in a dict.
#[derive(Default)]
struct Others<'a> {
    state: Option<&'a str>,
    baggage: Option<&'a str>,
}

impl Others<'_> {
    #[inline(always)]
    fn object(&self, context: SpanContext) -> *mut PyObject {
        if self.state.is_none() && self.baggage.is_none() {
            return Remote::object(context, None);
        }
        self.object_with_more(context)
    }

    #[inline(never)]
    fn object_with_more(&self, span: SpanContext) -> *mut PyObject {
        let state = self.state.and_then(TraceState::parse);
        let baggage = self.baggage.map(Baggage::parse).unwrap_or_default();
        Remote::of(Context { span, state, baggage })
    }
}

/// What a dict says besides `traceparent`, names in any case; `None` where there is more to it.
///
/// # Safety
/// `headers` is a dict that outlives the result.
#[inline(always)]
unsafe fn others<'a>(headers: *mut PyObject) -> Option<Others<'a>> {
    const STATE: &str = "tracestate";
    const BAGGAGE: &str = "baggage";
    let mut found = Others::default();
    let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: by the caller's promise; nothing that runs in between changes the dict.
    unsafe {
        while ffi::PyDict_Next(headers, &mut at, &mut key, &mut value) != 0 {
            if ffi::PyUnicode_CheckExact(key) == 0 {
                return None;
            }
            let length = ffi::PyUnicode_GET_LENGTH(key) as usize;
            if (length != STATE.len() && length != BAGGAGE.len())
                || ffi::PyUnicode_IS_COMPACT_ASCII(key) == 0
            {
                continue;
            }
            let name = text::utf8(key)?;
            let place = if name.eq_ignore_ascii_case(STATE) {
                &mut found.state
            } else if name.eq_ignore_ascii_case(BAGGAGE) {
                &mut found.baggage
            } else {
                continue;
            };
            if place.is_some() || ffi::PyUnicode_CheckExact(value) == 0 {
                return None;
            }
            *place = Some(text::utf8(value)?);
        }
    }
    Some(found)
}

/// # Safety
/// `header` is a live object or null.
#[inline(always)]
unsafe fn parsed(header: *mut PyObject) -> Option<SpanContext> {
    // SAFETY: by the caller's promise; the type is checked.
    unsafe {
        if header.is_null() || ffi::PyUnicode_CheckExact(header) == 0 {
            return None;
        }
        traceparent::parse(text::utf8(header)?.as_bytes())
    }
}

/// Any case, bytes, several values, and whatever else headers come in.
#[inline(never)]
fn extract_otherwise(headers: &Bound<'_, PyAny>) -> PyResult<*mut PyObject> {
    let found = headers::find(headers)?;
    let context = match custom::ways(headers.py()) {
        Some(ways) => custom::extract(&ways, headers, &found)?,
        None => hub().live().propagators().extract(&found),
    };
    Ok(Remote::of(context))
}
