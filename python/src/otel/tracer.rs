//! Tracers of the API: where its spans start.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::sync::Arc;

use coati_core::ids::{SpanId, TraceId};
use coati_core::propagate::TraceState;
use coati_core::record::value::Key;
use coati_core::scope::Scope;
use coati_core::span::{Begin, Body, Decided, SpanKind, Start, Tracer as Core};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::api::{Api, api, forgive};
use super::args::bind;
use super::entered::Entered;
use super::view::{self, Flags, View};
use super::{attributes, context, runtime};
use crate::current::{Current, Node};
use crate::gil::Guarded;
use crate::hub::hub;
use crate::raw::{self, Args, Class, Raw, Table};
use crate::span::{Span, set_all_in};
use crate::tracer::passed_over;
use crate::{baggage, convert, text};

/// A named source of spans.
pub struct Tracer {
    core: Core,
    /// The API's instrumentation scope, or what else its provider keeps there. A strong reference.
    scope: *mut PyObject,
    /// What starts spans instead of us, null for nobody. A strong reference.
    instead: Cell<*mut PyObject>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Tracer {}

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 5]> = Table([
    raw::fast(c"start_span", start_span, c"start_span($self, name, context=None, kind=SpanKind.INTERNAL, attributes=None, links=None, start_time=None, record_exception=True, set_status_on_exception=True)\n--\n\nStart a span that `end()` ends."),
    raw::fast(c"start_as_current_span", start_as_current_span, c"start_as_current_span($self, name, context=None, kind=SpanKind.INTERNAL, attributes=None, links=None, start_time=None, record_exception=True, set_status_on_exception=True, end_on_exit=True)\n--\n\nA span that is current inside a `with` statement, or inside the function that this decorates."),
    raw::fast(c"_start", start_ours, c"_start($self, name, context=None, kind=SpanKind.INTERNAL, attributes=None, links=None, start_time=None, record_exception=True, set_status_on_exception=True, decided=None)\n--\n\nStart a span, whoever is set to do so instead."),
    raw::plain(c"_instead", set_instead, ffi::METH_O, c"_instead($self, function, /)\n--\n\nSet what starts spans, None for nobody else."),
    raw::END,
]);

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 4]> = Table([
    raw::getter(c"__class__", face, c"What says that it is its class."),
    raw::getter(c"name", name, c"The name."),
    raw::getter(c"instrumentation_scope", scope, c"Name, version and more, as the API has them."),
    raw::NO_MORE,
]);

impl Raw for Tracer {
    const NAME: &'static CStr = c"coati.otel.Tracer";
    const DOC: &'static CStr = c"Tracer(name, scope=None)\n--\n\nA named source of spans.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_new, construct as *mut c_void),
            raw::slot(ffi::Py_tp_repr, repr as *mut c_void),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match visit(self.scope) {
            0 => visit(self.instead.get()),
            stop => stop,
        }
    }

    fn clear(&self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_XDECREF(self.instead.replace(std::ptr::null_mut())) };
    }
}

/// A class in Python whose methods take any object that stands for a tracer: a method of ours takes
/// tracers alone, and there are proxies that call `tracer.__class__.start_span(self, ...)`.
static FACE: Guarded<Option<Py<PyAny>>> = Guarded::new(None);

/// Set what tracers say is their class.
#[pyfunction]
#[pyo3(signature = (class, /))]
pub fn _otel_face(class: Py<PyAny>) {
    let before = FACE.borrow().and_then(|mut face| face.replace(class));
    drop(before);
}

unsafe extern "C" fn face(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    let face = FACE.borrow();
    let face = face.as_ref().and_then(|face| face.as_ref()).map(Py::as_ptr);
    // SAFETY: a live class; the interpreter is attached.
    unsafe { ffi::Py_NewRef(face.unwrap_or(ffi::Py_TYPE(this).cast())) }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // SAFETY: our references.
        unsafe {
            ffi::Py_DECREF(self.scope);
            ffi::Py_XDECREF(self.instead.get());
        }
    }
}

/// The parameters of `start_span`.
pub const PARAMETERS: [&str; 8] = [
    "name",
    "context",
    "kind",
    "attributes",
    "links",
    "start_time",
    "record_exception",
    "set_status_on_exception",
];

/// The parameters of `_start`.
const OURS: [&str; 9] = [
    "name",
    "context",
    "kind",
    "attributes",
    "links",
    "start_time",
    "record_exception",
    "set_status_on_exception",
    "decided",
];

/// The arguments of a start, borrowed; null where they are not given.
#[derive(Clone, Copy)]
pub struct Given {
    pub name: *mut PyObject,
    pub context: *mut PyObject,
    pub kind: *mut PyObject,
    pub attributes: *mut PyObject,
    pub links: *mut PyObject,
    pub start_time: *mut PyObject,
    pub record_exception: *mut PyObject,
    pub set_status: *mut PyObject,
    /// What has been decided already, for [`start_ours`] alone.
    decided: *mut PyObject,
}

impl Given {
    /// The arguments in the order of [`PARAMETERS`].
    #[inline(always)]
    pub fn of(bound: &[*mut PyObject]) -> Self {
        let at = |place: usize| bound.get(place).copied().unwrap_or(std::ptr::null_mut());
        Self {
            name: at(0),
            context: at(1),
            kind: at(2),
            attributes: at(3),
            links: at(4),
            start_time: at(5),
            record_exception: at(6),
            set_status: at(7),
            decided: std::ptr::null_mut(),
        }
    }

    #[inline(always)]
    fn flags(&self) -> Flags {
        Flags { record_exception: is_on(self.record_exception), set_status: is_on(self.set_status) }
    }
}

/// Whether a switch that is on by default is.
#[inline(always)]
pub fn is_on(given: *mut PyObject) -> bool {
    // SAFETY: a live object, or null.
    given.is_null() || unsafe { given == ffi::Py_True() || ffi::PyObject_IsTrue(given) != 0 }
}

#[inline(always)]
fn is_nothing(given: *mut PyObject) -> bool {
    // SAFETY: `None` always exists.
    given.is_null() || given == unsafe { ffi::Py_None() }
}

impl Tracer {
    /// The instrumentation scope, borrowed.
    pub fn scope(&self) -> *mut PyObject {
        self.scope
    }

    /// Starts a span: what the API sees of it, a new reference, and whether it becomes current by
    /// our own means.
    ///
    /// # Safety
    /// `this` is the object of `self`; the arguments are live objects or null.
    #[inline(always)]
    pub unsafe fn start(
        &self,
        py: Python<'_>,
        this: *mut PyObject,
        given: &Given,
    ) -> PyResult<(*mut PyObject, bool)> {
        if !self.instead.get().is_null() {
            // SAFETY: by the caller's promise.
            return unsafe { self.start_instead(py, this, given) }.map(|span| (span, false));
        }
        let api = api(py)?;
        let in_force = runtime::is_in_force(py, api);
        // SAFETY: by the caller's promise.
        let span = unsafe { self.start_own(py, this, api, in_force, given) }?;
        Ok((span, in_force))
    }

    /// # Safety
    /// As [`Tracer::start`].
    #[inline(always)]
    unsafe fn start_own(
        &self,
        py: Python<'_>,
        this: *mut PyObject,
        api: &Api,
        in_force: bool,
        given: &Given,
    ) -> PyResult<*mut PyObject> {
        // SAFETY: by the caller's promise.
        unsafe {
            let plain = is_nothing(given.context)
                && given.decided.is_null()
                && is_nothing(given.start_time)
                && has_none(given.links)
                && in_force
                && !hub().live().head().has_rules();
            let Some(name) = text::exact(given.name).filter(|_| plain) else {
                return self.start_otherwise(py, this, api, given);
            };
            let current = match passed_over(Current::get()) {
                Ok(span) => return Ok(view::of_owned(py, span)),
                Err(current) => current,
            };
            let parent = current.node();
            let start = Start {
                parent: parent.map(|node| node.context),
                kind: kind(api, given.kind),
                ..Start::default()
            };
            let object = Span::object(self.core.start(name, start), parent);
            let view = View::object(object, this, given.flags());
            if view.is_null() {
                return Ok(view);
            }
            let span = raw::value::<Span>(object);
            if span.is_recording() {
                let view = Bound::from_owned_ptr(py, view);
                attributes::begin(py, span, given.attributes)?;
                let _ = view.into_ptr();
                if let Some(parent) = parent {
                    baggage::copy_onto(span, parent);
                }
            }
            Ok(view)
        }
    }

    /// # Safety
    /// As [`Tracer::start`].
    #[cold]
    #[inline(never)]
    unsafe fn start_otherwise(
        &self,
        py: Python<'_>,
        this: *mut PyObject,
        api: &Api,
        given: &Given,
    ) -> PyResult<*mut PyObject> {
        // SAFETY: by the caller's promise.
        unsafe {
            let name = convert::convert_text(&Bound::from_borrowed_ptr(py, given.name))?;
            let pairs = attributes::pairs(py, given.attributes)?;
            let start_time = Bound::from_borrowed_ptr_or_opt(py, given.start_time)
                .and_then(|time| time.extract::<u64>().ok());
            let mut chosen = context::parent(py, api, given.context)?;
            if chosen.is_err() && !runtime::is_in_force(py, api) {
                chosen = foreign_parent(py, api)?.map_or(Err(()), |span| Ok(Some(span)));
            }
            let current = Current::get();
            let mut parent: Option<&Node> = match &chosen {
                Ok(Some(span)) => Some(raw::value::<Span>(span.as_ptr()).node()),
                Ok(None) => None,
                Err(()) => current.node(),
            };
            let decided = Decision::read(py, given.decided, parent)?;
            if let Some(decision) = &decided {
                parent = Some(&decision.parent);
            }
            let set = |body: &mut Body| set_all_in(body, &pairs);
            let seen = hub().live().head().has_rules().then_some(&set as &dyn Begin);
            let start = Start {
                parent: parent.map(|node| node.context),
                kind: kind(api, given.kind),
                start_time,
                timeout: 0,
                attributes: seen,
            };
            let started = match &decided {
                Some(decision) => self.core.start_decided(&name, start, &decision.core),
                None => self.core.start(&name, start),
            };
            let object = Span::object_inside(started, parent, current.node());
            let view = View::object(object, this, given.flags());
            let view = Bound::from_owned_ptr_or_err(py, view)?;
            let span = raw::value::<Span>(object);
            crate::span::set_all(span, &pairs);
            if let Some(node) = parent {
                baggage::copy_onto(span, node);
            }
            if span.is_recording() && !is_nothing(given.links) {
                let links = Bound::from_borrowed_ptr(py, given.links);
                forgive(py, link_all(py, span, &links))?;
            }
            Ok(view.into_ptr())
        }
    }

    /// # Safety
    /// As [`Tracer::start`].
    #[cold]
    #[inline(never)]
    unsafe fn start_instead(
        &self,
        py: Python<'_>,
        this: *mut PyObject,
        given: &Given,
    ) -> PyResult<*mut PyObject> {
        // SAFETY: by the caller's promise.
        unsafe {
            let instead = Bound::from_borrowed_ptr(py, self.instead.get());
            let or = |value: *mut PyObject, other: *mut PyObject| {
                Bound::from_borrowed_ptr(py, if value.is_null() { other } else { value })
            };
            let (none, yes) = (ffi::Py_None(), ffi::Py_True());
            let args = PyTuple::new(
                py,
                [
                    or(this, none),
                    or(given.name, none),
                    or(given.context, none),
                    or(given.kind, api(py)?.kinds[0].as_ptr()),
                    or(given.attributes, none),
                    or(given.links, none),
                    or(given.start_time, none),
                    or(given.record_exception, yes),
                    or(given.set_status, yes),
                ],
            )?;
            Ok(instead.call1(args)?.into_ptr())
        }
    }
}

/// What a sampler or a generator of ids of the program's has decided.
struct Decision {
    core: Decided,
    /// The parent, with the `tracestate` that was decided on.
    parent: Node,
}

impl Decision {
    /// # Safety
    /// `given` is a live object or null.
    unsafe fn read(
        py: Python<'_>,
        given: *mut PyObject,
        parent: Option<&Node>,
    ) -> PyResult<Option<Self>> {
        // SAFETY: by the caller's promise.
        let Some(given) = (unsafe { Bound::from_borrowed_ptr_or_opt(py, given) }) else {
            return Ok(None);
        };
        let (trace_id, span_id, sampled, state): (u128, Option<u64>, Option<bool>, String) =
            given.extract()?;
        let core = Decided {
            trace_id: TraceId(trace_id.to_be_bytes()),
            span_id: span_id.map(|id| SpanId(id.to_be_bytes())),
            sampled,
        };
        let state = (!state.is_empty()).then(|| TraceState::parse(&state)).flatten();
        let context = parent.map(|node| node.context).unwrap_or_default();
        Ok(Some(Self { core, parent: Node::new(context, state.map(Arc::new)) }))
    }
}

/// Whether there are no links.
///
/// # Safety
/// A live object or null.
#[inline(always)]
unsafe fn has_none(links: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise; the classes are checked.
    unsafe {
        is_nothing(links)
            || ffi::PyTuple_CheckExact(links) != 0 && ffi::PyTuple_GET_SIZE(links) == 0
            || ffi::PyList_CheckExact(links) != 0 && ffi::PyList_GET_SIZE(links) == 0
    }
}

/// # Safety
/// A live object or null.
#[inline(always)]
unsafe fn kind(api: &Api, given: *mut PyObject) -> SpanKind {
    if given.is_null() {
        return SpanKind::Internal;
    }
    let place = api.kinds.iter().position(|kind| kind.as_ptr() == given);
    place.map_or(SpanKind::Internal, |place| SpanKind::from_u8(place as u8))
}

/// The span that the runtime context in force, which is not ours, has as current.
fn foreign_parent<'py>(py: Python<'py>, api: &Api) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: a live object or null.
    let Some(runtime) = (unsafe { Bound::from_borrowed_ptr_or_opt(py, api.runtime()) }) else {
        return Ok(None);
    };
    let context = forgive(py, runtime.call_method0(intern!(py, "get_current")))?;
    // SAFETY: live objects.
    let span = context.map(|context| unsafe {
        context::native(py, context::item(context.as_ptr(), &api.span_key))
    });
    Ok(span.transpose()?.flatten())
}

fn link_all(py: Python<'_>, span: &Span, links: &Bound<'_, PyAny>) -> PyResult<()> {
    for link in links.try_iter()? {
        let link = link?;
        let to = link.getattr(intern!(py, "context"))?;
        let given = link.getattr(intern!(py, "attributes"))?;
        // SAFETY: live objects.
        unsafe { view::link(py, span, to.as_ptr(), given.as_ptr()) }?;
    }
    Ok(())
}

unsafe extern "C" fn start_span(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let given = Given::of(&bind(&args, "start_span", &PARAMETERS, 1)?);
        // SAFETY: a method of this class, and live arguments.
        unsafe { raw::value::<Tracer>(this).start(py, this, &given) }.map(|(span, _)| span)
    })
}

unsafe extern "C" fn start_ours(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let bound = bind(&args, "_start", &OURS, 1)?;
        let given = Given { decided: bound[8], ..Given::of(&bound) };
        let api = api(py)?;
        let in_force = runtime::is_in_force(py, api);
        // SAFETY: a method of this class, and live arguments.
        unsafe { raw::value::<Tracer>(this).start_own(py, this, api, in_force, &given) }
    })
}

unsafe extern "C" fn start_as_current_span(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|_| {
        let args = Args::new(args, count, names);
        let bound = bind(&args, "start_as_current_span", &super::entered::PARAMETERS, 1)?;
        Ok(Entered::object(this, &bound))
    })
}

unsafe extern "C" fn set_instead(this: *mut PyObject, function: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class, with a live argument; the reference put away is ours.
    unsafe {
        let tracer = raw::value::<Tracer>(this);
        let fresh = match is_nothing(function) {
            true => std::ptr::null_mut(),
            false => ffi::Py_NewRef(function),
        };
        ffi::Py_XDECREF(tracer.instead.replace(fresh));
    }
    raw::none()
}

unsafe extern "C" fn construct(
    _: *mut ffi::PyTypeObject,
    args: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a tuple, as the interpreter passes.
        let args = unsafe { Bound::from_borrowed_ptr(py, args) }.cast_into::<PyTuple>()?;
        let name = args.get_item(0)?.cast_into::<PyString>()?;
        let scope = args.get_item(1).unwrap_or_else(|_| py.None().into_bound(py));
        let core = Core::new(hub().clone(), &name.to_string_lossy());
        let core = match scope.is_none() {
            true => core,
            false => core.with_scope(read_scope(&scope)?),
        };
        let instead = Cell::new(std::ptr::null_mut());
        Ok(raw::new(Tracer { core, scope: scope.into_ptr(), instead }))
    })
}

/// A scope with `version`, `schema_url` and `attributes`.
fn read_scope(given: &Bound<'_, PyAny>) -> PyResult<Scope> {
    let text = |name: &str| -> PyResult<String> {
        let text = given.getattr(name)?;
        if text.is_none() { Ok(String::new()) } else { Ok(convert::printed(&text)?.into_name()) }
    };
    let mut scope = Scope::new(&text("version")?, &text("schema_url")?);
    // SAFETY: a live object.
    let pairs = unsafe { attributes::pairs(given.py(), given.getattr("attributes")?.as_ptr()) }?;
    for (name, value) in pairs {
        scope.add(|encoder| value.encode(encoder, Key::new(&name)));
    }
    Ok(scope)
}

unsafe extern "C" fn name(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::string(unsafe { raw::value::<Tracer>(this) }.core.name())
}

unsafe extern "C" fn scope(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    unsafe { ffi::Py_NewRef(raw::value::<Tracer>(this).scope) }
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    let name = unsafe { raw::value::<Tracer>(this) }.core.name();
    text::string(&format!("<coati.otel.Tracer {name:?}>"))
}
