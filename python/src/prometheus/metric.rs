//! The native half of `coati.prometheus`' metrics: what is called for each event.

use std::cell::{Cell, OnceCell};
use std::ffi::{CStr, c_int};
use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::{PyObject, PyTypeObject};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::family::{Definition, Family};
use super::labels::Asked;
use super::series::{Exemplar, Series};
use super::{COUNTER, GAUGE, HISTOGRAM, INFO, SUMMARY, labels};
use crate::gil::Guarded;
use crate::raw::{self, Args, Class, Raw, Table};
use crate::text::Name;

/// A metric of one kind, or one of its children. What is filled later is so by `_open` or `labels`.
#[derive(Default)]
pub struct Metric<const KIND: u8> {
    pub family: OnceCell<Arc<Family>>,
    /// Where it is recorded into, unless it has labels that are not given yet.
    pub series: OnceCell<Arc<Series>>,
    /// The label names.
    pub names: OnceCell<Py<PyTuple>>,
    /// The label values of a child.
    pub values: OnceCell<Py<PyTuple>>,
    /// The children of a metric with labels, by label values.
    pub children: OnceCell<Py<PyDict>>,
    /// Whether children need no constructor.
    pub simple: Cell<bool>,
    pub asked: Guarded<Option<Asked>>,
}

static CLASSES: [Class; 5] = [const { Class::new() }; 5];
const NAMES: [&CStr; 5] = [
    c"coati._native.PrometheusCounter",
    c"coati._native.PrometheusGauge",
    c"coati._native.PrometheusSummary",
    c"coati._native.PrometheusHistogram",
    c"coati._native.PrometheusInfo",
];
const TYPES: [&str; 5] = ["counter", "gauge", "summary", "histogram", "info"];

type Methods = [ffi::PyMethodDef; 12];

const fn methods<const KIND: u8>() -> Methods {
    let mut all = [raw::END; 12];
    all[0] = raw::fast(c"_open", open::<KIND>, c"_open($self, name, documentation, unit, labelnames, bounds, most_recent, simple, /)\n--\n\n");
    all[1] = raw::fast(
        c"labels",
        labels::labels::<KIND>,
        c"labels($self, /, *labelvalues, **labelkwargs)\n--\n\nThe child with these label values.",
    );
    all[2] =
        raw::plain(c"_remove", remove::<KIND>, ffi::METH_O, c"_remove($self, values, /)\n--\n\n");
    all[3] = raw::plain(c"_clear", clear::<KIND>, ffi::METH_NOARGS, c"_clear($self, /)\n--\n\n");
    all[4] = raw::plain(c"_read", read::<KIND>, ffi::METH_O, c"_read($self, cell, /)\n--\n\n");
    all[5] = raw::fast(c"_write", write::<KIND>, c"_write($self, cell, value, /)\n--\n\n");
    all[6] = raw::plain(
        c"_exemplar",
        exemplar::<KIND>,
        ffi::METH_O,
        c"_exemplar($self, cell, /)\n--\n\n",
    );
    all[7] = raw::fast(
        c"_set_exemplar",
        set_exemplar::<KIND>,
        c"_set_exemplar($self, cell, labels, value, timestamp, /)\n--\n\n",
    );
    match KIND {
        COUNTER => {
            all[8] = raw::fast(
                c"inc",
                inc,
                c"inc($self, /, amount=1, exemplar=None)\n--\n\nAdd to the counter.",
            );
        }
        GAUGE => {
            all[8] = raw::fast(
                c"inc",
                gauge_inc::<false>,
                c"inc($self, /, amount=1)\n--\n\nAdd to the gauge.",
            );
            all[9] = raw::fast(
                c"dec",
                gauge_inc::<true>,
                c"dec($self, /, amount=1)\n--\n\nTake from the gauge.",
            );
            all[10] = raw::fast(c"set", gauge_set, c"set($self, /, value)\n--\n\nSet the gauge.");
        }
        SUMMARY => {
            all[8] = raw::fast(
                c"observe",
                summary_observe,
                c"observe($self, /, amount)\n--\n\nObserve a value.",
            );
        }
        HISTOGRAM => {
            all[8] = raw::fast(
                c"observe",
                observe,
                c"observe($self, /, amount, exemplar=None)\n--\n\nObserve a value.",
            );
        }
        _ => {}
    }
    all
}

static METHODS: Table<[Methods; 5]> = Table([
    methods::<COUNTER>(),
    methods::<GAUGE>(),
    methods::<SUMMARY>(),
    methods::<HISTOGRAM>(),
    methods::<INFO>(),
]);

const fn attributes<const KIND: u8>() -> [ffi::PyGetSetDef; 8] {
    [
        raw::getter(c"_name", text_attribute::<KIND, 0>, c"The name of the family."),
        raw::getter(c"_documentation", text_attribute::<KIND, 1>, c"For people."),
        raw::getter(c"_unit", text_attribute::<KIND, 2>, c"The unit."),
        raw::getter(c"_labelnames", object_attribute::<KIND, 0>, c"The names of the labels."),
        raw::getter(
            c"_labelvalues",
            object_attribute::<KIND, 1>,
            c"The values of a child's labels.",
        ),
        raw::getter(
            c"_children",
            object_attribute::<KIND, 2>,
            c"A copy of the children by label values.",
        ),
        raw::getter(c"_upper_bounds", bounds::<KIND>, c"The bounds of a histogram's buckets."),
        raw::NO_MORE,
    ]
}

static ATTRIBUTES: Table<[[ffi::PyGetSetDef; 8]; 5]> = Table([
    attributes::<COUNTER>(),
    attributes::<GAUGE>(),
    attributes::<SUMMARY>(),
    attributes::<HISTOGRAM>(),
    attributes::<INFO>(),
]);

impl<const KIND: u8> Raw for Metric<KIND> {
    const NAME: &'static CStr = NAMES[KIND as usize];
    const DOC: &'static CStr = c"The native half of a metric of coati.prometheus.";
    const FLAGS: u64 = ffi::Py_TPFLAGS_BASETYPE;

    fn class() -> &'static Class {
        &CLASSES[KIND as usize]
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        let place = KIND as usize;
        vec![
            raw::slot(ffi::Py_tp_new, new_slot::<KIND> as *mut _),
            raw::slot(ffi::Py_tp_methods, (&raw const METHODS.0[place]).cast_mut().cast()),
            raw::slot(ffi::Py_tp_getset, (&raw const ATTRIBUTES.0[place]).cast_mut().cast()),
        ]
    }

    unsafe fn traverse(&self, visit: &mut dyn FnMut(*mut PyObject) -> c_int) -> c_int {
        let names = self.names.get().map(Py::as_ptr);
        let values = self.values.get().map(Py::as_ptr);
        let children = self.children.get().map(Py::as_ptr);
        for held in [names, values, children].into_iter().flatten() {
            match visit(held) {
                0 => {}
                stop => return stop,
            }
        }
        0
    }
}

/// The value of an instance, of a Python subclass too.
///
/// # Safety
/// `this` is an instance that outlives the result.
#[inline(always)]
pub unsafe fn of<'a, const KIND: u8>(this: *mut PyObject) -> &'a Metric<KIND> {
    // SAFETY: by the caller's promise; a subclass begins as its base does.
    unsafe { raw::value::<Metric<KIND>>(this) }
}

/// Whether `object` is such a metric.
///
/// # Safety
/// `object` is a Python object.
pub unsafe fn is<const KIND: u8>(object: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise; the class lives for ever.
    unsafe { ffi::PyObject_TypeCheck(object, Metric::<KIND>::class().get()) != 0 }
}

/// The family of a metric of any kind.
pub fn family_of(object: &Bound<'_, PyAny>) -> Option<Arc<Family>> {
    let object = object.as_ptr();
    // SAFETY: a live object, whose class each branch has checked.
    let family = unsafe {
        if is::<COUNTER>(object) {
            of::<COUNTER>(object).family.get()
        } else if is::<GAUGE>(object) {
            of::<GAUGE>(object).family.get()
        } else if is::<SUMMARY>(object) {
            of::<SUMMARY>(object).family.get()
        } else if is::<HISTOGRAM>(object) {
            of::<HISTOGRAM>(object).family.get()
        } else {
            None
        }
    };
    family.cloned()
}

unsafe extern "C" fn new_slot<const KIND: u8>(
    class: *mut PyTypeObject,
    _: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: called by the interpreter with the class or a subclass of it.
    unsafe { new_of::<KIND>(class) }
}

/// A new instance of `class` that is not open; null with an error set where memory is short.
///
/// # Safety
/// `class` is this class or a subclass of it.
pub unsafe fn new_of<const KIND: u8>(class: *mut PyTypeObject) -> *mut PyObject {
    // SAFETY: by the caller's promise; the memory is zeroed and large enough, and the value is
    // written before anything else looks at it.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class, 0);
        if !object.is_null() {
            let object = object.cast::<raw::Object<Metric<KIND>>>();
            (&raw mut (*object).value).write(Metric::default());
        }
        object
    }
}

impl<const KIND: u8> Metric<KIND> {
    /// Where it is recorded into.
    #[inline(always)]
    fn series(&self) -> PyResult<&Series> {
        match self.series.get() {
            Some(series) => Ok(series),
            None => Err(unobservable::<KIND>()),
        }
    }
}

#[cold]
#[inline(never)]
fn unobservable<const KIND: u8>() -> PyErr {
    let kind = TYPES[KIND as usize];
    PyValueError::new_err(format!("{kind} metric is missing label values"))
}

unsafe extern "C" fn open<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("_open", 7)?;
        // SAFETY: a method of this class; live arguments.
        let (metric, arg) =
            unsafe { (of::<KIND>(this), |at| Bound::from_borrowed_ptr(py, args.positional(at))) };
        let text = |at| Ok::<_, PyErr>(arg(at).extract::<Name<'_>>()?.to_string());
        let labelnames = arg(3).cast_into::<PyTuple>()?;
        let labels = labelnames.iter().map(|name| Ok(name.extract::<Name<'_>>()?.to_string()));
        let definition = Definition {
            kind: KIND,
            name: text(0)?,
            documentation: text(1)?,
            unit: text(2)?,
            labels: labels.collect::<PyResult<_>>()?,
            bounds: arg(4).extract()?,
            most_recent: arg(5).is_truthy()?,
        };
        let family = Arc::new(Family::new(definition));
        if labelnames.is_empty() {
            let _ = metric.series.set(family.add(&[] as &[&str], now(py)?));
        } else {
            let _ = metric.children.set(PyDict::new(py).unbind());
        }
        metric.simple.set(arg(6).is_truthy()?);
        let _ = metric.family.set(family);
        let _ = metric.names.set(labelnames.unbind());
        Ok(raw::none())
    })
}

unsafe extern "C" fn remove<const KIND: u8>(
    this: *mut PyObject,
    values: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a live argument.
        let (metric, values) =
            unsafe { (of::<KIND>(this), Bound::<PyAny>::from_borrowed_ptr(py, values)) };
        let Some(children) = metric.children.get().map(|children| children.bind(py)) else {
            return Ok(raw::none());
        };
        if let Some(child) = children.get_item(&values)? {
            children.del_item(&values)?;
            // SAFETY: children are of this class: nothing else is put into the dict.
            let child = unsafe { of::<KIND>(child.as_ptr()) };
            if let (Some(family), Some(series)) = (metric.family.get(), child.series.get()) {
                family.remove(series);
            }
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn clear<const KIND: u8>(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let metric = unsafe { of::<KIND>(this) };
        if let (Some(family), Some(children)) = (metric.family.get(), metric.children.get()) {
            family.clear();
            children.bind(py).clear();
        }
        Ok(raw::none())
    })
}

/// Calls `f` with a cell; -1 is the time of creation.
fn with_cell<const KIND: u8, R>(
    metric: &Metric<KIND>,
    index: &Bound<'_, PyAny>,
    f: impl FnOnce(&super::series::Cell) -> R,
) -> PyResult<R> {
    let series = metric.series()?;
    let cell = match index.extract::<isize>()? {
        -1 => Some(&series.created),
        index => usize::try_from(index).ok().and_then(|index| series.cells.get(index)),
    };
    Ok(f(cell.ok_or_else(|| PyIndexError::new_err("no such cell"))?))
}

unsafe extern "C" fn read<const KIND: u8>(
    this: *mut PyObject,
    index: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a live argument.
        let (metric, index) = unsafe { (of::<KIND>(this), Bound::from_borrowed_ptr(py, index)) };
        let value = with_cell(metric, &index, |cell| cell.get())?;
        // SAFETY: makes a new object.
        Ok(unsafe { ffi::PyFloat_FromDouble(value) })
    })
}

unsafe extern "C" fn write<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("_write", 2)?;
        // SAFETY: a method of this class; live arguments.
        unsafe {
            let index = Bound::from_borrowed_ptr(py, args.positional(0));
            let value = number(py, args.positional(1))?;
            with_cell(of::<KIND>(this), &index, |cell| cell.set(value))?;
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn exemplar<const KIND: u8>(
    this: *mut PyObject,
    index: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, and a live argument.
        let (metric, index) =
            unsafe { (of::<KIND>(this), Bound::<PyAny>::from_borrowed_ptr(py, index)) };
        let Some(exemplar) = metric.series()?.exemplar(index.extract()?) else {
            return Ok(raw::none());
        };
        let labels = PyDict::new(py);
        for (name, value) in &exemplar.labels {
            labels.set_item(name, value)?;
        }
        Ok((labels, exemplar.value, exemplar.timestamp).into_pyobject(py)?.into_any().into_ptr())
    })
}

unsafe extern "C" fn set_exemplar<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("_set_exemplar", 4)?;
        // SAFETY: live arguments.
        let arg = |at| unsafe { Bound::<PyAny>::from_borrowed_ptr(py, args.positional(at)) };
        let mut labels = Vec::new();
        for (name, value) in arg(1).cast_into::<PyDict>()? {
            let (name, value) = (name.extract::<Name<'_>>()?, value.extract::<Name<'_>>()?);
            labels.push((name.to_string(), value.to_string()));
        }
        labels.sort();
        let exemplar = Exemplar { labels, value: arg(2).extract()?, timestamp: arg(3).extract()? };
        // SAFETY: a method of this class.
        unsafe { of::<KIND>(this) }.series()?.set_exemplar(arg(0).extract()?, exemplar);
        Ok(raw::none())
    })
}

unsafe extern "C" fn text_attribute<const KIND: u8, const WHICH: u8>(
    this: *mut PyObject,
    _: *mut std::ffi::c_void,
) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    let family = unsafe { of::<KIND>(this) }.family.get();
    let definition = family.map(|family| &family.definition);
    let text = definition.map_or("", |definition| match WHICH {
        0 => &*definition.name,
        1 => &*definition.documentation,
        _ => &*definition.unit,
    });
    crate::text::string(text)
}

unsafe extern "C" fn object_attribute<const KIND: u8, const WHICH: u8>(
    this: *mut PyObject,
    _: *mut std::ffi::c_void,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let metric = unsafe { of::<KIND>(this) };
        let object = match WHICH {
            0 => metric.names.get().map(|names| names.clone_ref(py).into_any()),
            1 => metric.values.get().map(|values| values.clone_ref(py).into_any()),
            _ => {
                let children = metric.children.get().map(|children| children.bind(py).copy());
                return Ok(children.unwrap_or_else(|| Ok(PyDict::new(py)))?.into_ptr());
            }
        };
        Ok(object.map_or_else(|| PyTuple::empty(py).into_ptr(), Py::into_ptr))
    })
}

unsafe extern "C" fn bounds<const KIND: u8>(
    this: *mut PyObject,
    _: *mut std::ffi::c_void,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: an attribute of this class.
        let family = unsafe { of::<KIND>(this) }.family.get();
        let bounds = family.map_or(&[][..], |family| &family.definition.bounds);
        Ok(bounds.into_pyobject(py)?.into_any().into_ptr())
    })
}

/// The program's time, which tests may have replaced, in seconds since the epoch.
pub fn now(py: Python<'_>) -> PyResult<f64> {
    py.import(intern!(py, "time"))?.call_method0(intern!(py, "time"))?.extract()
}

/// The number that `object` is.
///
/// # Safety
/// `object` is a live object.
#[inline(always)]
unsafe fn number(py: Python<'_>, object: *mut PyObject) -> PyResult<f64> {
    // SAFETY: by the caller's promise; each branch has checked the type.
    unsafe {
        if ffi::PyFloat_CheckExact(object) != 0 {
            return Ok(ffi::PyFloat_AS_DOUBLE(object));
        }
        match ffi::PyFloat_AsDouble(object) {
            -1.0 => PyErr::take(py).map_or(Ok(-1.0), Err),
            value => Ok(value),
        }
    }
}

/// The number that a call was given, and nothing else.
#[inline(always)]
fn alone(py: Python<'_>, args: &Args) -> Option<PyResult<f64>> {
    // SAFETY: a live argument.
    (args.count == 1 && args.names.is_null()).then(|| unsafe { number(py, args.positional(0)) })
}

/// The first argument, called `name`, as a number.
fn amount(py: Python<'_>, args: &Args, method: &str, name: &str) -> PyResult<Option<f64>> {
    match args.find(py, 0, name) {
        // SAFETY: a live argument.
        Some(amount) => unsafe { number(py, amount.as_ptr()) }.map(Some),
        None if args.count == 0 => Ok(None),
        None => Err(PyTypeError::new_err(format!("{method}() has no argument {name:?}"))),
    }
}

/// Keeps an exemplar, if there is one, as the Python half checks it.
fn keep_exemplar(
    py: Python<'_>,
    this: *mut PyObject,
    args: &Args,
    cell: usize,
    value: f64,
) -> PyResult<()> {
    match args.find(py, 1, "exemplar") {
        Some(exemplar) if exemplar.is_truthy()? => {
            // SAFETY: a live object.
            let this = unsafe { Bound::<PyAny>::from_borrowed_ptr(py, this) };
            this.call_method1(intern!(py, "_keep_exemplar"), (cell, value, exemplar))?;
            Ok(())
        }
        _ => Ok(()),
    }
}

unsafe extern "C" fn inc(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let series = unsafe { of::<COUNTER>(this) }.series()?;
        if count == 0 && names.is_null() {
            series.cells[0].add(1.0);
            return Ok(raw::none());
        }
        let args = Args::new(args, count, names);
        let amount = match alone(py, &args) {
            Some(amount) => amount?,
            None => {
                args.expect_range("inc", 0, 2)?;
                args.only("inc", &["amount", "exemplar"])?;
                amount(py, &args, "inc", "amount")?.unwrap_or(1.0)
            }
        };
        if amount < 0.0 {
            return Err(PyValueError::new_err(
                "Counters can only be incremented by non-negative amounts.",
            ));
        }
        series.cells[0].add(amount);
        if count > 1 || !names.is_null() {
            keep_exemplar(py, this, &args, 0, amount)?;
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn gauge_inc<const DOWN: bool>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let method = if DOWN { "dec" } else { "inc" };
        // SAFETY: a method of this class.
        let gauge = unsafe { of::<GAUGE>(this) };
        if gauge.family.get().is_some_and(|family| family.definition.most_recent) {
            let reason = format!("{method} must not be used with the mostrecent mode");
            return Err(PyRuntimeError::new_err(reason));
        }
        let series = gauge.series()?;
        let args = Args::new(args, count, names);
        let amount = match alone(py, &args) {
            Some(amount) => amount?,
            None => {
                args.expect_range(method, 0, 1)?;
                args.only(method, &["amount"])?;
                amount(py, &args, method, "amount")?.unwrap_or(1.0)
            }
        };
        series.cells[0].add(if DOWN { -amount } else { amount });
        Ok(raw::none())
    })
}

/// The one argument of a call.
fn only_argument<'py>(
    py: Python<'py>,
    args: &Args,
    method: &str,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    if args.count == 1 && args.names.is_null() {
        // SAFETY: a live argument.
        return Ok(unsafe { Bound::from_borrowed_ptr(py, args.positional(0)) });
    }
    args.expect_range(method, 0, 1)?;
    args.only(method, &[name])?;
    let missing = || PyTypeError::new_err(format!("{method}() misses the argument '{name}'"));
    args.find(py, 0, name).ok_or_else(missing)
}

unsafe extern "C" fn gauge_set(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let series = unsafe { of::<GAUGE>(this) }.series()?;
        let value = only_argument(py, &Args::new(args, count, names), "set", "value")?;
        // SAFETY: a live argument. As `float(value)`, which reads texts, too.
        let value = unsafe {
            if ffi::PyFloat_CheckExact(value.as_ptr()) != 0 {
                ffi::PyFloat_AS_DOUBLE(value.as_ptr())
            } else {
                Bound::from_owned_ptr_or_err(py, ffi::PyNumber_Float(value.as_ptr()))?.extract()?
            }
        };
        series.cells[0].set(value);
        Ok(raw::none())
    })
}

unsafe extern "C" fn summary_observe(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let series = unsafe { of::<SUMMARY>(this) }.series()?;
        let amount = only_argument(py, &Args::new(args, count, names), "observe", "amount")?;
        // SAFETY: a live argument.
        let amount = unsafe { number(py, amount.as_ptr()) }?;
        series.cells[0].add(1.0);
        series.cells[1].add(amount);
        Ok(raw::none())
    })
}

unsafe extern "C" fn observe(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class.
        let histogram = unsafe { of::<HISTOGRAM>(this) };
        let series = histogram.series()?;
        let args = Args::new(args, count, names);
        let told = match alone(py, &args) {
            Some(amount) => Some(amount?),
            None => {
                args.expect_range("observe", 0, 2)?;
                args.only("observe", &["amount", "exemplar"])?;
                amount(py, &args, "observe", "amount")?
            }
        };
        let missing = || PyTypeError::new_err("observe() misses the argument 'amount'");
        let amount = told.ok_or_else(missing)?;
        let bounds = histogram.family.get().map_or(&[][..], |family| &family.definition.bounds);
        series.cells[bounds.len()].add(amount);
        // NaN is in no bucket.
        if let Some(bucket) = bounds.iter().position(|bound| amount <= *bound) {
            series.cells[bucket].add(1.0);
            if count > 1 || !names.is_null() {
                keep_exemplar(py, this, &args, bucket, amount)?;
            }
        }
        Ok(raw::none())
    })
}
