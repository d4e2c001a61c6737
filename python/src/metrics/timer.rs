//! `Histogram.time`.

use std::ffi::CStr;
use std::time::Instant;

use coati_core::instrument::Bound;
use pyo3::ffi;
use pyo3::ffi::PyObject;

use super::exemplar::Around;
use super::instrument::Amount;
use crate::awaitable;
use crate::gil::Guarded;
use crate::raw::{self, Class, Raw, Table};

/// Times what happens between entering and leaving.
pub struct Timer {
    bound: Bound,
    per_second: f64,
    /// When it was entered, each time it was and has not been left.
    since: Guarded<Vec<Instant>>,
}

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 5]> = Table([
    raw::plain(c"__enter__", enter, ffi::METH_NOARGS, c"__enter__($self, /)\n--\n\n"),
    raw::fast(c"__exit__", exit, c"__exit__($self, /, *exc_info)\n--\n\n"),
    raw::plain(c"__aenter__", async_enter, ffi::METH_NOARGS, c"__aenter__($self, /)\n--\n\n"),
    raw::fast(c"__aexit__", async_exit, c"__aexit__($self, /, *exc_info)\n--\n\n"),
    raw::END,
]);

impl Raw for Timer {
    const NAME: &'static CStr = c"coati.Timer";
    const DOC: &'static CStr =
        c"Times a `with` or `async with` statement, made by `Histogram.time`.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![raw::slot(ffi::Py_tp_methods, METHODS.pointer())]
    }
}

impl Timer {
    /// A timer for one series.
    pub fn new(bound: Bound) -> Self {
        let per_second = match &*bound.instrument().descriptor().unit {
            "ns" => 1e9,
            "us" => 1e6,
            "ms" => 1e3,
            "min" => 1.0 / 60.0,
            "h" => 1.0 / 3600.0,
            _ => 1.0,
        };
        Self { bound, per_second, since: Guarded::new(Vec::new()) }
    }
}

unsafe extern "C" fn enter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: a method of this class.
        let timer = unsafe { raw::value::<Timer>(this) };
        if let Some(mut since) = timer.since.borrow() {
            since.push(Instant::now());
        }
        // SAFETY: a live object.
        Ok(unsafe { ffi::Py_NewRef(this) })
    })
}

unsafe extern "C" fn exit(
    this: *mut PyObject,
    _: *const *mut PyObject,
    _: isize,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: a method of this class.
        let timer = unsafe { raw::value::<Timer>(this) };
        let since = timer.since.borrow().and_then(|mut since| since.pop());
        if let Some(since) = since {
            let measured = since.elapsed().as_secs_f64() * timer.per_second;
            timer.bound.record(measured);
            Around::now().offer_bound(&timer.bound, Amount::Float(measured));
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn async_enter(this: *mut PyObject, unused: *mut PyObject) -> *mut PyObject {
    // SAFETY: as for this method.
    awaitable::ready(unsafe { enter(this, unused) })
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
