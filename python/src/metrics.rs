//! Metrics.

pub mod cache;
pub mod exemplar;
mod handle;
pub mod instrument;
pub mod label;
pub mod observe;
mod read;
mod timer;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

pub use read::{Metric, Stats};

use crate::raw;
use handle::Handle;
use instrument::Instrument;

create_exception!(
    coati,
    MetricError,
    PyException,
    "There is no such instrument: its name is bad or belongs to another one."
);

pub const COUNTER: u8 = 0;
pub const UP_DOWN_COUNTER: u8 = 1;
pub const GAUGE: u8 = 2;
pub const HISTOGRAM: u8 = 3;

/// Adds the classes and functions.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("Counter", raw::make::<Instrument<COUNTER>>(py)?)?;
    module.add("UpDownCounter", raw::make::<Instrument<UP_DOWN_COUNTER>>(py)?)?;
    module.add("Gauge", raw::make::<Instrument<GAUGE>>(py)?)?;
    module.add("Histogram", raw::make::<Instrument<HISTOGRAM>>(py)?)?;
    module.add("BoundCounter", raw::make::<Handle<COUNTER>>(py)?)?;
    module.add("BoundUpDownCounter", raw::make::<Handle<UP_DOWN_COUNTER>>(py)?)?;
    module.add("BoundGauge", raw::make::<Handle<GAUGE>>(py)?)?;
    module.add("BoundHistogram", raw::make::<Handle<HISTOGRAM>>(py)?)?;
    module.add("Timer", raw::make::<timer::Timer>(py)?)?;
    module.add_class::<Stats>()?;
    module.add_class::<Metric>()?;
    module.add("MetricError", py.get_type::<MetricError>())?;
    module.add_function(wrap_pyfunction!(instrument::counter, module)?)?;
    module.add_function(wrap_pyfunction!(instrument::up_down_counter, module)?)?;
    module.add_function(wrap_pyfunction!(instrument::gauge, module)?)?;
    module.add_function(wrap_pyfunction!(instrument::histogram, module)?)?;
    module.add_function(wrap_pyfunction!(observe::observable_counter, module)?)?;
    module.add_function(wrap_pyfunction!(observe::observable_up_down_counter, module)?)?;
    module.add_function(wrap_pyfunction!(observe::observable_gauge, module)?)?;
    module.add_function(wrap_pyfunction!(read::snapshot, module)?)?;
    module.add_function(wrap_pyfunction!(read::prometheus_text, module)?)?;
    module.add_function(wrap_pyfunction!(read::reset, module)?)?;
    Ok(())
}
