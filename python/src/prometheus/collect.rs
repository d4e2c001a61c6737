//! Collectors written in Python, asked before the engine reads.

use std::sync::Arc;

use coati_core::metrics::{
    Descriptor, Kind, MetricSnapshot, Number, OwnedLabel, OwnedValue, SeriesSnapshot, Value,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::family::{finite, ucum};
use super::produce::{keep, of_buckets};
use crate::convert::{printed, tolerate};
use crate::engine::started;
use crate::gil::Guarded;
use crate::text::Name;

static COLLECT: Guarded<Option<Py<PyAny>>> = Guarded::new(None);

/// Sets what tells the families that are not kept natively.
pub fn set(collect: Py<PyAny>) {
    let before = COLLECT.borrow().map(|mut place| place.replace(collect));
    drop(before);
}

/// Asks all collectors. The only errors are exceptions that are no `Exception`.
pub fn collect(py: Python<'_>) -> PyResult<()> {
    let collect = COLLECT.borrow().and_then(|place| place.as_ref().map(|it| it.clone_ref(py)));
    let Some(collect) = collect else { return Ok(()) };
    let told = collect.bind(py).call0().and_then(|told| {
        let (families, fates): (Bound<'_, PyList>, Bound<'_, PyList>) = told.extract()?;
        keep(families.iter().map(|family| read(&family)).collect::<PyResult<_>>()?);
        for fate in fates {
            let (name, error): (Bound<'_, PyAny>, Bound<'_, PyAny>) = fate.extract()?;
            note(&printed(&name)?, (!error.is_none()).then_some(&error))?;
        }
        Ok(())
    });
    match told {
        Ok(()) => note("all", None),
        Err(error) => {
            note("all", Some(error.value(py).as_any()))?;
            tolerate(py, error)
        }
    }
}

fn note(collector: &str, error: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let Some(started) = started() else { return Ok(()) };
    let reason = match error {
        None => None,
        Some(error) => {
            let kind = error.get_type().name().map_or_else(|_| String::new(), |n| n.to_string());
            Some(format!("{kind}: {}", printed(error)?))
        }
    };
    started.core.note(&format!("collector {collector}"), reason.as_deref());
    Ok(())
}

/// A family: name, kind, documentation, unit, bounds, and series of labels and numbers.
fn read(family: &Bound<'_, PyAny>) -> PyResult<MetricSnapshot> {
    let text =
        |at| -> PyResult<String> { Ok(family.get_item(at)?.extract::<Name<'_>>()?.to_string()) };
    let (name, kind, documentation, unit) = (text(0)?, text(1)?, text(2)?, text(3)?);
    let bounds: Vec<f64> = family.get_item(4)?.extract()?;
    let all: Vec<(Bound<'_, PyDict>, Vec<f64>)> = family.get_item(5)?.extract()?;
    let kind = match &*kind {
        "counter" => Kind::Counter,
        "histogram" => Kind::Histogram,
        _ => Kind::Gauge,
    };
    let mut descriptor = Descriptor::new(&name, kind, ucum(&unit), &documentation);
    if kind == Kind::Histogram {
        descriptor = descriptor.with_bounds(finite(&bounds));
    }
    let series = all.iter().map(|(labels, numbers)| {
        let value = match (kind, numbers.split_last()) {
            (Kind::Histogram, Some((sum, counts))) => {
                Value::Histogram(Box::new(of_buckets(finite(&bounds), counts, *sum)))
            }
            (_, last) => Value::Number(Number::Float(last.map_or(f64::NAN, |(value, _)| *value))),
        };
        Ok(SeriesSnapshot { labels: labels_of(labels)?, value, exemplars: Vec::new() })
    });
    let series = series.collect::<PyResult<_>>()?;
    Ok(MetricSnapshot { descriptor: Arc::new(descriptor), series })
}

fn labels_of(labels: &Bound<'_, PyDict>) -> PyResult<Arc<[OwnedLabel]>> {
    let mut owned = Vec::with_capacity(labels.len());
    for (key, value) in labels {
        let (key, value) = (key.extract::<Name<'_>>()?, printed(&value)?.into_name());
        owned.push(OwnedLabel { key: (&*key).into(), value: OwnedValue::Str(value.into()) });
    }
    owned.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(owned.into())
}
