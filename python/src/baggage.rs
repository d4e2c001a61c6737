//! Baggage: what a program passes on to whom it calls, current like spans and fields.

use std::ffi::{CStr, c_int};
use std::sync::Arc;

use coati_core::propagate::Baggage;
use coati_core::propagate::baggage::is_token;
use coati_core::record::value::{Key, Value};
use coati_core::span::Body;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::awaitable;
use crate::convert::convert_text;
use crate::current::{Current, Entry, Node};
use crate::fields::Layer;
use crate::gil::Guarded;
use crate::hub::hub;
use crate::otel::View;
use crate::raw::{self, Class, Raw, Table};
use crate::remote::node_of;
use crate::scope::Scope;
use crate::span::Span;
use crate::text::Name;

/// Takes over the baggage of what is around, unless the span brought its own.
#[cold]
pub fn inherit(own: &Node, below: Option<&Node>) {
    if let Some(baggage) = below.and_then(|below| below.baggage.get())
        && own.baggage.set(baggage.clone()).is_ok()
    {
        return;
    }
    if let Some(baggage) = own.baggage.get()
        && let Some(fields) = fields(baggage, below)
    {
        let _ = own.fields.set(fields);
    }
}

/// Takes over the baggage of `chosen`, a parent somebody gave, over that of `current`.
pub fn adopt(own: &Node, chosen: &Node, current: Option<&Node>) {
    let Some(baggage) = chosen.baggage.get() else { return };
    let below = current.and_then(|current| current.baggage.get());
    let baggage = match below.filter(|below| !Arc::ptr_eq(below, baggage)) {
        Some(below) => {
            let mut both = (**below).clone();
            both.extend(baggage);
            Arc::new(both)
        }
        None => baggage.clone(),
    };
    let _ = own.baggage.set(baggage);
}

/// The fields inside: those of `below` and what of the baggage is configured to be fields; `None`
/// where that is nothing.
pub fn fields(baggage: &Baggage, below: Option<&Node>) -> Option<Arc<Layer>> {
    let mut layer = Layer::default();
    for name in hub().live().baggage_fields().iter() {
        if let Some(value) = baggage.get(name) {
            layer.push(|encoder| encoder.field((Key::new(name), Value::Str(value))));
        }
    }
    if layer.is_empty() {
        return None;
    }
    Some(Arc::new(match below.and_then(Node::fields) {
        Some(below) => layer.over(below),
        None => layer,
    }))
}

/// Sets what of the baggage is configured to be fields as attributes, where they are not set yet.
#[inline(always)]
pub fn copy_onto(span: &Span, node: &Node) {
    if let Some(baggage) = node.baggage.get() {
        span.with_core(|core| {
            if let Some(body) = core.body() {
                set_fields(body, baggage);
            }
        });
    }
}

/// The same for a span that begins.
#[inline(always)]
pub fn copy_into(body: &mut Body, node: &Node) {
    if let Some(baggage) = node.baggage.get() {
        set_fields(body, baggage);
    }
}

#[cold]
#[inline(never)]
fn set_fields(body: &mut Body, baggage: &Baggage) {
    for name in hub().live().baggage_fields().iter() {
        let key = Key::new(name);
        let Some(value) = baggage.get(name).filter(|_| body.attribute(key).is_none()) else {
            continue;
        };
        body.set_attribute((key, Value::Str(value)));
    }
}

/// Baggage as Python shows it.
pub fn dict<'py>(py: Python<'py>, baggage: Option<&Arc<Baggage>>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for member in baggage.into_iter().flat_map(|baggage| baggage.iter()) {
        dict.set_item(&*member.name, &*member.value)?;
    }
    Ok(dict)
}

/// Baggage as Python gives it: a mapping, or the text of a header.
pub fn read(given: &Bound<'_, PyAny>) -> PyResult<Baggage> {
    if let Ok(header) = given.cast::<PyString>() {
        return Ok(Baggage::parse(&header.to_string_lossy()));
    }
    let mut baggage = Baggage::default();
    for pair in given.call_method0("items")?.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        put(&mut baggage, &convert_text(&name)?, &convert_text(&value)?, "")?;
    }
    Ok(baggage)
}

fn put(baggage: &mut Baggage, name: &str, value: &str, metadata: &str) -> PyResult<()> {
    if baggage.set(name, value, metadata) {
        return Ok(());
    }
    Err(PyValueError::new_err(if is_token(name) {
        format!("metadata {metadata:?}: accepted: visible ASCII without commas")
    } else {
        format!("baggage {name:?}: accepted: letters, digits and !#$%&'*+-.^_`|~")
    }))
}

/// What has been made current, until it is detached.
pub struct Token {
    object: *mut PyObject,
    entry: Guarded<Option<Entry>>,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Token {}

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 6]> = Table([
    raw::plain(
        c"detach",
        detach,
        ffi::METH_NOARGS,
        c"detach($self, /)\n--\n\nMake current what was so before.",
    ),
    raw::plain(c"__enter__", enter, ffi::METH_NOARGS, c"__enter__($self, /)\n--\n\n"),
    raw::fast(c"__exit__", exit, c"__exit__($self, /, *exc_info)\n--\n\n"),
    raw::plain(c"__aenter__", async_enter, ffi::METH_NOARGS, c"__aenter__($self, /)\n--\n\n"),
    raw::fast(c"__aexit__", async_exit, c"__aexit__($self, /, *exc_info)\n--\n\n"),
    raw::END,
]);

impl Raw for Token {
    const NAME: &'static CStr = c"coati.Token";
    const DOC: &'static CStr =
        c"What has been made current: `detach()` or the end of a `with` statement undoes it.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![raw::slot(ffi::Py_tp_methods, METHODS.pointer())]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        match visit(self.object) {
            0 => match self.entry.borrow().as_deref() {
                Some(Some(entry)) => entry.traverse(visit),
                _ => 0,
            },
            stop => stop,
        }
    }

    fn clear(&self) {
        drop(self.take());
    }
}

impl Token {
    fn take(&self) -> Option<Entry> {
        self.entry.borrow().and_then(|mut entry| entry.take())
    }

    /// Makes `object` current, whose reference is taken over.
    fn entering(py: Python<'_>, object: *mut PyObject, current: Current) -> PyResult<Py<PyAny>> {
        // SAFETY: our reference, or null with an error set.
        let object = unsafe { Bound::from_owned_ptr_or_err(py, object) }?;
        let entry = Entry::enter(object.as_ptr(), current);
        let token = raw::new(Self { object: object.into_ptr(), entry: Guarded::new(entry) });
        // SAFETY: a new reference, or null with an error set.
        unsafe { Bound::from_owned_ptr_or_err(py, token) }.map(Bound::unbind)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // SAFETY: our reference.
        unsafe { ffi::Py_DECREF(self.object) };
    }
}

unsafe extern "C" fn detach(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: a method of this class.
        let token = unsafe { raw::value::<Token>(this) };
        if let Some(entry) = token.take() {
            entry.leave(token.object);
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_NewRef(this) }
}

unsafe extern "C" fn exit(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as for this method.
    unsafe { detach(this, std::ptr::null_mut()) }
}

unsafe extern "C" fn async_enter(this: *mut PyObject, unused: *mut PyObject) -> *mut PyObject {
    // SAFETY: as for this method.
    awaitable::ready(unsafe { enter(this, unused) })
}

unsafe extern "C" fn async_exit(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as for this method.
    awaitable::ready(unsafe { detach(this, std::ptr::null_mut()) })
}

/// The baggage that is current, changed.
fn change(py: Python<'_>, f: impl FnOnce(&mut Baggage) -> PyResult<()>) -> PyResult<Py<PyAny>> {
    let current = Current::get();
    let below = current.node().and_then(|node| node.baggage.get());
    let mut baggage = below.map(|baggage| (**baggage).clone()).unwrap_or_default();
    f(&mut baggage)?;
    let scope = raw::new(Scope::carrying(&current, Arc::new(baggage)));
    Token::entering(py, scope, current)
}

/// Set a name for whom is called from now on.
#[pyfunction]
#[pyo3(signature = (name, value, metadata=None, /))]
pub fn baggage_set(
    py: Python<'_>,
    name: Name<'_>,
    value: &Bound<'_, PyAny>,
    metadata: Option<Name<'_>>,
) -> PyResult<Py<PyAny>> {
    let value = convert_text(value)?;
    change(py, |baggage| put(baggage, &name, &value, metadata.as_deref().unwrap_or_default()))
}

/// Remove a name.
#[pyfunction]
#[pyo3(signature = (name, /))]
pub fn baggage_remove(py: Python<'_>, name: Name<'_>) -> PyResult<Py<PyAny>> {
    change(py, |baggage| {
        baggage.remove(&name);
        Ok(())
    })
}

/// Remove all names.
#[pyfunction]
pub fn baggage_clear(py: Python<'_>) -> PyResult<Py<PyAny>> {
    change(py, |baggage| {
        *baggage = Baggage::default();
        Ok(())
    })
}

/// The value of a name.
#[pyfunction]
#[pyo3(signature = (name, default=None, /))]
pub fn baggage_get<'py>(
    py: Python<'py>,
    name: Name<'_>,
    default: Option<Bound<'py, PyAny>>,
) -> Option<Bound<'py, PyAny>> {
    let current = Current::get();
    let value = current.node().and_then(|node| node.baggage.get()?.get(&name));
    value.map(|value| PyString::new(py, value).into_any()).or(default)
}

/// All names with their values.
#[pyfunction]
pub fn baggage_get_all(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    dict(py, Current::get().node().and_then(|node| node.baggage.get()))
}

/// Make a context current: of a span, or of headers.
#[pyfunction]
#[pyo3(signature = (context, /))]
pub fn attach(context: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let Some(node) = node_of(context) else {
        let found = context.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "attach needs a Span or SpanContext, not {found}"
        )));
    };
    let current = Current::get();
    let py = context.py();
    if !node.context.is_valid() {
        // Nothing but baggage: the current span stays.
        return change(py, |baggage| {
            node.baggage.get().into_iter().for_each(|more| baggage.extend(more));
            Ok(())
        });
    }
    // SAFETY: a live object whose class is checked.
    let span = match unsafe { raw::is::<View>(context.as_ptr()) } {
        // SAFETY: as above.
        true => unsafe { raw::value::<View>(context.as_ptr()) }.span(py),
        false => context.clone(),
    };
    // SAFETY: as above.
    let object = match unsafe { raw::is::<Span>(span.as_ptr()) } {
        true => {
            // SAFETY: as above.
            unsafe { raw::value::<Span>(span.as_ptr()) }.go_on_from(current.node());
            span.into_ptr()
        }
        false => Span::standing_for(node, current.node()),
    };
    // SAFETY: a span, or null with an error set.
    if let Some(attached) = (!object.is_null()).then(|| unsafe { raw::value::<Span>(object) })
        && attached.node().around().is_null()
    {
        attached.node().stay_inside(&current);
    }
    Token::entering(py, object, current)
}

/// Makes the class and adds the functions.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Token", raw::make::<Token>(module.py())?)?;
    module.add_function(wrap_pyfunction!(attach, module)?)?;
    module.add_function(wrap_pyfunction!(baggage_set, module)?)?;
    module.add_function(wrap_pyfunction!(baggage_get, module)?)?;
    module.add_function(wrap_pyfunction!(baggage_get_all, module)?)?;
    module.add_function(wrap_pyfunction!(baggage_remove, module)?)?;
    module.add_function(wrap_pyfunction!(baggage_clear, module)?)
}
