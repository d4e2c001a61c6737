//! `labels(...)`: from label values to a child.

use std::borrow::Cow;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::metric::{self, Metric, of};
use crate::raw::{self, Args};
use crate::text;

/// Metrics with more labels are looked up the longer way.
const INLINE: usize = 16;

/// The keywords of the last call, and where the value of each label stands among them.
pub struct Asked {
    keywords: Py<PyTuple>,
    places: Box<[usize]>,
}

pub unsafe extern "C" fn labels<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        // SAFETY: a method of this class.
        let metric = unsafe { of::<KIND>(this) };
        let (Some(children), Some(wanted)) = (metric.children.get(), metric.names.get()) else {
            return Err(refused(py, this, metric));
        };
        let (children, wanted) = (children.bind(py), wanted.bind(py));
        let key = match args.values() {
            [] => {
                // SAFETY: as many live arguments.
                let values = unsafe { std::slice::from_raw_parts(args.args, args.count) };
                key(py, values, wanted.len())?
            }
            _ => named(py, metric, &args, wanted)?,
        };
        // SAFETY: a dict and a key, both alive.
        let found = unsafe { ffi::PyDict_GetItemWithError(children.as_ptr(), key.as_ptr()) };
        if !found.is_null() {
            // SAFETY: borrowed from the dict.
            return Ok(unsafe { ffi::Py_NewRef(found) });
        }
        if let Some(error) = PyErr::take(py) {
            return Err(error);
        }
        make(py, this, metric, children, &key)
    })
}

/// The tuple of the values' texts.
#[inline(always)]
fn key<'py>(
    py: Python<'py>,
    values: &[*mut PyObject],
    wanted: usize,
) -> PyResult<Bound<'py, PyTuple>> {
    if values.len() != wanted {
        return Err(PyValueError::new_err("Incorrect label count"));
    }
    // SAFETY: each place of the new tuple is given a reference of its own, before anything else
    // sees the tuple whole; live values.
    unsafe {
        let tuple = ffi::PyTuple_New(values.len() as isize);
        let key = Bound::from_owned_ptr_or_err(py, tuple)?.cast_into_unchecked();
        for (at, &value) in values.iter().enumerate() {
            let text = match ffi::PyUnicode_CheckExact(value) {
                0 => Bound::from_owned_ptr_or_err(py, ffi::PyObject_Str(value))?.into_ptr(),
                _ => ffi::Py_NewRef(value),
            };
            ffi::PyTuple_SET_ITEM(tuple, at as isize, text);
        }
        Ok(key)
    }
}

fn named<'py, const KIND: u8>(
    py: Python<'py>,
    metric: &Metric<KIND>,
    args: &Args,
    wanted: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyTuple>> {
    if args.count > 0 {
        return Err(PyValueError::new_err("Can't pass both *args and **kwargs"));
    }
    let given = args.values();
    if let Some(asked) = metric.asked.borrow()
        && let Some(asked) = &*asked
        && asked.keywords.as_ptr() == args.names
        && given.len() <= INLINE
    {
        let mut values = [std::ptr::null_mut(); INLINE];
        for (value, &place) in values.iter_mut().zip(&asked.places) {
            *value = given[place];
        }
        let count = asked.places.len();
        return key(py, &values[..count], count);
    }
    // SAFETY: names are `str` and live over the call.
    let keyword = |at| unsafe { text::lossy(args.name(at)) };
    let place = |name: &Bound<'_, PyAny>| {
        // SAFETY: label names are `str`.
        let name = unsafe { text::lossy(name.as_ptr()) };
        (0..given.len()).find(|&at| keyword(at) == name)
    };
    let places: Option<Box<[usize]>> = wanted.iter().map(|name| place(&name)).collect();
    let Some(places) = places.filter(|places| places.len() == given.len()) else {
        return Err(PyValueError::new_err("Incorrect label names"));
    };
    let values: Vec<*mut PyObject> = places.iter().map(|&place| given[place]).collect();
    // SAFETY: a live tuple.
    let keywords = unsafe { Bound::<PyAny>::from_borrowed_ptr(py, args.names) };
    let keywords = keywords.cast_into::<PyTuple>()?.unbind();
    let before = metric.asked.borrow().map(|mut asked| asked.replace(Asked { keywords, places }));
    drop(before);
    key(py, &values, values.len())
}

/// Makes the child for a key that is new.
#[cold]
#[inline(never)]
fn make<const KIND: u8>(
    py: Python<'_>,
    this: *mut PyObject,
    metric: &Metric<KIND>,
    children: &Bound<'_, PyDict>,
    key: &Bound<'_, PyTuple>,
) -> PyResult<*mut PyObject> {
    // SAFETY: an instance, whose class is this one or a subclass of it.
    let child: Bound<'_, PyAny> = unsafe {
        if metric.simple.get() {
            Bound::from_owned_ptr_or_err(py, metric::new_of::<KIND>(ffi::Py_TYPE(this)))?
        } else {
            Bound::<PyAny>::from_borrowed_ptr(py, this)
                .call_method1(intern!(py, "_child"), (key,))?
        }
    };
    // SAFETY: a live object.
    if !unsafe { metric::is::<KIND>(child.as_ptr()) } {
        return Err(PyTypeError::new_err("a child is of its metric's class"));
    }
    let created = metric::now(py)?;
    // Another thread may have made it while this one was in a constructor.
    // SAFETY: live objects; the result is borrowed from the dict.
    let kept = unsafe {
        let kept = ffi::PyDict_SetDefault(children.as_ptr(), key.as_ptr(), child.as_ptr());
        Bound::from_borrowed_ptr_or_err(py, kept)?
    };
    if kept.is(&child) {
        // SAFETY: an instance, as checked above.
        let child = unsafe { of::<KIND>(child.as_ptr()) };
        if let (Some(family), Some(names)) = (metric.family.get(), metric.names.get()) {
            // SAFETY: a key's items are `str`, and it outlives their texts.
            let values = key.iter_borrowed().map(|value| unsafe { text::lossy(value.as_ptr()) });
            let values: Vec<Cow<'_, str>> = values.collect();
            let _ = child.series.set(family.add(&values, created));
            let _ = child.family.set(family.clone());
            let _ = child.names.set(names.clone_ref(py));
            let _ = child.values.set(key.clone().unbind());
        }
    }
    Ok(kept.into_ptr())
}

/// Why there are no children.
#[cold]
#[inline(never)]
fn refused<const KIND: u8>(py: Python<'_>, this: *mut PyObject, metric: &Metric<KIND>) -> PyErr {
    let told = || -> PyResult<String> {
        // SAFETY: a live object.
        let shown = unsafe { Bound::<PyAny>::from_borrowed_ptr(py, this) }.str()?;
        let (Some(names), Some(values)) = (metric.names.get(), metric.values.get()) else {
            return Ok(format!("No label names were set when constructing {shown}"));
        };
        let labels = PyDict::new(py);
        for (name, value) in names.bind(py).iter().zip(values.bind(py).iter()) {
            labels.set_item(name, value)?;
        }
        Ok(format!(
            "{shown} already has labels set ({}); can not chain calls to .labels()",
            labels.str()?
        ))
    };
    told().map_or_else(|error| error, PyValueError::new_err)
}
