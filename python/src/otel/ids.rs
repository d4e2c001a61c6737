//! Span contexts: the API's, and ours.

use std::sync::Arc;

use coati_core::ids::{SpanId, TraceId};
use coati_core::propagate::TraceState;
use coati_core::span::SpanContext;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::api::{Api, api};
use crate::current::Node;

/// The span context of a node as the API has it.
pub fn of_node(py: Python<'_>, node: &Node) -> PyResult<Py<PyAny>> {
    let api = api(py)?;
    let context = &node.context;
    let state = match &node.state {
        None => api.no_state.clone_ref(py),
        Some(state) => {
            let from = api.trace_state.bind(py).getattr(intern!(py, "from_header"))?;
            from.call1(([state.as_str()],))?.unbind()
        }
    };
    let flags = match api.trace_flags.get(usize::from(context.trace_flags)) {
        Some(flags) => flags.clone_ref(py),
        None => {
            let class = api.trace_flags[0].bind(py).get_type();
            class.call1((context.trace_flags,))?.unbind()
        }
    };
    let items = (
        u128::from_be_bytes(context.trace_id.0),
        u64::from_be_bytes(context.span_id.0),
        context.remote,
        flags,
        state,
        context.is_valid(),
    );
    make(py, api, &items.into_pyobject(py)?)
}

/// A new instance with these items: what its own constructor does, too, but for the checks.
fn make(py: Python<'_>, api: &Api, items: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
    let args = PyTuple::new(py, [items])?;
    // SAFETY: the class is one of tuples, whose `tp_new` takes a sequence of items; a new reference,
    // or null with an error set.
    unsafe {
        let new = ffi::PyTuple_Type.tp_new;
        let class: *mut ffi::PyTypeObject = api.span_context.as_ptr().cast();
        let Some(new) = new else { return Err(PyErr::fetch(py)) };
        let object = new(class, args.as_ptr(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, object).map(Bound::unbind)
    }
}

/// What a span context of the API says; a node without ids where it is none or not valid.
pub fn read(context: &Bound<'_, PyAny>) -> PyResult<Node> {
    let py = context.py();
    let get = |name| context.getattr(name);
    let (trace_id, span_id): (u128, u64) =
        (get(intern!(py, "trace_id"))?.extract()?, get(intern!(py, "span_id"))?.extract()?);
    let flags: u64 = get(intern!(py, "trace_flags"))?.extract()?;
    let remote = get(intern!(py, "is_remote"))?.is_truthy()?;
    let state = get(intern!(py, "trace_state"))?;
    let state = match state.is_truthy()? {
        true => {
            let header: String = state.call_method0(intern!(py, "to_header"))?.extract()?;
            TraceState::parse(&header).map(Arc::new)
        }
        false => None,
    };
    let context = SpanContext {
        trace_id: TraceId(trace_id.to_be_bytes()),
        span_id: SpanId(span_id.to_be_bytes()),
        trace_flags: flags as u8,
        remote,
    };
    let context = if context.is_valid() { context } else { SpanContext::default() };
    Ok(Node::new(context, state))
}
