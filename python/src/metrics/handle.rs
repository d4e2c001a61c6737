//! Bound handles: instruments with their labels.

use std::ffi::{CStr, c_void};

use coati_core::instrument::Bound;
use coati_core::live::exemplars_wanted;
use coati_core::metrics::Number;
use pyo3::ffi;
use pyo3::ffi::PyObject;

use super::exemplar::Around;
use super::instrument::{Amount, number};
use super::read::Stats;
use super::timer::Timer;
use super::{COUNTER, GAUGE, HISTOGRAM, UP_DOWN_COUNTER};
use crate::raw::{self, Args, Class, Raw, Table};
use crate::text;

/// A series of one kind of instrument.
pub struct Handle<const KIND: u8>(pub Bound);

static CLASSES: [Class; 4] = [const { Class::new() }; 4];
const NAMES: [&CStr; 4] = [
    c"coati.BoundCounter",
    c"coati.BoundUpDownCounter",
    c"coati.BoundGauge",
    c"coati.BoundHistogram",
];

const fn add<const KIND: u8>() -> ffi::PyMethodDef {
    raw::fast(c"add", add_method::<KIND>, c"add($self, amount=1, /)\n--\n\nAdd to the series.")
}

const fn value<const KIND: u8>() -> ffi::PyMethodDef {
    raw::plain(
        c"value",
        value_method::<KIND>,
        ffi::METH_NOARGS,
        c"value($self, /)\n--\n\nThe series' value.",
    )
}

static METHODS: Table<[[ffi::PyMethodDef; 4]; 4]> = Table([
    [add::<COUNTER>(), value::<COUNTER>(), raw::END, raw::END],
    [add::<UP_DOWN_COUNTER>(), value::<UP_DOWN_COUNTER>(), raw::END, raw::END],
    [
        raw::plain(c"set", set, ffi::METH_O, c"set($self, value, /)\n--\n\nSet the series."),
        add::<GAUGE>(),
        value::<GAUGE>(),
        raw::END,
    ],
    [
        raw::plain(c"record", record, ffi::METH_O, c"record($self, value, /)\n--\n\nRecord a value."),
        raw::plain(c"time", time, ffi::METH_NOARGS, c"time($self, /)\n--\n\nTime a `with` or `async with` statement, in seconds or what the unit says."),
        raw::plain(c"stats", stats, ffi::METH_NOARGS, c"stats($self, /)\n--\n\nThe series' figures."),
        raw::END,
    ],
]);

impl<const KIND: u8> Raw for Handle<KIND> {
    const NAME: &'static CStr = NAMES[KIND as usize];
    const DOC: &'static CStr = c"An instrument with its labels, made by `bind`.";

    fn class() -> &'static Class {
        &CLASSES[KIND as usize]
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, (&raw const METHODS.0[KIND as usize]).cast_mut().cast()),
            raw::slot(ffi::Py_tp_repr, repr::<KIND> as *mut c_void),
        ]
    }
}

/// # Safety
/// `this` is an instance that outlives the result.
#[inline(always)]
unsafe fn of<'a, const KIND: u8>(this: *mut PyObject) -> &'a Bound {
    // SAFETY: by the caller's promise.
    unsafe { &raw::value::<Handle<KIND>>(this).0 }
}

/// The way of most calls calls nothing itself, so that it saves no registers.
unsafe extern "C" fn add_method<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    if count == 0 && names.is_null() && !exemplars_wanted() {
        // SAFETY: a method of this class.
        let bound = unsafe { of::<KIND>(this) };
        if bound.try_add_int(1) {
            return raw::none();
        }
    }
    // SAFETY: as for this method.
    unsafe { add_with_care::<KIND>(this, args, count, names) }
}

#[inline(never)]
unsafe extern "C" fn add_with_care<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect_range("add", 0, 1)?;
        if !names.is_null() {
            args.only("add", &[])?;
        }
        // SAFETY: a method of this class, and a live argument.
        unsafe {
            let amount = match count {
                0 => Amount::Int(1),
                _ => Amount::of(py, args.positional(0))?,
            };
            let bound = of::<KIND>(this);
            match amount {
                Amount::Int(amount) => bound.add_int(amount),
                Amount::Float(amount) => bound.add_float(amount),
            }
            Around::now().offer_bound(bound, amount);
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn set(this: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a live argument.
        unsafe { of::<GAUGE>(this).set(Amount::of(py, value)?.as_f64()) };
        Ok(raw::none())
    })
}

unsafe extern "C" fn record(this: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class, and a live argument whose type is checked.
    unsafe {
        if ffi::PyFloat_CheckExact(value) != 0
            && !exemplars_wanted()
            && of::<HISTOGRAM>(this).try_record(ffi::PyFloat_AS_DOUBLE(value))
        {
            return raw::none();
        }
        record_with_care(this, value)
    }
}

#[inline(never)]
unsafe extern "C" fn record_with_care(this: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a live argument.
        let (bound, amount) = unsafe { (of::<HISTOGRAM>(this), Amount::of(py, value)?) };
        bound.record(amount.as_f64());
        Around::now().offer_bound(bound, amount);
        Ok(raw::none())
    })
}

unsafe extern "C" fn value_method<const KIND: u8>(
    this: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: a method of this class.
        let series = unsafe { of::<KIND>(this) }.series();
        Ok(number(series.map_or(Number::Int(0), |series| series.value())))
    })
}

unsafe extern "C" fn stats(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let series = unsafe { of::<HISTOGRAM>(this) }.series();
        let stats = series.map_or_else(Stats::empty, |series| Stats::of(&series.stats()));
        Ok(pyo3::Bound::new(py, stats)?.into_ptr())
    })
}

unsafe extern "C" fn time(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|_| {
        // SAFETY: a method of this class.
        let bound = unsafe { of::<HISTOGRAM>(this) };
        Ok(raw::new(Timer::new(bound.clone())))
    })
}

unsafe extern "C" fn repr<const KIND: u8>(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    let descriptor = unsafe { of::<KIND>(this) }.instrument().descriptor();
    text::string(&format!("<coati bound {} {:?}>", descriptor.kind, descriptor.name))
}
