//! What `coati.genai` asks of the configuration.

use pyo3::prelude::*;

use crate::engine::started;
use crate::json;

/// Whether messages, arguments and results are kept.
#[pyfunction]
pub fn _genai_content() -> bool {
    started().is_some_and(|started| started.core.config().genai.capture_content)
}

/// The configuration's prices, None where it has none.
#[pyfunction]
pub fn _genai_prices(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(started) = started() else { return Ok(None) };
    let config = started.core.config();
    if config.genai.prices.is_empty() {
        return Ok(None);
    }
    let prices = serde_json::to_value(&config.genai.prices).unwrap_or_default();
    json::to_python(py, &prices).map(Some)
}
