//! The native half of `coati.prometheus`: cells, label lookup, text, and what the engine reads.
//!
//! Its series are no instruments of the engine: they work without one, and each registry is a world
//! of its own. Whoever has the interpreter's lock writes a cell; a reader needs no lock.

mod collect;
mod family;
mod labels;
mod metric;
mod produce;
mod series;
mod text;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

pub use collect::collect;
pub use produce::produce;

use crate::raw;
use metric::{Metric, family_of};

const COUNTER: u8 = 0;
const GAUGE: u8 = 1;
const SUMMARY: u8 = 2;
const HISTOGRAM: u8 = 3;
/// What is looked up here, but kept in Python: `Info` and `Enum`.
const INFO: u8 = 4;

/// The text of a metric; `None` where its names need an escape.
#[pyfunction]
#[pyo3(signature = (metric, open, created, /))]
pub fn _prometheus_text<'py>(
    py: Python<'py>,
    metric: &Bound<'py, PyAny>,
    open: bool,
    created: bool,
) -> Option<Bound<'py, PyBytes>> {
    let family = family_of(metric).filter(|family| family.plain)?;
    let mut out = Vec::new();
    text::write(&family, text::Style { open, created }, &mut out);
    Some(PyBytes::new(py, &out))
}

/// Make these metrics, others being left out, the ones that the engine shows; `collect` tells the
/// rest each time before the engine reads.
#[pyfunction]
#[pyo3(signature = (metrics, collect, /))]
pub fn _prometheus_publish(metrics: &Bound<'_, PyList>, collect: Py<PyAny>) {
    produce::publish(metrics.iter().filter_map(|metric| family_of(&metric)).collect());
    collect::set(collect);
}

/// Adds the classes and functions.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("PrometheusCounter", raw::make::<Metric<COUNTER>>(py)?)?;
    module.add("PrometheusGauge", raw::make::<Metric<GAUGE>>(py)?)?;
    module.add("PrometheusSummary", raw::make::<Metric<SUMMARY>>(py)?)?;
    module.add("PrometheusHistogram", raw::make::<Metric<HISTOGRAM>>(py)?)?;
    module.add("PrometheusInfo", raw::make::<Metric<INFO>>(py)?)?;
    module.add_function(wrap_pyfunction!(_prometheus_text, module)?)?;
    module.add_function(wrap_pyfunction!(_prometheus_publish, module)?)?;
    Ok(())
}
