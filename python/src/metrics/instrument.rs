//! Instruments, recorded into with labels.

use std::ffi::{CStr, c_void};
use std::sync::{Arc, LazyLock};

use coati_core::instrument::{Bound as CoreBound, Instrument as Core};
use coati_core::live::exemplars_wanted;
use coati_core::metrics::{Descriptor, Kind, Number, Series, Shard, Store, StoreConfig};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::cache::{self, Cache, Key, MOST};
use super::exemplar::Around;
use super::handle::Handle;
use super::label::Labels;
use super::read::Stats;
use super::timer::Timer;
use super::{COUNTER, GAUGE, HISTOGRAM, MetricError, UP_DOWN_COUNTER};
use crate::gil::Guarded;
use crate::hub::hub;
use crate::raw::{self, Args, Class, Raw, Table};
use crate::text::{self, Name};

/// An instrument of one kind.
pub struct Instrument<const KIND: u8> {
    core: Core,
    /// The series without labels.
    plain: CoreBound,
    cache: Guarded<Cache<MOST>>,
}

static CLASSES: [Class; 4] = [const { Class::new() }; 4];
const NAMES: [&CStr; 4] =
    [c"coati.Counter", c"coati.UpDownCounter", c"coati.Gauge", c"coati.Histogram"];
const DOCS: [&CStr; 4] = [
    c"A sum that only grows, made by `coati.counter`.",
    c"A sum that goes up and down, made by `coati.up_down_counter`.",
    c"The last value set, made by `coati.gauge`.",
    c"A distribution, made by `coati.histogram`.",
];
pub const KINDS: [Kind; 4] = [Kind::Counter, Kind::UpDownCounter, Kind::Gauge, Kind::Histogram];

const fn bind<const KIND: u8>() -> ffi::PyMethodDef {
    raw::fast(
        c"bind",
        bind_method::<KIND>,
        c"bind($self, /, **labels)\n--\n\nA handle to the series with these labels.",
    )
}

const fn value<const KIND: u8>() -> ffi::PyMethodDef {
    raw::fast(c"value", value_method::<KIND>, c"value($self, /, **labels)\n--\n\nThe value of the series with these labels, 0 where there is none.")
}

const fn add<const KIND: u8>() -> ffi::PyMethodDef {
    raw::fast(
        c"add",
        add_method::<KIND>,
        c"add($self, amount=1, /, **labels)\n--\n\nAdd to the series with these labels.",
    )
}

static METHODS: Table<[[ffi::PyMethodDef; 5]; 4]> = Table([
    [add::<COUNTER>(), bind::<COUNTER>(), value::<COUNTER>(), raw::END, raw::END],
    [add::<UP_DOWN_COUNTER>(), bind::<UP_DOWN_COUNTER>(), value::<UP_DOWN_COUNTER>(), raw::END, raw::END],
    [
        raw::fast(c"set", set, c"set($self, value, /, **labels)\n--\n\nSet the series with these labels."),
        add::<GAUGE>(),
        bind::<GAUGE>(),
        value::<GAUGE>(),
        raw::END,
    ],
    [
        raw::fast(c"record", record, c"record($self, value, /, **labels)\n--\n\nRecord a value into the series with these labels."),
        raw::fast(c"time", time, c"time($self, /, **labels)\n--\n\nTime a `with` or `async with` statement, in seconds or what the unit says."),
        raw::fast(c"stats", stats, c"stats($self, /, **labels)\n--\n\nThe figures of the series with these labels."),
        bind::<HISTOGRAM>(),
        raw::END,
    ],
]);

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 4]> = Table([
    raw::getter(c"name", name, c"The name."),
    raw::getter(c"unit", unit, c"The unit, empty for none."),
    raw::getter(c"description", description, c"For people."),
    raw::NO_MORE,
]);

impl<const KIND: u8> Raw for Instrument<KIND> {
    const NAME: &'static CStr = NAMES[KIND as usize];
    const DOC: &'static CStr = DOCS[KIND as usize];

    fn class() -> &'static Class {
        &CLASSES[KIND as usize]
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, (&raw const METHODS.0[KIND as usize]).cast_mut().cast()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_repr, repr as *mut c_void),
        ]
    }
}

impl<const KIND: u8> Instrument<KIND> {
    /// Calls `f` with the series of a call's labels and this thread's cells.
    #[inline(always)]
    fn with(&self, py: Python<'_>, args: &Args, f: impl Fn(&Series, &Shard)) -> PyResult<()> {
        if args.names.is_null() {
            self.plain.with(f);
            return Ok(());
        }
        if !hub().is_on() {
            return Ok(());
        }
        let place = cache::place::<MOST>(Key::from(args));
        if let Some(place) = place
            && let Some(cache) = self.cache.borrow()
            && cache.with(place, Key::from(args), &f)
        {
            return Ok(());
        }
        self.miss(py, args, place, &f)
    }

    /// The same, and offers what `f` has measured as an exemplar of the span around.
    #[cold]
    #[inline(never)]
    fn with_exemplar(
        &self,
        py: Python<'_>,
        args: &Args,
        amount: Amount,
        f: impl Fn(&Series, &Shard),
    ) -> PyResult<()> {
        let around = Around::now();
        self.with(py, args, |series, shard| {
            f(series, shard);
            around.offer(series, amount);
        })
    }

    #[cold]
    #[inline(never)]
    fn miss(
        &self,
        py: Python<'_>,
        args: &Args,
        place: Option<cache::Place>,
        f: &dyn Fn(&Series, &Shard),
    ) -> PyResult<()> {
        let labels = Labels::read(py, args)?;
        let Some(series) = labels.with(|labels| self.core.series(labels)) else { return Ok(()) };
        hub().with(|recorder| {
            if let Some(recorder) = recorder {
                f(&series, recorder.shard());
            }
        });
        if let Some(place) = place {
            // Dropped after the borrow has ended.
            let _released =
                self.cache.borrow().and_then(|mut cache| cache.keep(place, args.into(), series));
        }
        Ok(())
    }
}

/// A number to add, set or record.
#[derive(Clone, Copy)]
pub enum Amount {
    Int(i64),
    Float(f64),
}

impl Amount {
    /// The number that `object` is; one that is none counts as NaN, which every series ignores.
    ///
    /// # Safety
    /// `object` is a live object.
    #[inline(always)]
    pub unsafe fn of(py: Python<'_>, object: *mut PyObject) -> PyResult<Self> {
        // SAFETY: by the caller's promise; each branch has checked the type.
        unsafe {
            let kind = ffi::Py_TYPE(object);
            if kind == &raw mut ffi::PyLong_Type {
                let mut overflow = 0;
                let value = ffi::PyLong_AsLongLongAndOverflow(object, &mut overflow);
                if overflow == 0 {
                    return Ok(Self::Int(value));
                }
            } else if kind == &raw mut ffi::PyFloat_Type {
                return Ok(Self::Float(ffi::PyFloat_AS_DOUBLE(object)));
            }
            Self::converted(&Bound::from_borrowed_ptr(py, object))
        }
    }

    #[cold]
    fn converted(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(value) = object.extract::<i64>() {
            return Ok(Self::Int(value));
        }
        object.extract::<f64>().map(Self::Float).or_else(|error| {
            crate::convert::tolerate(object.py(), error)?;
            Ok(Self::Float(f64::NAN))
        })
    }

    /// As a double.
    #[inline(always)]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Adds it to a series.
    #[inline(always)]
    pub fn add_to(self, series: &Series, shard: &Shard) {
        match self {
            Self::Int(value) => series.add_int(shard, value),
            Self::Float(value) => series.add_float(shard, value),
        }
    }
}

/// # Safety
/// `this` is an instance that outlives the result.
#[inline(always)]
unsafe fn of<'a, const KIND: u8>(this: *mut PyObject) -> &'a Instrument<KIND> {
    // SAFETY: by the caller's promise.
    unsafe { raw::value(this) }
}

unsafe extern "C" fn add_method<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect_range("add", 0, 1)?;
        // SAFETY: a method of this class, and a live argument.
        unsafe {
            let amount = match count {
                0 => Amount::Int(1),
                _ => Amount::of(py, args.positional(0))?,
            };
            let this = of::<KIND>(this);
            if exemplars_wanted() {
                this.with_exemplar(py, &args, amount, |series, shard| {
                    amount.add_to(series, shard)
                })?;
            } else {
                this.with(py, &args, |series, shard| amount.add_to(series, shard))?;
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn set(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("set", 1)?;
        // SAFETY: a method of this class, and a live argument.
        unsafe {
            let value = Amount::of(py, args.positional(0))?.as_f64();
            of::<GAUGE>(this).with(py, &args, |series, _| series.set(value))?;
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn record(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("record", 1)?;
        // SAFETY: a method of this class, and a live argument.
        unsafe {
            let amount = Amount::of(py, args.positional(0))?;
            let (this, value) = (of::<HISTOGRAM>(this), amount.as_f64());
            if exemplars_wanted() {
                this.with_exemplar(py, &args, amount, |series, shard| series.record(shard, value))?;
            } else {
                this.with(py, &args, |series, shard| series.record(shard, value))?;
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn bind_method<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("bind", 0)?;
        // SAFETY: a method of this class.
        let core = unsafe { &of::<KIND>(this).core };
        let bound = Labels::read(py, &args)?.with(|labels| core.bind(labels));
        Ok(raw::new(Handle::<KIND>(bound)))
    })
}

/// A number as Python has it.
pub fn number(number: Number) -> *mut PyObject {
    // SAFETY: the interpreter is attached.
    unsafe {
        match number {
            Number::Int(value) => ffi::PyLong_FromLongLong(value),
            Number::Float(value) => ffi::PyFloat_FromDouble(value),
        }
    }
}

unsafe extern "C" fn value_method<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("value", 0)?;
        // SAFETY: a method of this class.
        let core = unsafe { &of::<KIND>(this).core };
        let series = Labels::read(py, &args)?.with(|labels| core.find(labels));
        Ok(number(series.map_or(Number::Int(0), |series| series.value())))
    })
}

unsafe extern "C" fn stats(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("stats", 0)?;
        // SAFETY: a method of this class.
        let core = unsafe { &of::<HISTOGRAM>(this).core };
        let series = Labels::read(py, &args)?.with(|labels| core.find(labels));
        let stats = series.map_or_else(Stats::empty, |series| Stats::of(&series.stats()));
        Ok(Bound::new(py, stats)?.into_ptr())
    })
}

unsafe extern "C" fn time(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("time", 0)?;
        // SAFETY: a method of this class.
        let core = unsafe { &of::<HISTOGRAM>(this).core };
        let bound = Labels::read(py, &args)?.with(|labels| core.bind(labels));
        Ok(raw::new(Timer::new(bound)))
    })
}

/// # Safety
/// `this` is an instrument of any kind, all of which have one layout.
unsafe fn descriptor<'a>(this: *mut PyObject) -> &'a Descriptor {
    // SAFETY: by the caller's promise.
    unsafe { of::<COUNTER>(this) }.core.descriptor()
}

unsafe extern "C" fn name(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of these classes.
    text::string(&unsafe { descriptor(this) }.name)
}

unsafe extern "C" fn unit(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of these classes.
    text::string(&unsafe { descriptor(this) }.unit)
}

unsafe extern "C" fn description(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of these classes.
    text::string(&unsafe { descriptor(this) }.description)
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of these classes.
    let descriptor = unsafe { descriptor(this) };
    text::string(&format!("<coati {} {:?}>", descriptor.kind, descriptor.name))
}

/// All instruments ever asked for, whether or not an engine runs: what says that a name is taken.
static DIRECTORY: LazyLock<Arc<Store>> = LazyLock::new(|| Store::new(StoreConfig::default()));

static INSTRUMENTS: Guarded<Option<Py<PyDict>>> = Guarded::new(None);

/// Lets there be at least as many instruments as an engine takes.
pub fn allow(most: usize) {
    DIRECTORY.set_max_instruments(most.max(StoreConfig::default().max_instruments));
}

/// A handle to the instrument of that description; `false` beyond the limit of instruments.
pub fn handle(descriptor: Descriptor) -> PyResult<(Core, bool)> {
    let refused = |error: coati_core::metrics::MetricError| MetricError::new_err(error.to_string());
    let settled = DIRECTORY.instrument(descriptor.clone()).map_err(refused)?;
    // Beyond the limit the directory gives a stand-in.
    let known = settled.descriptor().name == descriptor.name;
    let descriptor = if known { (**settled.descriptor()).clone() } else { descriptor };
    Ok((Core::new(hub().clone(), descriptor).map_err(refused)?, known))
}

/// The instrument of that description, the same one each time.
pub fn make<'py, const KIND: u8>(
    py: Python<'py>,
    name: &str,
    unit: &str,
    description: &str,
    bounds: Option<&[f64]>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut descriptor = Descriptor::new(name, KINDS[KIND as usize], unit, description);
    if let Some(bounds) = bounds {
        descriptor = descriptor.with_bounds(bounds);
    }
    let (core, known) = handle(descriptor)?;
    let object = || {
        let plain = core.bind(&[]);
        raw::new(Instrument::<KIND> { core, plain, cache: Guarded::new(Cache::default()) })
    };
    if known {
        return crate::registry::named(py, &INSTRUMENTS, name, object);
    }
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(py, object()) }
}

/// The counter called `name`.
#[pyfunction]
#[pyo3(
    signature = (name, unit=Name::default(), description=Name::default()),
    text_signature = "(name, unit='', description='')"
)]
pub fn counter<'py>(
    py: Python<'py>,
    name: Name<'_>,
    unit: Name<'_>,
    description: Name<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    make::<COUNTER>(py, &name, &unit, &description, None)
}

/// The up-down counter called `name`.
#[pyfunction]
#[pyo3(
    signature = (name, unit=Name::default(), description=Name::default()),
    text_signature = "(name, unit='', description='')"
)]
pub fn up_down_counter<'py>(
    py: Python<'py>,
    name: Name<'_>,
    unit: Name<'_>,
    description: Name<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    make::<UP_DOWN_COUNTER>(py, &name, &unit, &description, None)
}

/// The gauge called `name`.
#[pyfunction]
#[pyo3(
    signature = (name, unit=Name::default(), description=Name::default()),
    text_signature = "(name, unit='', description='')"
)]
pub fn gauge<'py>(
    py: Python<'py>,
    name: Name<'_>,
    unit: Name<'_>,
    description: Name<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    make::<GAUGE>(py, &name, &unit, &description, None)
}

/// The histogram called `name`.
#[pyfunction]
#[pyo3(
    signature = (name, unit=Name::default(), description=Name::default(), buckets=None),
    text_signature = "(name, unit='', description='', buckets=None)"
)]
pub fn histogram<'py>(
    py: Python<'py>,
    name: Name<'_>,
    unit: Name<'_>,
    description: Name<'_>,
    buckets: Option<Vec<f64>>,
) -> PyResult<Bound<'py, PyAny>> {
    make::<HISTOGRAM>(py, &name, &unit, &description, buckets.as_deref())
}
