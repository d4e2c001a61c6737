//! What the API's users call on a span.

use coati_core::record::value::Key;
use coati_core::span::Status;
use pyo3::exceptions::{PyBaseException, PyException, PyTypeError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::View;
use super::shown::span_context;
use crate::convert::{convert, convert_text};
use crate::exception::Told;
use crate::otel::api::{api, forgive};
use crate::otel::args::bind;
use crate::otel::{attributes, status};
use crate::raw::{self, Args, Table};
use crate::span::{Span, add_event, record_at, set_all};
use crate::{text, value};

pub static METHODS: Table<[ffi::PyMethodDef; 12]> = Table([
    raw::fast(c"set_attribute", set_attribute, c"set_attribute($self, key, value)\n--\n\nSet one attribute; one of the same name is replaced."),
    raw::fast(c"set_attributes", set_attributes, c"set_attributes($self, attributes)\n--\n\nSet each attribute of a mapping."),
    raw::fast(c"add_event", event, c"add_event($self, name, attributes=None, timestamp=None)\n--\n\nAdd an event that happens now, or at `timestamp` in nanoseconds since the epoch."),
    raw::fast(c"add_link", add_link, c"add_link($self, context, attributes=None)\n--\n\nLink another span."),
    raw::fast(c"record_exception", record_exception, c"record_exception($self, exception, attributes=None, timestamp=None, escaped=False)\n--\n\nAdd an event that tells of an exception."),
    raw::fast(c"set_status", set_status, c"set_status($self, status, description=None)\n--\n\nSet the status; OK is final."),
    raw::fast(c"update_name", update_name, c"update_name($self, name)\n--\n\nReplace the name."),
    raw::plain(c"is_recording", is_recording, ffi::METH_NOARGS, c"is_recording($self, /)\n--\n\nWhether what is set on it will be kept."),
    raw::plain(c"get_span_context", get_span_context, ffi::METH_NOARGS, c"get_span_context($self, /)\n--\n\nIts ids, as they cross process boundaries."),
    raw::fast(c"end", end, c"end($self, end_time=None)\n--\n\nEnd it, now or at `end_time` in nanoseconds since the epoch."),
    raw::plain(c"__reduce__", reduce, ffi::METH_NOARGS, c"__reduce__($self, /)\n--\n\n"),
    raw::END,
]);

/// # Safety
/// `this` is a view that outlives the result.
#[inline(always)]
unsafe fn of<'a>(this: *mut PyObject) -> &'a View {
    // SAFETY: by the caller's promise.
    unsafe { raw::value::<View>(this) }
}

/// The span behind a view if it takes what is said of it. One that has ended says so.
///
/// # Safety
/// As [`of`].
#[inline(always)]
unsafe fn open<'a>(py: Python<'_>, this: *mut PyObject, method: &str) -> Option<&'a Span> {
    // SAFETY: by the caller's promise.
    let span = unsafe { of(this) }.native();
    if span.is_recording() {
        return Some(span);
    }
    if span.has_ended() {
        too_late(py, method);
    }
    None
}

#[cold]
#[inline(never)]
fn too_late(py: Python<'_>, method: &str) {
    if let Ok(api) = api(py) {
        api.warn(py, &format!("{method} was called on a span that has ended"));
    }
}

/// A time in nanoseconds; what is none is now.
///
/// # Safety
/// A Python object or null.
unsafe fn time(py: Python<'_>, given: *mut PyObject) -> Option<u64> {
    // SAFETY: by the caller's promise.
    unsafe { Bound::from_borrowed_ptr_or_opt(py, given) }?.extract().ok()
}

unsafe extern "C" fn set_attribute(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let [key, given] = bind(&args, "set_attribute", &["key", "value"], 2)?;
        // SAFETY: a method of this class, and live arguments of the types they are checked for.
        unsafe {
            let Some(span) = open(py, this, "set_attribute") else { return Ok(raw::none()) };
            match text::exact(key).filter(|key| !key.is_empty()).zip(value::simple(given)) {
                Some((key, value)) => {
                    span.with_core(|core| core.set_attribute((Key::new(key), value)));
                }
                None => set_converted(py, span, key, given)?,
            }
        }
        Ok(raw::none())
    })
}

/// # Safety
/// Python objects.
#[inline(never)]
unsafe fn set_converted(
    py: Python<'_>,
    span: &Span,
    key: *mut PyObject,
    value: *mut PyObject,
) -> PyResult<()> {
    // SAFETY: by the caller's promise.
    let (key, value) =
        unsafe { (Bound::from_borrowed_ptr(py, key), Bound::from_borrowed_ptr(py, value)) };
    let name = convert_text(&key)?.into_name();
    if name.is_empty() || key.is_none() {
        api(py)?.warn(py, "An attribute without a name is left out");
        return Ok(());
    }
    set_all(span, &[(name, convert(&value)?)]);
    Ok(())
}

unsafe extern "C" fn set_attributes(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let [given] = bind(&args, "set_attributes", &["attributes"], 1)?;
        // SAFETY: a method of this class, and a live argument.
        unsafe {
            if let Some(span) = open(py, this, "set_attributes") {
                attributes::set(py, span, given)?;
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn event(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let [name, given, timestamp] =
            bind(&args, "add_event", &["name", "attributes", "timestamp"], 1)?;
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            if let Some(span) = open(py, this, "add_event") {
                let name = convert_text(&Bound::from_borrowed_ptr(py, name))?;
                let time = time(py, timestamp);
                attributes::with(py, given, |call| add_event(span, &name, time, call))?;
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn add_link(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let [to, given] = bind(&args, "add_link", &["context", "attributes"], 1)?;
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            if let Some(span) = open(py, this, "add_link") {
                link(py, span, to, given)?;
            }
        }
        Ok(raw::none())
    })
}

/// Links the span of a span context.
///
/// # Safety
/// Python objects; the attributes may be null.
pub unsafe fn link(
    py: Python<'_>,
    span: &Span,
    to: *mut PyObject,
    given: *mut PyObject,
) -> PyResult<()> {
    // SAFETY: by the caller's promise.
    unsafe {
        let to = Bound::from_borrowed_ptr(py, to);
        let read = crate::otel::ids::read(&to);
        let Some(node) = forgive(py, read)? else {
            api(py)?.warn(py, "A link without a span context is left out");
            return Ok(());
        };
        let layer = attributes::layer(py, given)?;
        let state = node.state.as_ref().map_or("", |state| state.as_str());
        span.with_core(|core| {
            if let Some(body) = core.body() {
                body.add_link(&node.context, state, |encoder, limit| layer.encode(encoder, limit));
            }
        });
    }
    Ok(())
}

unsafe extern "C" fn record_exception(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let known = ["exception", "attributes", "timestamp", "escaped"];
        let [exception, given, timestamp, escaped] = bind(&args, "record_exception", &known, 1)?;
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            if let Some(span) = open(py, this, "record_exception") {
                let escaped = !escaped.is_null() && ffi::PyObject_IsTrue(escaped) == 1;
                let exception = Bound::from_borrowed_ptr(py, exception);
                tell(py, span, &exception, given, time(py, timestamp), escaped)?;
            }
        }
        Ok(raw::none())
    })
}

/// Adds the event of an exception.
///
/// # Safety
/// Attributes are a Python object or null.
unsafe fn tell(
    py: Python<'_>,
    span: &Span,
    exception: &Bound<'_, PyAny>,
    given: *mut PyObject,
    time: Option<u64>,
    escaped: bool,
) -> PyResult<()> {
    let Ok(exception) = exception.cast::<PyBaseException>() else {
        api(py)?.warn(py, "What is recorded as an exception is none");
        return Ok(());
    };
    let told = Told::of(exception)?;
    // SAFETY: by the caller's promise.
    let more = unsafe { attributes::layer(py, given) }?;
    record_at(span, told, time, Some(escaped), &[&more]);
    Ok(())
}

unsafe extern "C" fn set_status(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let [given, why] = bind(&args, "set_status", &["status", "description"], 1)?;
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            if let Some(span) = open(py, this, "set_status") {
                status::set(py, api(py)?, span, given, why)?;
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn update_name(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let [name] = bind(&args, "update_name", &["name"], 1)?;
        // SAFETY: a method of this class, and a live argument.
        unsafe {
            if let Some(span) = open(py, this, "update_name") {
                let name = convert_text(&Bound::from_borrowed_ptr(py, name))?;
                span.with_core(|core| core.update_name(&name));
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn is_recording(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { ffi::PyBool_FromLong(of(this).native().is_recording().into()) }
}

unsafe extern "C" fn get_span_context(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { span_context(this, std::ptr::null_mut()) }
}

unsafe extern "C" fn end(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let [end_time] = bind(&args, "end", &["end_time"], 0)?;
        // SAFETY: a method of this class, and a live argument or null.
        unsafe {
            if let Some(span) = open(py, this, "end") {
                span.end(time(py, end_time));
            }
        }
        Ok(raw::none())
    })
}

pub unsafe extern "C" fn enter(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a live object.
    unsafe { ffi::Py_NewRef(this) }
}

pub unsafe extern "C" fn exit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            let view = of(this);
            let failed = if count < 2 { ffi::Py_None() } else { *args.add(1) };
            if failed != ffi::Py_None() && view.native().is_recording() {
                let flags = view.flags;
                let exception = Bound::from_borrowed_ptr(py, failed);
                said(py, view.native(), &exception, flags, true)?;
            }
            finish(py, this);
        }
        Ok(raw::none())
    })
}

/// Ends a span.
///
/// # Safety
/// `this` is a view.
#[inline(always)]
pub unsafe fn finish(py: Python<'_>, this: *mut PyObject) {
    // SAFETY: by the caller's promise.
    if let Some(span) = unsafe { open(py, this, "end") } {
        span.end(None);
    }
}

/// Notes an exception that leaves the statement over which a span is current; one that is no
/// `Exception` is no error.
#[cold]
#[inline(never)]
pub fn fail(
    py: Python<'_>,
    span: &Span,
    exception: &Bound<'_, PyAny>,
    flags: super::Flags,
) -> PyResult<()> {
    if !span.is_recording() || !exception.is_instance_of::<PyException>() {
        return Ok(());
    }
    said(py, span, exception, flags, false)
}

fn said(
    py: Python<'_>,
    span: &Span,
    exception: &Bound<'_, PyAny>,
    flags: super::Flags,
    escaped: bool,
) -> PyResult<()> {
    if flags.record_exception {
        // SAFETY: no attributes.
        unsafe { tell(py, span, exception, std::ptr::null_mut(), None, escaped) }?;
    }
    if flags.set_status {
        let name = exception.get_type().name().map_or_else(|_| String::new(), |n| n.to_string());
        let message = crate::convert::printed(exception)?;
        let description = format!("{name}: {}", text::beginning(&message));
        span.with_core(|core| core.set_status(Status::Error, &description));
    }
    Ok(())
}

unsafe extern "C" fn reduce(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|_| Err(PyTypeError::new_err("a span cannot be pickled; send its context instead")))
}
