//! `SpanContext`: the ids of a span apart from the span, as they cross process boundaries.

use std::ffi::{CStr, c_void};
use std::sync::Arc;

use coati_core::ids::{SpanId, TraceId};
use coati_core::propagate::{Baggage, Context, TraceState};
use coati_core::span::SpanContext;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::current::Node;
use crate::otel::View;
use crate::raw::{self, Class, Raw, Table};
use crate::span::Span;
use crate::text;

/// Ids, flags and `tracestate`.
pub struct Remote {
    node: Node,
}

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 2]> = Table([
    raw::plain(c"__reduce__", reduce, ffi::METH_NOARGS, c"__reduce__($self, /)\n--\n\n"),
    raw::END,
]);

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 8]> = Table([
    raw::getter(c"trace_id", trace_id, c"32 lower-case hexadecimal digits, all zero for none."),
    raw::getter(c"span_id", span_id, c"16 lower-case hexadecimal digits, all zero for none."),
    raw::getter(
        c"trace_flags",
        trace_flags,
        c"W3C trace flags: 1 is sampled, 2 a random trace id.",
    ),
    raw::getter(c"is_valid", is_valid, c"Whether both ids are real."),
    raw::getter(c"is_remote", is_remote, c"Whether it came from another process."),
    raw::getter(c"trace_state", trace_state, c"The W3C `tracestate`, None where there is none."),
    raw::getter(c"baggage", baggage, c"The baggage that came along, by name."),
    raw::NO_MORE,
]);

impl Raw for Remote {
    const NAME: &'static CStr = c"coati.SpanContext";
    const DOC: &'static CStr = c"SpanContext(trace_id=None, span_id=None, trace_flags=1, trace_state=None, is_remote=True, baggage=None)\n--\n\nThe ids of a span, as they cross process boundaries.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_new, construct as *mut c_void),
            raw::slot(ffi::Py_tp_repr, repr as *mut c_void),
            raw::slot(ffi::Py_tp_richcompare, compare as *mut c_void),
            raw::slot(ffi::Py_tp_hash, hash as *mut c_void),
        ]
    }
}

impl Remote {
    /// A new object.
    pub fn object(context: SpanContext, state: Option<Arc<TraceState>>) -> *mut PyObject {
        raw::new(Self { node: Node::new(context, state) })
    }

    /// The context of a span, or of headers, with the baggage of `node` or else of `current`.
    pub fn like(node: &Node, current: Option<&Node>) -> *mut PyObject {
        let baggage = node.baggage.get().or_else(|| current?.baggage.get());
        Self::with_baggage(node.context, node.state.clone(), baggage.cloned())
    }

    /// What headers said.
    pub fn of(context: Context) -> *mut PyObject {
        let baggage = (!context.baggage.is_empty()).then(|| Arc::new(context.baggage));
        Self::with_baggage(context.span, context.state.map(Arc::new), baggage)
    }

    /// A new object that carries baggage.
    pub fn with_baggage(
        context: SpanContext,
        state: Option<Arc<TraceState>>,
        baggage: Option<Arc<Baggage>>,
    ) -> *mut PyObject {
        let node = Node::new(context, state);
        if let Some(baggage) = baggage {
            let _ = node.baggage.set(baggage);
        }
        raw::new(Self { node })
    }
}

/// The `tracestate` of a node as text.
pub fn state_of(node: &Node) -> *mut PyObject {
    node.state.as_ref().map_or_else(raw::none, |state| text::string(state.as_str()))
}

/// The ids of a span, also as OpenTelemetry's API has it, or of a span context; `None` for anything
/// else.
pub fn node_of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Node> {
    // SAFETY: the class is checked; the object outlives the reference to it.
    unsafe {
        if raw::is::<Span>(object.as_ptr()) {
            Some(raw::value::<Span>(object.as_ptr()).node())
        } else if raw::is::<Remote>(object.as_ptr()) {
            Some(&raw::value::<Remote>(object.as_ptr()).node)
        } else if raw::is::<View>(object.as_ptr()) {
            Some(raw::value::<View>(object.as_ptr()).native().node())
        } else {
            None
        }
    }
}

/// # Safety
/// `this` is an instance that outlives the result.
unsafe fn of<'a>(this: *mut PyObject) -> &'a SpanContext {
    // SAFETY: by the caller's promise.
    unsafe { &raw::value::<Remote>(this).node.context }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Given<'py> {
    trace_id: Option<String>,
    span_id: Option<String>,
    trace_flags: Option<u8>,
    trace_state: Option<String>,
    is_remote: Option<bool>,
    baggage: Option<Bound<'py, PyAny>>,
}

unsafe extern "C" fn construct(
    _: *mut ffi::PyTypeObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        const NAMES: [&str; 6] =
            ["trace_id", "span_id", "trace_flags", "trace_state", "is_remote", "baggage"];
        // SAFETY: a tuple and, or null, a dict, as the interpreter passes.
        let (args, kwargs) = unsafe {
            (
                Bound::from_borrowed_ptr(py, args).cast_into::<pyo3::types::PyTuple>()?,
                Bound::from_borrowed_ptr_or_opt(py, kwargs),
            )
        };
        let all = pyo3::types::PyDict::new(py);
        for name in NAMES {
            all.set_item(name, py.None())?;
        }
        if args.len() > NAMES.len() {
            return Err(PyTypeError::new_err("SpanContext() takes at most 6 arguments"));
        }
        for (name, value) in NAMES.iter().zip(args.iter()) {
            all.set_item(name, value)?;
        }
        if let Some(kwargs) = kwargs {
            all.update(kwargs.cast::<pyo3::types::PyMapping>()?)?;
            if all.len() > NAMES.len() {
                return Err(PyTypeError::new_err(format!("SpanContext() takes only {NAMES:?}")));
            }
        }
        let given: Given<'_> = all.extract()?;
        let bad = |what: &str, value: &str, digits: usize| {
            PyValueError::new_err(format!(
                "{what} {value:?}: expected {digits} lower-case hexadecimal digits, not all zero"
            ))
        };
        let context = match (&given.trace_id, &given.span_id) {
            (None, None) => SpanContext::default(),
            (trace_id, span_id) => {
                let (trace_id, span_id) = (
                    trace_id.as_deref().unwrap_or_default(),
                    span_id.as_deref().unwrap_or_default(),
                );
                SpanContext {
                    trace_id: TraceId::from_hex(trace_id.as_bytes())
                        .ok_or_else(|| bad("trace_id", trace_id, 32))?,
                    span_id: SpanId::from_hex(span_id.as_bytes())
                        .ok_or_else(|| bad("span_id", span_id, 16))?,
                    trace_flags: given.trace_flags.unwrap_or(1),
                    remote: given.is_remote.unwrap_or(true),
                }
            }
        };
        let state = given.trace_state.filter(|state| !state.is_empty());
        let state = state.map(|state| {
            TraceState::parse(&state).map(Arc::new).ok_or_else(|| {
                PyValueError::new_err(format!("trace_state {state:?} is no W3C tracestate"))
            })
        });
        let baggage = given.baggage.map(|given| crate::baggage::read(&given)).transpose()?;
        let baggage = baggage.filter(|baggage| !baggage.is_empty()).map(Arc::new);
        Ok(Remote::with_baggage(context, state.transpose()?, baggage))
    })
}

unsafe extern "C" fn trace_id(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::ascii(&unsafe { of(this) }.trace_id.hex())
}

unsafe extern "C" fn span_id(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::ascii(&unsafe { of(this) }.span_id.hex())
}

unsafe extern "C" fn trace_flags(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    unsafe { ffi::PyLong_FromLong(of(this).trace_flags.into()) }
}

unsafe extern "C" fn is_valid(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    unsafe { ffi::PyBool_FromLong(of(this).is_valid().into()) }
}

unsafe extern "C" fn is_remote(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    unsafe { ffi::PyBool_FromLong(of(this).remote.into()) }
}

unsafe extern "C" fn trace_state(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    state_of(&unsafe { raw::value::<Remote>(this) }.node)
}

unsafe extern "C" fn baggage(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let baggage = unsafe { raw::value::<Remote>(this) }.node.baggage.get();
        Ok(crate::baggage::dict(py, baggage)?.into_any().into_ptr())
    })
}

unsafe extern "C" fn reduce(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let (class, node) = unsafe { (ffi::Py_TYPE(this), &raw::value::<Remote>(this).node) };
        // SAFETY: a live class.
        let class = unsafe { Bound::from_borrowed_ptr(py, class.cast()) };
        let context = node.context;
        let id = |id: String| context.is_valid().then_some(id);
        let state = node.state.as_ref().map(|state| state.as_str());
        // As a header, so that nothing is lost.
        let baggage = node.baggage.get().and_then(|baggage| baggage.header());
        let args = (
            id(context.trace_id.to_string()),
            id(context.span_id.to_string()),
            context.trace_flags,
            state,
            context.remote,
            baggage,
        );
        Ok((class, args).into_pyobject(py)?.into_ptr())
    })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    let context = unsafe { of(this) };
    text::string(&format!("<coati.SpanContext {}-{}>", context.trace_id, context.span_id))
}

unsafe extern "C" fn compare(
    this: *mut PyObject,
    other: *mut PyObject,
    how: std::ffi::c_int,
) -> *mut PyObject {
    // SAFETY: live objects whose class is checked.
    unsafe {
        if !raw::is::<Remote>(other) || !matches!(how, ffi::Py_EQ | ffi::Py_NE) {
            return ffi::Py_NewRef(ffi::Py_NotImplemented());
        }
        let same = of(this) == of(other)
            && raw::value::<Remote>(this).node.state == raw::value::<Remote>(other).node.state
            && raw::value::<Remote>(this).node.baggage == raw::value::<Remote>(other).node.baggage;
        ffi::PyBool_FromLong((same == (how == ffi::Py_EQ)).into())
    }
}

unsafe extern "C" fn hash(this: *mut PyObject) -> ffi::Py_hash_t {
    // SAFETY: a method of this class.
    let hash = isize::from_ne_bytes(unsafe { of(this) }.span_id.0);
    // -1 would say that an error is set.
    if hash == -1 { -2 } else { hash }
}
