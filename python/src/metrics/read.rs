//! What can be read: statistics, snapshots, text.

use coati_core::metrics::{OwnedValue, Stats as Core, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::instrument::number;
use super::observe;
use crate::engine::started;

/// A histogram's figures, in its unit. All but `count` and `sum` are NaN when it is empty.
#[pyclass(frozen, get_all, module = "coati")]
pub struct Stats {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    mean: f64,
    stddev: f64,
    median: f64,
    p90: f64,
    p95: f64,
    p99: f64,
    p999: f64,
}

impl Stats {
    /// The figures of a series.
    pub fn of(stats: &Core) -> Self {
        Self {
            count: stats.count,
            sum: stats.sum,
            min: stats.min,
            max: stats.max,
            mean: stats.mean,
            stddev: stats.stddev,
            median: stats.quantile(0.5),
            p90: stats.quantile(0.9),
            p95: stats.quantile(0.95),
            p99: stats.quantile(0.99),
            p999: stats.quantile(0.999),
        }
    }

    /// The figures of nothing.
    pub fn empty() -> Self {
        let nan = f64::NAN;
        Self {
            count: 0,
            sum: 0.0,
            min: nan,
            max: nan,
            mean: nan,
            stddev: nan,
            median: nan,
            p90: nan,
            p95: nan,
            p99: nan,
            p999: nan,
        }
    }
}

#[pymethods]
impl Stats {
    fn __repr__(&self) -> String {
        let Self { count, sum, min, max, mean, median, p99, .. } = self;
        format!(
            "Stats(count={count}, sum={sum}, min={min}, max={max}, mean={mean}, \
             median={median}, p99={p99})"
        )
    }
}

/// One series of a snapshot.
#[pyclass(frozen, get_all, module = "coati")]
pub struct Metric {
    name: String,
    r#type: String,
    unit: String,
    description: String,
    labels: Py<PyDict>,
    /// Of a counter, up-down counter or gauge, else None.
    value: Option<Py<PyAny>>,
    /// Of a histogram, else None.
    stats: Option<Py<Stats>>,
}

#[pymethods]
impl Metric {
    fn __repr__(&self, py: Python<'_>) -> String {
        let shown = match (&self.value, &self.stats) {
            (Some(value), _) => format!("value={value}"),
            (None, Some(stats)) => format!("stats={}", stats.get().__repr__()),
            (None, None) => String::new(),
        };
        format!("Metric({}, {}, {}, {shown})", self.name, self.r#type, self.labels.bind(py))
    }
}

/// All series now, after asking observable instruments.
#[pyfunction]
pub fn snapshot(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    let Some(started) = started() else { return Ok(list) };
    observe::run(py)?;
    for metric in started.core.snapshot_asked() {
        let descriptor = &metric.descriptor;
        for series in &metric.series {
            let labels = PyDict::new(py);
            for label in series.labels.iter() {
                match &label.value {
                    OwnedValue::Str(text) => labels.set_item(&*label.key, &**text)?,
                    OwnedValue::Int(value) => labels.set_item(&*label.key, value)?,
                    OwnedValue::Float(value) => labels.set_item(&*label.key, value)?,
                    OwnedValue::Bool(value) => labels.set_item(&*label.key, value)?,
                }
            }
            let (value, stats) = match &series.value {
                Value::Number(value) => {
                    // SAFETY: a new reference, or null with an error set.
                    let value = unsafe { Bound::from_owned_ptr_or_err(py, number(*value)) }?;
                    (Some(value.unbind()), None)
                }
                Value::Histogram(histogram) => {
                    let stats = Stats::of(&Core::new((**histogram).clone()));
                    (None, Some(Py::new(py, stats)?))
                }
            };
            list.append(Bound::new(
                py,
                Metric {
                    name: descriptor.name.to_string(),
                    r#type: descriptor.kind.to_string(),
                    unit: descriptor.unit.to_string(),
                    description: descriptor.description.to_string(),
                    labels: labels.unbind(),
                    value,
                    stats,
                },
            )?)?;
        }
    }
    Ok(list)
}

/// All metrics now in Prometheus' text format, after asking observable instruments.
#[pyfunction]
pub fn prometheus_text() -> String {
    // Asks by the store's own callback, which finds this thread attached.
    started().map(|started| started.core.prometheus_text()).unwrap_or_default()
}

/// Make all metrics start from zero.
#[pyfunction]
pub fn reset() {
    if let Some(store) = started().and_then(|started| started.core.metrics()) {
        store.reset();
    }
}
