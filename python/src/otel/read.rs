//! Metrics as OpenTelemetry's readers see them: with scopes, buckets and exemplars.

use coati_core::metrics::{
    Exemplar, HistogramSnapshot, MetricSnapshot, Number, OwnedValue, SeriesSnapshot, Value,
};
use coati_export::otlp::point::{Shape, Side};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::engine::started;
use crate::metrics::instrument::number;
use crate::metrics::observe;

/// All series of scopes now, after asking observable instruments if so said, and since when they
/// count:
/// `(began, [(scope, kind, name, unit, description, bounds, points)])`. A point is
/// `(attributes, value, exemplars)`.
#[pyfunction]
#[pyo3(signature = (ask, /))]
pub fn _otel_metrics(py: Python<'_>, ask: bool) -> PyResult<(u64, Bound<'_, PyList>)> {
    let list = PyList::empty(py);
    let Some(started) = started() else { return Ok((0, list)) };
    if ask {
        observe::run(py)?;
    }
    let began = started.core.metrics().map_or(0, |store| store.began());
    for metric in started.core.snapshot_asked() {
        if metric.descriptor.scope.is_some() && !metric.series.is_empty() {
            list.append(shown(py, &metric)?)?;
        }
    }
    Ok((began, list))
}

fn shown<'py>(py: Python<'py>, metric: &MetricSnapshot) -> PyResult<Bound<'py, PyTuple>> {
    let descriptor = &*metric.descriptor;
    let scope = descriptor
        .scope
        .as_deref()
        .map(|scope| (&*scope.name, &*scope.version, &*scope.schema_url, scope.copy));
    let points = PyList::empty(py);
    for series in &metric.series {
        points.append(point(py, series)?)?;
    }
    (
        scope,
        descriptor.kind.to_string(),
        &*descriptor.name,
        &*descriptor.unit,
        &*descriptor.description,
        descriptor.bounds().map(<[f64]>::to_vec),
        points,
    )
        .into_pyobject(py)
}

fn point<'py>(py: Python<'py>, series: &SeriesSnapshot) -> PyResult<Bound<'py, PyTuple>> {
    let attributes = PyDict::new(py);
    for label in series.labels.iter() {
        match &label.value {
            OwnedValue::Str(text) => attributes.set_item(&*label.key, &**text)?,
            OwnedValue::Int(value) => attributes.set_item(&*label.key, value)?,
            OwnedValue::Float(value) => attributes.set_item(&*label.key, value)?,
            OwnedValue::Bool(value) => attributes.set_item(&*label.key, value)?,
        }
    }
    let value = match &series.value {
        Value::Number(value) => told(py, *value)?,
        Value::Histogram(histogram) => distribution(py, histogram)?.into_any(),
    };
    let exemplars = PyList::empty(py);
    for exemplar in &series.exemplars {
        exemplars.append(measured(py, exemplar)?)?;
    }
    (attributes, value, exemplars).into_pyobject(py)
}

fn told(py: Python<'_>, value: Number) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a new reference, or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(py, number(value)) }
}

/// `(count, sum, min, max, counts)`, or with `(scale, zeros, positive, negative)` instead of counts
/// by bounds.
fn distribution<'py>(
    py: Python<'py>,
    histogram: &HistogramSnapshot,
) -> PyResult<Bound<'py, PyTuple>> {
    let buckets = match Shape::of(histogram, false) {
        Shape::Explicit { counts, .. } => counts.to_vec().into_pyobject(py)?,
        Shape::Exponential { scale, zero, positive, negative } => {
            let side = |side: Side| (side.offset, side.counts);
            (scale, zero, side(positive), side(negative)).into_pyobject(py)?.into_any()
        }
    };
    let HistogramSnapshot { count, sum, min, max, .. } = histogram;
    (count, sum, *min, *max, buckets).into_pyobject(py)
}

/// `(value, time, trace id and span id as integers)`
fn measured<'py>(py: Python<'py>, exemplar: &Exemplar) -> PyResult<Bound<'py, PyTuple>> {
    let ids = exemplar
        .span
        .map(|span| (u128::from_be_bytes(span.trace_id.0), u64::from_be_bytes(span.span_id.0)));
    (told(py, exemplar.value)?, exemplar.time, ids).into_pyobject(py)
}
