//! A status as the API gives it: a code, or a code and why.

use coati_core::span::Status;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::api::{Api, forgive};
use crate::convert::convert_text;
use crate::span::Span;

const STATUSES: [Status; 3] = [Status::Unset, Status::Ok, Status::Error];

/// The status that a `StatusCode` stands for, or its name.
fn code(api: &Api, given: &Bound<'_, PyAny>) -> Option<Status> {
    let place = api.statuses.iter().position(|status| status.is(given));
    if let Some(place) = place {
        return STATUSES.get(place).copied();
    }
    Status::from_name(&given.cast::<PyString>().ok()?.to_string_lossy())
}

/// Sets the status of a span.
///
/// # Safety
/// Python objects; the description may be null.
pub unsafe fn set(
    py: Python<'_>,
    api: &Api,
    span: &Span,
    status: *mut PyObject,
    description: *mut PyObject,
) -> PyResult<()> {
    // SAFETY: by the caller's promise.
    let (status, description) = unsafe {
        let description =
            if description == ffi::Py_None() { std::ptr::null_mut() } else { description };
        (Bound::from_borrowed_ptr(py, status), Bound::from_borrowed_ptr_or_opt(py, description))
    };
    let (status, description) = match code(api, &status) {
        Some(code) => (code, description),
        None => {
            let Some(code) = forgive(py, status.getattr_opt(intern!(py, "status_code")))?
                .flatten()
                .and_then(|given| code(api, &given))
            else {
                api.warn(py, "A status that is neither a Status nor a StatusCode is ignored");
                return Ok(());
            };
            if description.is_some() {
                api.warn(py, "A description beside a Status is ignored");
            }
            let own = forgive(py, status.getattr_opt(intern!(py, "description")))?.flatten();
            (code, own.filter(|own| !own.is_none()))
        }
    };
    let text = match (&description, status) {
        (Some(description), Status::Error) => convert_text(description)?,
        (Some(_), _) => {
            api.warn(py, "Only an error has a description");
            String::new().into()
        }
        (None, _) => String::new().into(),
    };
    span.with_core(|core| core.set_status(status, &text));
    Ok(())
}
