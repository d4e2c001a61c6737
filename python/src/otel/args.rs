//! The arguments of a call by position or by name.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use crate::raw::Args;
use crate::text;

/// The arguments of `method` in the order of `names`, borrowed; null where one is not given. The
/// first `required` have to be.
#[inline(always)]
pub fn bind<const N: usize>(
    args: &Args,
    method: &str,
    names: &[&str; N],
    required: usize,
) -> PyResult<[*mut PyObject; N]> {
    let mut bound = [std::ptr::null_mut(); N];
    if args.count > N {
        return Err(too_many(method, N, args.count));
    }
    for (place, index) in bound.iter_mut().zip(0..args.count) {
        *place = args.positional(index);
    }
    for (index, &value) in args.values().iter().enumerate() {
        // SAFETY: names are `str` and live over the call.
        let name = unsafe { text::utf8(args.name(index)) }.unwrap_or_default();
        let place = names.iter().position(|known| *known == name);
        match place.map(|place| &mut bound[place]) {
            Some(place) if place.is_null() => *place = value,
            Some(_) => return Err(twice(method, name)),
            None => return Err(unexpected(method, name)),
        }
    }
    match bound[..required].iter().position(|value| value.is_null()) {
        Some(missing) => Err(absent(method, names[missing])),
        None => Ok(bound),
    }
}

#[cold]
fn too_many(method: &str, most: usize, given: usize) -> PyErr {
    PyTypeError::new_err(format!(
        "{method}() takes at most {most} arguments but {given} were given"
    ))
}

#[cold]
fn twice(method: &str, name: &str) -> PyErr {
    PyTypeError::new_err(format!("{method}() got multiple values for argument '{name}'"))
}

#[cold]
fn unexpected(method: &str, name: &str) -> PyErr {
    PyTypeError::new_err(format!("{method}() got an unexpected keyword argument '{name}'"))
}

#[cold]
fn absent(method: &str, name: &str) -> PyErr {
    PyTypeError::new_err(format!("{method}() missing required argument '{name}'"))
}
