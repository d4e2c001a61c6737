//! Metrics that are not kept in the store, and what is done to all that are read.

use std::collections::HashMap;

use coati_core::metrics::{
    HistogramBuckets, HistogramSnapshot, Kind, MetricSnapshot, Number, OwnedValue, Store, Value,
};

use crate::redact::LabelRules;

/// Appends metrics kept elsewhere, as they are now. Runs on any thread, whenever metrics are read.
/// Their sums count since the start; views and the limit of series are for instruments alone.
pub type Producer = fn(&mut Vec<MetricSnapshot>);

/// What metrics show outside: after the callbacks have run, those of the producer with them, and
/// masked.
pub(crate) fn read_metrics(
    store: &Store,
    labels: &LabelRules,
    producer: Option<Producer>,
    read: impl Fn(&Store) -> Vec<MetricSnapshot>,
) -> Vec<MetricSnapshot> {
    store.collect();
    read_asked(store, labels, producer, read)
}

/// The same where the callbacks have run already.
pub(crate) fn read_asked(
    store: &Store,
    labels: &LabelRules,
    producer: Option<Producer>,
    read: impl Fn(&Store) -> Vec<MetricSnapshot>,
) -> Vec<MetricSnapshot> {
    let mut metrics = read(store);
    if let Some(produce) = producer {
        produce(&mut metrics);
    }
    labels.apply(&mut metrics);
    metrics
}

/// What a reader of changes has seen of metrics that tell sums since the start.
#[derive(Default)]
pub(crate) struct Seen(HashMap<String, Value>);

impl Seen {
    /// Leaves of counters and histograms what came since the last call. A sum that has become less
    /// began anew.
    pub fn subtract_from(&mut self, metrics: &mut [MetricSnapshot]) {
        let mut seen = HashMap::new();
        for metric in metrics {
            if !matches!(metric.descriptor.kind, Kind::Counter | Kind::Histogram) {
                continue;
            }
            for series in &mut metric.series {
                let mut key = metric.descriptor.name.to_string();
                for label in series.labels.iter() {
                    let value = match &label.value {
                        OwnedValue::Str(text) => text.to_string(),
                        other => format!("{other:?}"),
                    };
                    key.extend(["\0", &label.key, "\0", &value]);
                }
                let now = series.value.clone();
                if let Some(before) = self.0.get(&key) {
                    subtract(&mut series.value, before);
                }
                seen.insert(key, now);
            }
        }
        self.0 = seen;
    }
}

fn subtract(value: &mut Value, before: &Value) {
    match (value, before) {
        (Value::Number(now), Value::Number(before)) => {
            let since = now.as_f64() - before.as_f64();
            if since >= 0.0 {
                *now = Number::Float(since);
            }
        }
        (Value::Histogram(now), Value::Histogram(before)) if now.count >= before.count => {
            subtract_histogram(now, before);
        }
        _ => {}
    }
}

fn subtract_histogram(now: &mut HistogramSnapshot, before: &HistogramSnapshot) {
    if let (
        HistogramBuckets::Explicit { bounds, counts },
        HistogramBuckets::Explicit { bounds: others, counts: less },
    ) = (&mut now.buckets, &before.buckets)
        && bounds == others
    {
        counts.iter_mut().zip(less).for_each(|(now, less)| *now = now.saturating_sub(*less));
        now.count -= before.count;
        now.sum -= before.sum;
        now.sum_squares -= before.sum_squares;
        (now.min, now.max) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coati_core::metrics::{Descriptor, OwnedLabel, SeriesSnapshot};
    use std::sync::Arc;

    fn counter(value: f64) -> MetricSnapshot {
        let labels = [OwnedLabel { key: "a".into(), value: OwnedValue::Str("1".into()) }];
        MetricSnapshot {
            descriptor: Arc::new(Descriptor::new("c", Kind::Counter, "", "")),
            series: vec![SeriesSnapshot {
                labels: Arc::new(labels),
                value: Value::Number(Number::Float(value)),
                exemplars: Vec::new(),
            }],
        }
    }

    fn histogram(counts: [u64; 2], sum: f64) -> MetricSnapshot {
        let mut metric = counter(0.0);
        let descriptor = Descriptor::new("h", Kind::Histogram, "", "").with_bounds(&[1.0]);
        metric.descriptor = Arc::new(descriptor);
        let mut histogram = HistogramSnapshot::explicit(Arc::from([1.0]));
        histogram.count = counts.iter().sum();
        histogram.sum = sum;
        histogram.buckets =
            HistogramBuckets::Explicit { bounds: [1.0].into(), counts: counts.into() };
        metric.series[0].value = Value::Histogram(Box::new(histogram));
        metric
    }

    #[test]
    fn changes_are_told_once_and_a_new_beginning_as_it_is() {
        let mut seen = Seen::default();
        let mut told = |value| {
            let mut metrics = [counter(value)];
            seen.subtract_from(&mut metrics);
            let Value::Number(number) = metrics[0].series[0].value else { panic!() };
            number.as_f64()
        };
        assert_eq!(
            [told(3.0), told(5.0), told(5.0), told(1.0), told(2.0)],
            [3.0, 2.0, 0.0, 1.0, 1.0]
        );
    }

    #[test]
    fn histograms_change_by_bucket() {
        let mut seen = Seen::default();
        let mut told = |counts, sum| {
            let mut metrics = [histogram(counts, sum)];
            seen.subtract_from(&mut metrics);
            let Value::Histogram(histogram) = metrics[0].series[0].value.clone() else { panic!() };
            let HistogramBuckets::Explicit { counts, .. } = histogram.buckets else { panic!() };
            (histogram.count, histogram.sum, counts)
        };
        assert_eq!(told([2, 1], 4.0), (3, 4.0, vec![2, 1]));
        assert_eq!(told([2, 3], 9.0), (2, 5.0, vec![0, 2]));
        assert_eq!(told([1, 0], 0.5), (1, 0.5, vec![1, 0]));
    }
}
