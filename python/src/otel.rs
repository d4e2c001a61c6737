//! OpenTelemetry's API over the engine: `coati.otel`.
//!
//! A span of the API is a view of one of ours; what is current is the one context variable, of which
//! [`runtime`] makes the API's contexts. Nothing of the API is imported before it is used.

mod api;
mod args;
mod attributes;
mod context;
mod entered;
mod ids;
mod runtime;
mod status;
mod tracer;
mod view;

use pyo3::prelude::*;

use crate::{raw, special};

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
    module.add_function(wrap_pyfunction!(runtime::_otel_runtime, module)?)
}
