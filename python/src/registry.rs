//! Loggers and tracers by name.

use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::gil::Guarded;

/// Names that are remembered. One more gets an object of its own each time it is asked for.
const MOST: usize = 1 << 16;

/// What is registered as `name`, made by `make` the first time.
pub fn named<'py>(
    py: Python<'py>,
    place: &Guarded<Option<Py<PyDict>>>,
    name: &str,
    make: impl FnOnce() -> *mut PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    let fresh = PyDict::new(py);
    let known = match place.borrow() {
        Some(mut place) => place.get_or_insert_with(|| fresh.unbind()).bind(py).clone(),
        None => fresh,
    };
    if let Some(object) = known.get_item(name)? {
        return Ok(object);
    }
    // SAFETY: a new reference, or null with an error set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, make()) }?;
    if known.len() < MOST {
        known.set_item(name, &object)?;
    }
    Ok(object)
}
