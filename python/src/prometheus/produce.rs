//! What the engine reads of the default registry, on any thread and without the interpreter.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use coati_core::ids::{SpanId, TraceId};
use coati_core::metrics::{
    Exemplar as Core, HistogramBuckets, HistogramSnapshot, MetricSnapshot, Number, SeriesSnapshot,
    Value,
};
use coati_core::record::SpanIds;

use super::family::{Family, finite};
use super::series::{Exemplar, Series};
use super::{COUNTER, GAUGE};

static FAMILIES: ArcSwapOption<Vec<Arc<Family>>> = ArcSwapOption::const_empty();
static COLLECTED: ArcSwapOption<Vec<MetricSnapshot>> = ArcSwapOption::const_empty();

/// Replaces the families that are read.
pub fn publish(families: Vec<Arc<Family>>) {
    FAMILIES.store(Some(Arc::new(families)));
}

/// Replaces what collectors written in Python have told.
pub fn keep(collected: Vec<MetricSnapshot>) {
    COLLECTED.store(Some(Arc::new(collected)));
}

/// Appends all metrics of the default registry as they are now.
pub fn produce(out: &mut Vec<MetricSnapshot>) {
    if let Some(families) = &*FAMILIES.load() {
        out.extend(families.iter().map(|family| snapshot(family)));
    }
    if let Some(collected) = &*COLLECTED.load() {
        out.extend_from_slice(collected);
    }
}

fn snapshot(family: &Family) -> MetricSnapshot {
    let series = family.series();
    MetricSnapshot {
        descriptor: family.descriptor.clone(),
        series: series.iter().map(|series| read(family, series)).collect(),
    }
}

fn read(family: &Family, series: &Series) -> SeriesSnapshot {
    let value = |at: usize| series.cells[at].get();
    let value = match family.definition.kind {
        COUNTER | GAUGE => Value::Number(Number::Float(value(0))),
        _ => Value::Histogram(Box::new(histogram(family, series))),
    };
    let exemplars = match series.has_exemplars() {
        true => {
            let all = (0..series.cells.len()).filter_map(|cell| series.exemplar(cell));
            all.map(|exemplar| core(&exemplar)).collect()
        }
        false => Vec::new(),
    };
    SeriesSnapshot { labels: series.labels.clone(), value, exemplars }
}

/// A summary is a histogram without bounds.
fn histogram(family: &Family, series: &Series) -> HistogramSnapshot {
    let bounds = &family.definition.bounds;
    let (counts, sum) = match bounds.len() {
        0 => (&series.cells[..1], &series.cells[1]),
        len => (&series.cells[..len], &series.cells[len]),
    };
    let counts: Vec<f64> = counts.iter().map(|cell| cell.get()).collect();
    of_buckets(finite(bounds), &counts, sum.get())
}

/// A histogram of which no more is known than the counts of its buckets and the sum.
pub fn of_buckets(bounds: &[f64], counts: &[f64], sum: f64) -> HistogramSnapshot {
    let counts: Vec<u64> = counts.iter().map(|count| *count as u64).collect();
    HistogramSnapshot {
        count: counts.iter().sum(),
        sum,
        sum_squares: f64::NAN,
        min: None,
        max: None,
        buckets: HistogramBuckets::Explicit { bounds: bounds.into(), counts },
    }
}

fn core(exemplar: &Exemplar) -> Core {
    let label = |wanted: &[&str]| {
        let mut all = exemplar.labels.iter();
        all.find(|(name, _)| wanted.contains(&&**name)).map(|(_, value)| value.as_bytes())
    };
    let trace_id = label(&["trace_id", "traceID", "TraceID"]).and_then(TraceId::from_hex);
    let span_id = label(&["span_id", "spanID", "SpanID"]).and_then(SpanId::from_hex);
    Core {
        value: Number::Float(exemplar.value),
        time: (exemplar.timestamp * 1e9) as u64,
        span: trace_id.zip(span_id).map(|(trace_id, span_id)| SpanIds { trace_id, span_id }),
    }
}
