//! W3C trace context in headers.

mod headers;

use std::borrow::Cow;
use std::sync::Arc;

use coati_core::propagate::traceparent;
use coati_core::span::SpanContext;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::current::Current;
use crate::raw::{self, Args};
use crate::remote::{Remote, node_of};
use crate::text;

/// Header names.
pub struct Names {
    traceparent: Py<PyString>,
    tracestate: Py<PyString>,
}

static NAMES: PyOnceLock<Names> = PyOnceLock::new();

fn names(py: Python<'_>) -> &Names {
    NAMES.get_or_init(py, || Names {
        traceparent: PyString::intern(py, "traceparent").unbind(),
        tracestate: PyString::intern(py, "tracestate").unbind(),
    })
}

/// Entries that `tracestate` may have (W3C).
const MAX_MEMBERS: usize = 32;
/// At least so many characters are to be passed on (W3C).
const MAX_STATE: usize = 512;
/// Entries longer than this are the first to go.
const LONG_MEMBER: usize = 128;

/// `inject(headers, context=None, /)`
pub unsafe extern "C" fn inject(
    _: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    keywords: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, keywords);
        args.expect_range("inject", 1, 2)?;
        args.only("inject", &["context"])?;
        let given = args.find(py, 1, "context").filter(|context| !context.is_none());
        let current = Current::get();
        let node = match &given {
            Some(context) => node_of(context),
            None => current.node(),
        };
        let Some(node) = node else { return Ok(raw::none()) };
        let Some(header) = traceparent::format(&node.context) else { return Ok(raw::none()) };
        let names = names(py);
        set(py, args.positional(0), &names.traceparent, text::ascii(&header))?;
        if let Some(state) = &node.tracestate {
            set(py, args.positional(0), &names.tracestate, text::string(state))?;
        }
        Ok(raw::none())
    })
}

/// Takes over the reference to `value`.
#[inline(always)]
fn set(
    py: Python<'_>,
    headers: *mut PyObject,
    name: &Py<PyString>,
    value: *mut PyObject,
) -> PyResult<()> {
    // SAFETY: live objects; a null value comes with an error set.
    unsafe {
        if value.is_null() {
            return Err(PyErr::fetch(py));
        }
        let result = if ffi::PyDict_CheckExact(headers) != 0 {
            ffi::PyDict_SetItem(headers, name.as_ptr(), value)
        } else {
            ffi::PyObject_SetItem(headers, name.as_ptr(), value)
        };
        ffi::Py_DECREF(value);
        if result == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
    }
}

/// `extract(headers, /)`
pub unsafe extern "C" fn extract(_: *mut PyObject, headers: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a live argument; the references that `PyDict_GetItemWithError` gives are borrowed
        // and used before other code runs.
        unsafe {
            let names = names(py);
            if ffi::PyDict_CheckExact(headers) != 0 {
                let parent = ffi::PyDict_GetItemWithError(headers, names.traceparent.as_ptr());
                if let Some(context) = parsed(parent) {
                    let (state, certain) = states(headers);
                    if certain {
                        return Ok(Remote::object(context, state.and_then(members)));
                    }
                }
            }
        }
        // SAFETY: a live argument.
        slow(&unsafe { Bound::from_borrowed_ptr(py, headers) })
    })
}

/// The one `tracestate` in a dict, its name in any case, and whether that is all there is to say.
///
/// # Safety
/// `headers` is a dict that outlives the result.
#[inline(always)]
unsafe fn states<'a>(headers: *mut PyObject) -> (Option<&'a str>, bool) {
    const NAME: &str = "tracestate";
    let mut found = None;
    let (mut at, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: by the caller's promise; nothing that runs in between changes the dict.
    unsafe {
        while ffi::PyDict_Next(headers, &mut at, &mut key, &mut value) != 0 {
            if ffi::PyUnicode_CheckExact(key) == 0 {
                return (None, false);
            }
            if ffi::PyUnicode_GET_LENGTH(key) as usize != NAME.len()
                || ffi::PyUnicode_IS_COMPACT_ASCII(key) == 0
                || !text::utf8(key).is_some_and(|key| key.eq_ignore_ascii_case(NAME))
            {
                continue;
            }
            let text = if ffi::PyUnicode_CheckExact(value) != 0 { text::utf8(value) } else { None };
            if found.is_some() || text.is_none() {
                return (None, false);
            }
            found = text;
        }
    }
    (found, true)
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
fn slow(headers: &Bound<'_, PyAny>) -> PyResult<*mut PyObject> {
    let found = headers::find(headers)?;
    let context = match &found.traceparent[..] {
        [one] => traceparent::parse(one.as_bytes()),
        // None, or several that contradict each other.
        _ => None,
    };
    Ok(match context {
        Some(context) => Remote::object(context, members(&found.tracestate.join(","))),
        None => Remote::object(SpanContext::default(), None),
    })
}

/// A `tracestate` that may be passed on; `None` where there is none or it is malformed.
fn members(state: &str) -> Option<Arc<str>> {
    let mut members: Vec<&str> =
        state.split(',').map(|m| m.trim_matches([' ', '\t'])).filter(|m| !m.is_empty()).collect();
    let sound = members.iter().all(|member| is_member(member))
        && (1..members.len()).all(|i| members[..i].iter().all(|m| key(m) != key(members[i])));
    if members.is_empty() || members.len() > MAX_MEMBERS || !sound {
        return None;
    }
    let length = |members: &[&str]| members.iter().map(|m| m.len() + 1).sum::<usize>() - 1;
    while length(&members) > MAX_STATE && members.len() > 1 {
        let long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
        members.remove(long.unwrap_or(members.len() - 1));
    }
    let joined: Cow<'_, str> = members.join(",").into();
    Some(joined.into())
}

fn key(member: &str) -> &str {
    member.split_once('=').map_or(member, |(key, _)| key)
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let begins = key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-*/@".contains(c);
    let fits = |c: char| matches!(c, ' '..='~') && c != ',' && c != '=';
    begins
        && key.len() <= 256
        && key.chars().all(goes_on)
        && !value.is_empty()
        && value.len() <= 256
        && value.chars().all(fits)
}
