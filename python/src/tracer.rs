//! Tracers: where spans start.

use std::ffi::{CStr, c_void};

use coati_core::log::encode_fields;
use coati_core::span::{Begin, Body, SpanContext, SpanKind, Start, Tracer as Core};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::baggage;
use crate::convert::{Owned, convert_text};
use crate::current::{Current, Node};
use crate::fields::{Layer, Simple, pairs};
use crate::filtered;
use crate::gil::Guarded;
use crate::hub::hub;
use crate::names::{self, SPAN_PARAMETERS};
use crate::raw::{self, Args, Class, Raw, Table};
use crate::remote::node_of;
use crate::span::{Span, link, set_all, set_all_in, timestamp};
use crate::stream::Stream;
use crate::text;

/// A named source of spans.
pub struct Tracer(Core);

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 6]> = Table([
    raw::fast(c"span", span, c"span($self, name, /, *, parent=None, kind='internal', links=(), start_time=None, timeout=None, attributes=None, **fields)\n--\n\nStart a span, to be used in a `with` or `async with` statement."),
    raw::fast(c"start_span", span, c"start_span($self, name, /, *, parent=None, kind='internal', links=(), start_time=None, timeout=None, attributes=None, **fields)\n--\n\nStart a span that `end()` ends."),
    raw::fast(c"start_as_current_span", span, c"start_as_current_span($self, name, /, *, parent=None, kind='internal', links=(), start_time=None, timeout=None, attributes=None, **fields)\n--\n\nOpenTelemetry's name for `span`."),
    raw::fast(c"stream_span", stream_span, c"stream_span($self, name, /, *, parent=None, kind='internal', links=(), start_time=None, timeout=None, attributes=None, **fields)\n--\n\nStart a span over a stream: what `wrap(iterator)` gives tells it of each chunk."),
    raw::plain(c"__reduce__", reduce, ffi::METH_NOARGS, c"__reduce__($self, /)\n--\n\n"),
    raw::END,
]);

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 2]> =
    Table([raw::getter(c"name", name, c"The name."), raw::NO_MORE]);

impl Raw for Tracer {
    const NAME: &'static CStr = c"coati.Tracer";
    const DOC: &'static CStr = c"A named source of spans, made by `coati.get_tracer`.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_repr, repr as *mut c_void),
        ]
    }
}

impl Tracer {
    /// The tracer called `name`.
    pub fn new(name: &str) -> Self {
        Self(Core::new(hub().clone(), name))
    }

    /// Starts a span with the attributes of a call.
    #[inline(always)]
    fn start(&self, py: Python<'_>, args: &Args) -> PyResult<*mut PyObject> {
        args.expect("span", 1)?;
        let name = args.positional(0);
        // SAFETY: a live argument.
        if unsafe { ffi::PyUnicode_CheckExact(name) } != 0
            && (args.names.is_null() || self.is_plain(args))
        {
            let current = match passed_over(Current::get()) {
                Ok(span) => return Ok(span),
                Err(current) => current,
            };
            // SAFETY: a `str` that lives over the call.
            let Some(name) = (unsafe { text::utf8(name) }) else {
                return self.start_otherwise(py, args);
            };
            let object = self.start_under(name, &current);
            if object.is_null() {
                return Ok(object);
            }
            // SAFETY: just made.
            let span = unsafe { raw::value::<Span>(object) };
            if !args.names.is_null() && span.is_recording() && !add(span, args) {
                // SAFETY: our reference.
                let object = unsafe { Bound::from_owned_ptr(py, object) };
                set_all(span, &pairs(py, None, args, &[])?);
                let _ = object.into_ptr();
            }
            if let Some(parent) = current.node() {
                baggage::copy_onto(span, parent);
            }
            return Ok(object);
        }
        self.start_otherwise(py, args)
    }

    /// Whether the keywords of a call are attributes, at which no rule looks.
    #[inline(always)]
    fn is_plain(&self, args: &Args) -> bool {
        !names::of(args.names).span_parameter && !hub().live().head().has_rules()
    }

    /// A new span with these attributes under what is current.
    #[inline(always)]
    pub fn start_with(&self, name: &str, attributes: &Layer, current: Current) -> *mut PyObject {
        let current = match passed_over(current) {
            Ok(span) => return span,
            Err(current) => current,
        };
        let parent = current.node();
        let set = |body: &mut Body| {
            body.extend(|encoder, room| attributes.encode(encoder, room));
            if let Some(parent) = parent {
                baggage::copy_into(body, parent);
            }
        };
        if attributes.is_empty() && parent.is_none_or(|parent| parent.baggage.get().is_none()) {
            return self.start_under(name, &current);
        }
        let context = parent.map(|node| node.context);
        let start = Start { parent: context, attributes: Some(&set), ..Start::default() };
        Span::object(self.0.start(name, start), parent)
    }

    #[inline(always)]
    fn start_under(&self, name: &str, current: &Current) -> *mut PyObject {
        let parent = current.node();
        let start = Start { parent: parent.map(|node| node.context), ..Start::default() };
        Span::object(self.0.start(name, start), parent)
    }

    #[cold]
    #[inline(never)]
    fn start_otherwise(&self, py: Python<'_>, args: &Args) -> PyResult<*mut PyObject> {
        // SAFETY: a live argument.
        let name = convert_text(&unsafe { Bound::from_borrowed_ptr(py, args.positional(0)) })?;
        let given = |name| args.keyword(py, name).filter(|value| !value.is_none());
        let kind = given("kind").map(|kind| span_kind(&kind)).transpose()?.unwrap_or_default();
        let start_time = timestamp(given("start_time"))?;
        let timeout = given("timeout").map(|timeout| nanoseconds(&timeout)).transpose()?;
        let links = given("links").map(|links| read_links(&links)).transpose()?;
        let parent = given("parent");
        let mapping = given("attributes");
        let attributes: Vec<(String, Owned)> = pairs(py, mapping.as_ref(), args, &SPAN_PARAMETERS)?;
        let current = Current::get();
        let chosen = match &parent {
            Some(parent) => Some(node_of(parent).ok_or_else(|| not_a_parent(parent))?),
            None => None,
        };
        // A context without ids says nothing: the current span stays the parent.
        let parent: Option<&Node> =
            chosen.filter(|node| node.context.is_valid()).or_else(|| current.node());
        let context: Option<SpanContext> = parent.map(|node| node.context);
        // What rules look at is set again behind the baggage, which it is stronger than.
        let set = |body: &mut Body| set_all_in(body, &attributes);
        let seen = hub().live().head().has_rules().then_some(&set as &dyn Begin);
        let started = self.0.start(
            &name,
            Start {
                parent: context,
                kind,
                start_time,
                timeout: timeout.unwrap_or(0),
                attributes: seen,
            },
        );
        // SAFETY: a new reference, or null with an error set.
        let object = unsafe {
            Bound::from_owned_ptr_or_err(py, Span::object_inside(started, parent, current.node()))
        }?;
        // SAFETY: just made.
        let span = unsafe { raw::value::<Span>(object.as_ptr()) };
        if let Some(chosen) = chosen {
            baggage::adopt(span.node(), chosen, current.node());
        }
        set_all(span, &attributes);
        let carries =
            if span.node().baggage.get().is_some() { Some(span.node()) } else { current.node() };
        if let Some(carries) = carries {
            baggage::copy_onto(span, carries);
        }
        for (target, attributes) in links.iter().flatten() {
            link(span, target, attributes)?;
        }
        Ok(object.into_ptr())
    }
}

/// The current span where its trace is not sampled: nothing of a span inside will ever be seen, and
/// it stands for all of them.
#[inline(always)]
pub fn passed_over(current: Current) -> Result<*mut PyObject, Current> {
    let Some(node) = current.node() else { return Err(current) };
    let context = &node.context;
    if context.is_sampled() || !context.is_valid() || !hub().live().head().follows(context) {
        return Err(current);
    }
    match current.into_span() {
        Ok(span) => {
            filtered::UNSAMPLED.count();
            Ok(span)
        }
        Err(current) => Err(current),
    }
}

/// Adds the attributes of a call; `false` where one needs conversion.
#[inline(always)]
fn add(span: &Span, args: &Args) -> bool {
    let mut fields = Simple::new();
    if !fields.read(args) {
        return false;
    }
    span.with_core(|core| {
        if let Some(body) = core.body() {
            body.extend(|encoder, room| encode_fields(encoder, fields.all(), room));
        }
    });
    true
}

/// A time given in seconds.
fn nanoseconds(seconds: &Bound<'_, PyAny>) -> PyResult<u64> {
    let given: f64 = seconds.extract()?;
    if given > 0.0 {
        return Ok((given * 1e9).max(1.0) as u64);
    }
    Err(PyValueError::new_err(format!("timeout {given}: accepted: seconds above 0")))
}

#[cold]
fn not_a_parent(given: &Bound<'_, PyAny>) -> PyErr {
    let found = given.get_type().name().map_or_else(|_| String::new(), |name| name.to_string());
    PyTypeError::new_err(format!("parent must be a Span or SpanContext, not {found}"))
}

fn span_kind(kind: &Bound<'_, PyAny>) -> PyResult<SpanKind> {
    let name = match kind.cast::<PyString>() {
        Ok(name) => name.to_string_lossy().into_owned(),
        // OpenTelemetry's enumeration has the same names.
        Err(_) => kind.getattr("name")?.extract::<String>()?,
    };
    SpanKind::from_name(&name).ok_or_else(|| {
        let accepted = SpanKind::ALL.map(SpanKind::name).join(", ");
        PyValueError::new_err(format!("unknown kind {name:?}; accepted: {accepted}"))
    })
}

type Links<'py> = Vec<(Bound<'py, PyAny>, Layer)>;

/// Spans, contexts, pairs of one and attributes, or objects with `context` and `attributes`.
fn read_links<'py>(links: &Bound<'py, PyAny>) -> PyResult<Links<'py>> {
    let mut read = Vec::new();
    for link in links.try_iter()? {
        let link = link?;
        let (target, attributes) = if node_of(&link).is_some() {
            (link, None)
        } else if let Ok((target, attributes)) =
            link.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()
        {
            (target, Some(attributes))
        } else {
            (link.getattr("context")?, link.getattr_opt("attributes")?)
        };
        let mut layer = Layer::default();
        for (key, value) in Layer::of_mapping(attributes.as_ref())? {
            layer.push(|encoder| value.encode(encoder, coati_core::record::value::Key::new(&key)));
        }
        read.push((target, layer));
    }
    Ok(read)
}

unsafe extern "C" fn span(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        unsafe { raw::value::<Tracer>(this) }.start(py, &Args::new(args, count, names))
    })
}

unsafe extern "C" fn stream_span(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as for this method.
    let span = unsafe { span(this, args, count, names) };
    if span.is_null() { span } else { Stream::object(span) }
}

unsafe extern "C" fn reduce(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        let get = py.import("coati")?.getattr("get_tracer")?;
        // SAFETY: a method of this class.
        let name = unsafe { raw::value::<Tracer>(this) }.0.name();
        Ok((get, (name,)).into_pyobject(py)?.into_ptr())
    })
}

unsafe extern "C" fn name(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::string(unsafe { raw::value::<Tracer>(this) }.0.name())
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    text::string(&format!("<coati.Tracer {:?}>", unsafe { raw::value::<Tracer>(this) }.0.name()))
}

static TRACERS: Guarded<Option<Py<PyDict>>> = Guarded::new(None);

/// The tracer called `name`, the same one each time.
#[pyfunction]
#[pyo3(signature = (name=text::Name::default(), /), text_signature = "(name='', /)")]
pub fn get_tracer<'py>(py: Python<'py>, name: text::Name<'_>) -> PyResult<Bound<'py, PyAny>> {
    crate::registry::named(py, &TRACERS, &name, || raw::new(Tracer::new(&name)))
}

/// The current span; outside any, one that records nothing.
#[pyfunction]
pub fn current_span(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static NONE: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();
    if let Some(span) = Current::get().span() {
        return Ok(span.as_unbound().bind(py).clone());
    }
    let none = NONE.get_or_try_init(py, || {
        let nothing = coati_core::span::Span::passing(SpanContext::default());
        // SAFETY: a new reference, or null with an error set.
        unsafe { Bound::from_owned_ptr_or_err(py, Span::object(nothing, None)) }.map(Bound::unbind)
    })?;
    Ok(none.bind(py).clone())
}
