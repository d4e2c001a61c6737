//! Attributes as the API gives them: a mapping, or nothing.

use coati_core::log::encode_fields;
use coati_core::record::value::Key;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::api::{api, forgive};
use crate::convert::Owned;
use crate::fields::{Call, Layer, Simple};
use crate::span::{Span, set_all};

/// Whether `attributes` is a dict that can be read as it stands, or nothing at all.
///
/// # Safety
/// A Python object or null.
#[inline(always)]
unsafe fn is_dict(attributes: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise.
    !attributes.is_null() && unsafe { ffi::PyDict_CheckExact(attributes) } != 0
}

/// Whether there are none.
///
/// # Safety
/// As [`is_dict`].
#[inline(always)]
unsafe fn is_nothing(attributes: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise.
    attributes.is_null() || attributes == unsafe { ffi::Py_None() }
}

/// Reads a dict; `false` where an attribute needs conversion, has no name, or they are too many.
///
/// # Safety
/// As [`Simple::read_dict`].
#[inline(always)]
unsafe fn is_plain(fields: &mut Simple<'_>, dict: *mut PyObject) -> bool {
    // SAFETY: by the caller's promise.
    match unsafe { fields.read_dict(dict) } {
        Some(false) => true,
        // The name of no attribute is among the names that are marked.
        Some(true) => fields.all().iter().all(|(key, _)| *key != Key::new("")),
        None => false,
    }
}

/// Sets the attributes that a span starts with.
///
/// # Safety
/// `attributes` is a Python object or null.
#[inline(always)]
pub unsafe fn begin(py: Python<'_>, span: &Span, attributes: *mut PyObject) -> PyResult<()> {
    // SAFETY: by the caller's promise; nothing else runs while the dict is read.
    unsafe {
        if is_nothing(attributes) {
            return Ok(());
        }
        if is_dict(attributes) {
            let mut fields = Simple::new();
            if is_plain(&mut fields, attributes) {
                span.with_core(|core| {
                    if let Some(body) = core.body() {
                        body.extend(|encoder, room| encode_fields(encoder, fields.all(), room));
                    }
                });
                return Ok(());
            }
        }
        set(py, span, attributes)
    }
}

/// Sets attributes, each in place of one of the same name.
///
/// # Safety
/// As [`begin`].
pub unsafe fn set(py: Python<'_>, span: &Span, attributes: *mut PyObject) -> PyResult<()> {
    // SAFETY: as there.
    let pairs = unsafe { pairs(py, attributes) }?;
    set_all(span, &pairs);
    Ok(())
}

/// Attributes by name. Those without one are left out.
///
/// # Safety
/// As [`begin`].
pub unsafe fn pairs(py: Python<'_>, attributes: *mut PyObject) -> PyResult<Vec<(String, Owned)>> {
    // SAFETY: by the caller's promise.
    let given = unsafe { Bound::from_borrowed_ptr_or_opt(py, attributes) };
    let mut pairs = forgive(py, Layer::of_mapping(given.as_ref()))?.unwrap_or_default();
    let before = pairs.len();
    pairs.retain(|(name, _)| !name.is_empty());
    if pairs.len() < before {
        api(py)?.warn(py, "An attribute without a name is left out");
    }
    Ok(pairs)
}

/// Calls `f` with the attributes of an event or a link.
///
/// # Safety
/// As [`begin`].
pub unsafe fn with<R>(
    py: Python<'_>,
    attributes: *mut PyObject,
    f: impl FnOnce(&Call<'_>) -> R,
) -> PyResult<R> {
    // SAFETY: by the caller's promise; nothing else runs while the dict is read.
    unsafe {
        let mut fields = Simple::new();
        if is_nothing(attributes) || is_dict(attributes) && is_plain(&mut fields, attributes) {
            return Ok(f(&Call::Simple(fields.all())));
        }
        Ok(f(&Call::Converted(&layer(py, attributes)?)))
    }
}

/// The attributes, encoded.
///
/// # Safety
/// As [`begin`].
pub unsafe fn layer(py: Python<'_>, attributes: *mut PyObject) -> PyResult<Layer> {
    let mut layer = Layer::default();
    // SAFETY: as there.
    for (name, value) in unsafe { pairs(py, attributes) }? {
        layer.push(|encoder| value.encode(encoder, Key::new(&name)));
    }
    Ok(layer)
}
