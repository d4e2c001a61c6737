//! What Python calls on a stream span.

use std::ffi::{CStr, c_void};

use pyo3::exceptions::{PyBaseException, PyTypeError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::asynchronous::AsyncIterator;
use super::iterator::{Iterator, Wrapped};
use super::{End, Gather, Stream};
use crate::raw::{self, Args, Table};
use crate::{awaitable, span, text};

macro_rules! of_span {
    ($($function:ident = $name:literal;)*) => {
        $(unsafe extern "C" fn $function(
            this: *mut PyObject,
            args: *const *mut PyObject,
            count: isize,
            names: *mut PyObject,
        ) -> *mut PyObject {
            // SAFETY: a method of this class, and the arguments of the call.
            unsafe { forward(this, $name, args, count, names) }
        })*
    };
}

of_span! {
    set_attribute = c"set_attribute";
    set_attributes = c"set_attributes";
    add_event = c"add_event";
    add_link = c"add_link";
    record_exception = c"record_exception";
    set_status = c"set_status";
    update_name = c"update_name";
    is_recording = c"is_recording";
    get_span_context = c"get_span_context";
}

pub static METHODS: Table<[ffi::PyMethodDef; 17]> = Table([
    raw::fast(c"wrap", wrap, c"wrap($self, iterator, /)\n--\n\nAn iterator of the same, whose chunks the span tells of."),
    raw::fast(c"gather", gather, c"gather($self, function, /, *, total=False)\n--\n\nCall a function with each chunk: the attributes it gives are the span's at its end."),
    raw::fast(c"end", end, c"end($self)\n--\n\nEnd it now."),
    raw::fast(c"set_attribute", set_attribute, c"set_attribute($self, key, value, /)\n--\n\nAs `Span.set_attribute`."),
    raw::fast(c"set_attributes", set_attributes, c"set_attributes($self, attributes, /)\n--\n\nAs `Span.set_attributes`."),
    raw::fast(c"add_event", add_event, c"add_event($self, name, attributes=None, timestamp=None, /, **fields)\n--\n\nAs `Span.add_event`."),
    raw::fast(c"add_link", add_link, c"add_link($self, context, attributes=None, /, **fields)\n--\n\nAs `Span.add_link`."),
    raw::fast(c"record_exception", record_exception, c"record_exception($self, exception, attributes=None, /, **fields)\n--\n\nAs `Span.record_exception`."),
    raw::fast(c"set_status", set_status, c"set_status($self, status, description=None)\n--\n\nAs `Span.set_status`."),
    raw::fast(c"update_name", update_name, c"update_name($self, name, /)\n--\n\nAs `Span.update_name`."),
    raw::fast(c"is_recording", is_recording, c"is_recording($self, /)\n--\n\nAs `Span.is_recording`."),
    raw::fast(c"get_span_context", get_span_context, c"get_span_context($self, /)\n--\n\nAs `Span.get_span_context`."),
    raw::plain(c"__enter__", enter, ffi::METH_NOARGS, c"__enter__($self, /)\n--\n\n"),
    raw::fast(c"__exit__", exit, c"__exit__($self, /, *exc_info)\n--\n\n"),
    raw::plain(c"__aenter__", async_enter, ffi::METH_NOARGS, c"__aenter__($self, /)\n--\n\n"),
    raw::fast(c"__aexit__", async_exit, c"__aexit__($self, /, *exc_info)\n--\n\n"),
    raw::END,
]);

macro_rules! attributes_of_span {
    ($($function:ident = $name:literal;)*) => {
        $(unsafe extern "C" fn $function(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
            // SAFETY: an attribute of this class.
            unsafe { ffi::PyObject_GetAttrString(of(this).span, $name.as_ptr()) }
        })*
    };
}

attributes_of_span! {
    trace_id = c"trace_id";
    span_id = c"span_id";
    context = c"context";
    trace_state = c"trace_state";
}

pub static ATTRIBUTES: Table<[ffi::PyGetSetDef; 6]> = Table([
    raw::getter(c"span", span_of, c"The span itself."),
    raw::getter(c"trace_id", trace_id, c"32 lower-case hexadecimal digits."),
    raw::getter(c"span_id", span_id, c"16 lower-case hexadecimal digits."),
    raw::getter(c"context", context, c"Its ids, as they cross process boundaries."),
    raw::getter(c"trace_state", trace_state, c"The W3C `tracestate`, None where there is none."),
    raw::NO_MORE,
]);

/// # Safety
/// `this` is a stream span that outlives the result.
#[inline(always)]
unsafe fn of<'a>(this: *mut PyObject) -> &'a Stream {
    // SAFETY: by the caller's promise.
    unsafe { raw::value::<Stream>(this) }
}

/// Calls the span's method.
unsafe fn forward(
    this: *mut PyObject,
    name: &CStr,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: a live object, and the arguments of a call.
    unsafe {
        let method = ffi::PyObject_GetAttrString(of(this).span, name.as_ptr());
        if method.is_null() {
            return method;
        }
        let result = ffi::PyObject_Vectorcall(method, args, count as usize, names);
        ffi::Py_DECREF(method);
        result
    }
}

unsafe extern "C" fn span_of(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    unsafe { ffi::Py_NewRef(of(this).span) }
}

unsafe extern "C" fn wrap(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("wrap", 1)?;
        args.only("wrap", &[])?;
        let given = args.positional(0);
        // SAFETY: a method of this class, and a live argument; new references, or null with an
        // error set.
        unsafe {
            let class = ffi::Py_TYPE(given);
            let am_aiter = (*class).tp_as_async.as_ref().and_then(|am| am.am_aiter);
            let is_sync = (*class).tp_iter.is_some() || ffi::PySequence_Check(given) != 0;
            let object = match am_aiter {
                Some(aiter) if of(this).is_async.get() || !is_sync => {
                    let inner = Bound::from_owned_ptr_or_err(py, aiter(given))?;
                    let am = (*ffi::Py_TYPE(inner.as_ptr())).tp_as_async.as_ref();
                    if am.is_none_or(|am| am.am_anext.is_none()) {
                        return Err(PyTypeError::new_err("__aiter__() gave no async iterator"));
                    }
                    raw::new(AsyncIterator(Wrapped::new(this, inner.into_ptr())))
                }
                _ => {
                    let inner = Bound::from_owned_ptr_or_err(py, ffi::PyObject_GetIter(given))?;
                    raw::new(Iterator(Wrapped::new(this, inner.into_ptr())))
                }
            };
            Ok(object)
        }
    })
}

unsafe extern "C" fn gather(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("gather", 1)?;
        args.only("gather", &["total"])?;
        // SAFETY: a method of this class, and a live argument.
        let (stream, function) =
            unsafe { (of(this), Bound::from_borrowed_ptr(py, args.positional(0))) };
        if !function.is_callable() {
            let found = function.get_type().name()?;
            return Err(PyTypeError::new_err(format!("gather needs a function, not {found}")));
        }
        let total = args.keyword(py, "total").map(|total| total.is_truthy()).transpose()?;
        let total = total.unwrap_or(false);
        stream.gathers.borrow_mut().push(Gather { function: function.unbind(), total });
        // So that it decorates.
        // SAFETY: a live argument.
        Ok(unsafe { ffi::Py_NewRef(args.positional(0)) })
    })
}

unsafe extern "C" fn end(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|_| {
        let args = Args::new(args, count, names);
        args.expect("end", 0)?;
        args.only("end", &[])?;
        // SAFETY: a method of this class.
        let stream = unsafe { of(this) };
        if stream.live.get() > 0 {
            stream.note_end(End::Closed);
        }
        stream.finish();
        Ok(raw::none())
    })
}

unsafe extern "C" fn enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: a method of this class.
        unsafe {
            let stream = of(this);
            span::enter(stream.span);
            stream.depth.set(stream.depth.get() + 1);
            Ok(ffi::Py_NewRef(this))
        }
    })
}

unsafe extern "C" fn exit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            let stream = of(this);
            span::leave(stream.span);
            let depth = stream.depth.get().saturating_sub(1);
            stream.depth.set(depth);
            let raised = if count < 2 { ffi::Py_None() } else { *args.add(1) };
            if depth > 0 {
                return Ok(raw::none());
            }
            let raised = Bound::from_borrowed_ptr(py, raised);
            let failed = match raised.cast::<PyBaseException>() {
                Ok(exception) => fail(stream, exception),
                Err(_) => Ok(()),
            };
            if !raised.is_none() || stream.live.get() == 0 {
                stream.finish();
            }
            failed?;
        }
        Ok(raw::none())
    })
}

/// The statement ends by an exception, and with it the span.
fn fail(stream: &Stream, exception: &Bound<'_, PyBaseException>) -> PyResult<()> {
    if stream.finished.get() {
        return Ok(());
    }
    if stream.live.get() > 0 || stream.end.get() == Some(End::LetGo) {
        stream.note_end(End::of(exception)?);
    }
    stream.told.take();
    stream.span().fail(exception)
}

unsafe extern "C" fn async_enter(this: *mut PyObject, unused: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    unsafe {
        of(this).is_async.set(true);
        awaitable::ready(enter(this, unused))
    }
}

unsafe extern "C" fn async_exit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: as for this method.
    awaitable::ready(unsafe { exit(this, args, count, names) })
}

pub unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    let context = unsafe { of(this) }.span().node().context;
    text::string(&format!("<coati.StreamSpan {}-{}>", context.trace_id, context.span_id))
}
