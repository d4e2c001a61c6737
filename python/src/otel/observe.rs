//! OpenTelemetry's observable instruments.

use pyo3::prelude::*;

use super::instrument::descriptor;
use crate::metrics::instrument::handle;
use crate::metrics::observe;

/// Ask `callback` for an instrument's values whenever metrics are read.
#[pyfunction]
#[pyo3(signature = (kind, described, callback, /))]
pub fn _otel_observe(kind: u8, described: &Bound<'_, PyAny>, callback: Py<PyAny>) -> PyResult<()> {
    let (instrument, _) = handle(descriptor(kind.min(3), described)?)?;
    observe::ask_from_now_on(instrument, callback);
    Ok(())
}

/// Ask `callback` no more.
#[pyfunction]
#[pyo3(signature = (callback, /))]
pub fn _otel_forget(callback: &Bound<'_, PyAny>) {
    observe::forget(callback);
}
