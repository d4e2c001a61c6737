//! OpenTelemetry's API over the engine: `coati.otel`.
//!
//! Instruments take attributes from dicts, loggers take records apart, and readers of metrics get all
//! that they want. A span of the API is a view of one of ours; what is current is the one context variable, of which
//! [`runtime`] makes the API's contexts. Nothing of the API is imported before it is used.

mod api;
mod args;
mod attributes;
mod context;
mod entered;
mod ids;
mod instrument;
mod log;
mod observe;
mod pairs;
mod read;
mod runtime;
mod status;
mod tracer;
mod view;

use pyo3::prelude::*;

use crate::metrics::{COUNTER, GAUGE, HISTOGRAM, UP_DOWN_COUNTER};
use crate::{raw, special};
use instrument::Measured;

pub use view::View;

/// Makes the classes.
pub fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    raw::make::<runtime::Token>(py)?;
    module.add("_OtelRuntime", raw::make::<runtime::Runtime>(py)?)?;
    let span = raw::make::<View>(py)?;
    special::add_to(&span, view::enter, view::exit)?;
    module.add("_OtelSpan", span)?;
    let entered = raw::make::<entered::Entered>(py)?;
    special::add_to(&entered, entered::enter, entered::exit)?;
    module.add("_OtelEntered", entered)?;
    module.add("_OtelTracer", raw::make::<tracer::Tracer>(py)?)?;
    module.add_function(wrap_pyfunction!(runtime::_otel_runtime, module)?)?;
    module.add_function(wrap_pyfunction!(tracer::_otel_face, module)?)?;
    module.add("_OtelCounter", raw::make::<Measured<COUNTER>>(py)?)?;
    module.add("_OtelUpDownCounter", raw::make::<Measured<UP_DOWN_COUNTER>>(py)?)?;
    module.add("_OtelGauge", raw::make::<Measured<GAUGE>>(py)?)?;
    module.add("_OtelHistogram", raw::make::<Measured<HISTOGRAM>>(py)?)?;
    module.add("_OtelLogger", raw::make::<log::Emitter>(py)?)?;
    module.add_function(wrap_pyfunction!(observe::_otel_observe, module)?)?;
    module.add_function(wrap_pyfunction!(observe::_otel_forget, module)?)?;
    module.add_function(wrap_pyfunction!(read::_otel_metrics, module)?)
}
