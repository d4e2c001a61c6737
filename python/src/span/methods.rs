//! What Python calls on a span.

use std::ffi::c_void;

use coati_core::record::value::{Field, Key};
use coati_core::record::write::Encoder;
use coati_core::span::{Body, Status};
use pyo3::exceptions::{PyBaseException, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::{Span, add_event, enter, leave, record};
use crate::convert::{Owned, convert, convert_text};
use crate::exception::Told;
use crate::fields::{Call, Layer, Simple};
use crate::raw::{self, Args, Table};
use crate::remote::{self, Remote};
use crate::{awaitable, text, value};

pub static METHODS: Table<[ffi::PyMethodDef; 14]> = Table([
    raw::fast(c"set_attribute", set_attribute, c"set_attribute($self, key, value, /)\n--\n\nSet one attribute; one of the same name is replaced."),
    raw::plain(c"set_attributes", set_attributes, ffi::METH_O, c"set_attributes($self, attributes, /)\n--\n\nSet each attribute of a mapping."),
    raw::fast(c"add_event", event, c"add_event($self, name, attributes=None, timestamp=None, /, **fields)\n--\n\nAdd an event that happens now, or at `timestamp` in nanoseconds since the epoch."),
    raw::fast(c"add_link", add_link, c"add_link($self, context, attributes=None, /, **fields)\n--\n\nLink another span."),
    raw::fast(c"record_exception", record_exception, c"record_exception($self, exception, attributes=None, /, **fields)\n--\n\nAdd an event that tells of an exception."),
    raw::fast(c"set_status", set_status, c"set_status($self, status, description=None)\n--\n\nSet the status, `ok` or `error`; `ok` is final."),
    raw::plain(c"update_name", update_name, ffi::METH_O, c"update_name($self, name, /)\n--\n\nReplace the name."),
    raw::plain(c"is_recording", is_recording, ffi::METH_NOARGS, c"is_recording($self, /)\n--\n\nWhether what is set on it will be kept."),
    raw::plain(c"get_span_context", context_method, ffi::METH_NOARGS, c"get_span_context($self, /)\n--\n\nIts ids, as they cross process boundaries."),
    raw::fast(c"end", end, c"end($self, end_time=None)\n--\n\nEnd it, now or at `end_time` in nanoseconds since the epoch."),
    raw::plain(c"__aenter__", async_enter, ffi::METH_NOARGS, c"__aenter__($self, /)\n--\n\n"),
    raw::fast(c"__aexit__", async_exit, c"__aexit__($self, /, *exc_info)\n--\n\n"),
    raw::plain(c"__reduce__", reduce, ffi::METH_NOARGS, c"__reduce__($self, /)\n--\n\n"),
    raw::END,
]);

pub static ATTRIBUTES: Table<[ffi::PyGetSetDef; 5]> = Table([
    raw::getter(c"trace_id", trace_id, c"32 lower-case hexadecimal digits."),
    raw::getter(c"span_id", span_id, c"16 lower-case hexadecimal digits."),
    raw::getter(c"context", context, c"Its ids, as they cross process boundaries."),
    raw::getter(c"trace_state", trace_state, c"The W3C `tracestate`, None where there is none."),
    raw::NO_MORE,
]);

/// # Safety
/// `this` is a span that outlives the result.
#[inline(always)]
unsafe fn of<'a>(this: *mut PyObject) -> &'a Span {
    // SAFETY: by the caller's promise.
    unsafe { raw::value::<Span>(this) }
}

/// Sets converted attributes.
pub fn set_all(span: &Span, attributes: &[(String, Owned)]) {
    span.with_core(|core| {
        if let Some(body) = core.body() {
            set_all_in(body, attributes);
        }
    });
}

/// Sets attributes one by one.
pub fn set_all_in(body: &mut Body, attributes: &[(String, Owned)]) {
    for (name, value) in attributes {
        let key = Key::new(name);
        body.set(key, |encoder| value.encode(encoder, key));
    }
}

/// Adds a link to `target`, a span or a context; anything else is a `TypeError`.
pub fn link(span: &Span, target: &Bound<'_, PyAny>, attributes: &Layer) -> PyResult<()> {
    let Some(node) = remote::node_of(target) else {
        let found = target.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "a link needs a Span or SpanContext, not {found}"
        )));
    };
    let state = node.state.as_ref().map_or("", |state| state.as_str());
    span.with_core(|core| {
        if let Some(body) = core.body() {
            let encode = |encoder: &mut Encoder<'_>, limit| attributes.encode(encoder, limit);
            body.add_link(&node.context, state, encode);
        }
    });
    Ok(())
}

unsafe extern "C" fn set_attribute(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("set_attribute", 2)?;
        args.only("set_attribute", &[])?;
        // SAFETY: a method of this class, and live arguments.
        let (span, name) = unsafe { (of(this), Bound::from_borrowed_ptr(py, args.positional(0))) };
        if !span.is_recording() {
            return Ok(raw::none());
        }
        // SAFETY: live arguments of the types they are checked for.
        let quick = unsafe {
            let name = ffi::PyUnicode_CheckExact(name.as_ptr()) != 0;
            let name = if name { text::utf8(args.positional(0)) } else { None };
            name.zip(value::simple(args.positional(1)))
        };
        match quick {
            Some((name, value)) => {
                let field: Field<'_> = (Key::new(name), value);
                span.with_core(|core| core.set_attribute(field));
            }
            None => {
                // SAFETY: a live argument.
                let value = unsafe { Bound::from_borrowed_ptr(py, args.positional(1)) };
                set_all(span, &[(convert_text(&name)?.into_name(), convert(&value)?)]);
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn set_attributes(
    this: *mut PyObject,
    attributes: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a live argument.
        let (span, attributes) = unsafe { (of(this), Bound::from_borrowed_ptr(py, attributes)) };
        if span.is_recording() {
            set_all(span, &Layer::of_mapping(Some(&attributes))?);
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
        args.expect_range("add_event", 1, 3)?;
        // SAFETY: a method of this class, and a live argument.
        let (span, name) = unsafe { (of(this), Bound::from_borrowed_ptr(py, args.positional(0))) };
        if !span.is_recording() {
            return Ok(raw::none());
        }
        let time = timestamp(args.find(py, 2, ""))?;
        let name = convert_text(&name)?;
        let keyword =
            args.keyword(py, "attributes").filter(|value| value.is_instance_of::<PyDict>());
        let mut fields = Simple::new();
        if args.count == 1 && keyword.is_none() && fields.read(&args) {
            add_event(span, &name, time, &Call::Simple(fields.all()));
            return Ok(raw::none());
        }
        let except: &[&str] = if keyword.is_some() { &["attributes"] } else { &[] };
        let mapping = if args.count > 1 { args.find(py, 1, "") } else { keyword };
        let layer = Layer::gather(py, mapping.as_ref(), &args, except)?;
        add_event(span, &name, time, &Call::Converted(&layer));
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
        args.expect_range("add_link", 1, 2)?;
        // SAFETY: a method of this class, and a live argument.
        let (span, target) =
            unsafe { (of(this), Bound::from_borrowed_ptr(py, args.positional(0))) };
        let (mapping, except) = attributes_of(py, &args);
        link(span, &target, &Layer::gather(py, mapping.as_ref(), &args, except)?)?;
        Ok(raw::none())
    })
}

unsafe extern "C" fn record_exception(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect_range("record_exception", 1, 2)?;
        // SAFETY: a method of this class, and a live argument.
        let (span, given) = unsafe { (of(this), Bound::from_borrowed_ptr(py, args.positional(0))) };
        let Ok(exception) = given.cast::<PyBaseException>() else {
            let found = given.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected an exception, not {found}")));
        };
        if span.is_recording() {
            let told = Told::of(exception)?;
            let (mapping, except) = attributes_of(py, &args);
            record(span, told, &[&Layer::gather(py, mapping.as_ref(), &args, except)?]);
        }
        Ok(raw::none())
    })
}

/// The mapping given as the second argument or as a dict called `attributes`, and the keywords
/// that are then no attributes themselves.
fn attributes_of<'py>(
    py: Python<'py>,
    args: &Args,
) -> (Option<Bound<'py, PyAny>>, &'static [&'static str]) {
    if args.count > 1 {
        return (args.find(py, 1, ""), &[]);
    }
    match args.keyword(py, "attributes").filter(|value| value.is_instance_of::<PyDict>()) {
        Some(mapping) => (Some(mapping), &["attributes"]),
        None => (None, &[]),
    }
}

/// Nanoseconds since the epoch.
pub fn timestamp(value: Option<Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    value.filter(|value| !value.is_none()).map(|value| value.extract::<u64>()).transpose()
}

unsafe extern "C" fn set_status(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect_range("set_status", 0, 2)?;
        args.only("set_status", &["status", "description"])?;
        let Some(status) = args.find(py, 0, "status") else {
            return Err(PyTypeError::new_err("set_status() missing argument 'status'"));
        };
        let name = status.cast::<PyString>().map(|name| name.to_string_lossy().into_owned());
        let status = name.as_deref().ok().and_then(Status::from_name).ok_or_else(|| {
            PyValueError::new_err(format!("unknown status {status}; accepted: ok, error, unset"))
        })?;
        let description = match args.find(py, 1, "description").filter(|text| !text.is_none()) {
            Some(description) => convert_text(&description)?,
            None => String::new().into(),
        };
        // SAFETY: a method of this class.
        unsafe { of(this) }.with_core(|core| core.set_status(status, &description));
        Ok(raw::none())
    })
}

unsafe extern "C" fn update_name(this: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a live argument.
        let (span, name) = unsafe { (of(this), Bound::from_borrowed_ptr(py, name)) };
        let name = convert_text(&name)?;
        span.with_core(|core| core.update_name(&name));
        Ok(raw::none())
    })
}

unsafe extern "C" fn is_recording(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { ffi::PyBool_FromLong(of(this).is_recording().into()) }
}

unsafe extern "C" fn end(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect_range("end", 0, 1)?;
        args.only("end", &["end_time"])?;
        let time = timestamp(args.find(py, 0, "end_time"))?;
        // SAFETY: a method of this class.
        unsafe { of(this) }.end(time);
        Ok(raw::none())
    })
}

pub unsafe extern "C" fn enter_method(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: a method of this class.
        unsafe {
            enter(this);
            Ok(ffi::Py_NewRef(this))
        }
    })
}

pub unsafe extern "C" fn exit_method(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            if leave(this) {
                let span = of(this);
                let failed = if count < 2 { ffi::Py_None() } else { *args.add(1) };
                let failed = if failed == ffi::Py_None() { Ok(()) } else { fail(py, span, failed) };
                span.end(None);
                failed?;
            }
        }
        Ok(raw::none())
    })
}

/// # Safety
/// `exception` is a live object.
#[cold]
unsafe fn fail(py: Python<'_>, span: &Span, exception: *mut PyObject) -> PyResult<()> {
    // SAFETY: by the caller's promise.
    match unsafe { Bound::from_borrowed_ptr(py, exception) }.cast::<PyBaseException>() {
        Ok(exception) => span.fail(exception),
        Err(_) => Ok(()),
    }
}

unsafe extern "C" fn async_enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: as for this method.
    awaitable::ready(unsafe { enter_method(this, std::ptr::null(), 0, std::ptr::null_mut()) })
}

unsafe extern "C" fn async_exit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as for this method.
    awaitable::ready(unsafe { exit_method(this, args, count, names) })
}

unsafe extern "C" fn trace_id(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::ascii(&unsafe { of(this) }.node().context.trace_id.hex())
}

unsafe extern "C" fn span_id(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::ascii(&unsafe { of(this) }.node().context.span_id.hex())
}

unsafe extern "C" fn context(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    let node = unsafe { of(this) }.node();
    Remote::like(node, None)
}

unsafe extern "C" fn trace_state(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    remote::state_of(unsafe { of(this) }.node())
}

unsafe extern "C" fn context_method(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe { context(this, std::ptr::null_mut()) }
}

unsafe extern "C" fn reduce(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|_| Err(PyTypeError::new_err("a span cannot be pickled; send its context instead")))
}

pub unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    let context = unsafe { of(this) }.node().context;
    text::string(&format!("<coati.Span {}-{}>", context.trace_id, context.span_id))
}
