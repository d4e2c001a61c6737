//! Instrumentation scopes as labels, after OpenTelemetry's compatibility rules.

use std::collections::HashMap;
use std::sync::Arc;

use coati_core::metrics::{
    Descriptor, MetricSnapshot, OwnedLabel, OwnedValue, Scope, SeriesSnapshot,
};

/// Gives the series of scopes labels that name these; what several scopes, or a scope and the program
/// itself, call the same and count alike becomes one metric.
pub(super) fn as_labels(metrics: Vec<MetricSnapshot>) -> Vec<MetricSnapshot> {
    let mut shown: Vec<MetricSnapshot> = Vec::with_capacity(metrics.len());
    // Where they stand, and whether there are series without a scope among them: those of a second
    // metric may have the same labels.
    let mut by_name: HashMap<Box<str>, Vec<(usize, bool)>> = HashMap::new();
    for mut metric in metrics {
        let scope = metric.descriptor.scope.clone();
        if let Some(scope) = &scope {
            metric.series.iter_mut().for_each(|series| add(scope, series));
            Arc::make_mut(&mut metric.descriptor).scope = None;
        }
        let is_bare = scope.is_none();
        let alike = by_name.entry(metric.descriptor.name.clone()).or_default();
        let known = alike.iter_mut().find(|(at, has_bare)| {
            !(is_bare && *has_bare) && counts_as(&shown[*at].descriptor, &metric.descriptor)
        });
        match known {
            Some((at, has_bare)) => {
                *has_bare |= is_bare;
                shown[*at].series.append(&mut metric.series);
            }
            None => {
                alike.push((shown.len(), is_bare));
                shown.push(metric);
            }
        }
    }
    shown
}

fn counts_as(a: &Descriptor, b: &Descriptor) -> bool {
    (a.kind, &a.unit, a.bounds()) == (b.kind, &b.unit, b.bounds())
}

fn add(scope: &Scope, series: &mut SeriesSnapshot) {
    let labels = [
        ("otel_scope_name", &scope.name),
        ("otel_scope_schema_url", &scope.schema_url),
        ("otel_scope_version", &scope.version),
    ];
    let mut all = series.labels.to_vec();
    for (key, value) in labels {
        if let Err(at) = all.binary_search_by(|label| (*label.key).cmp(key))
            && !value.is_empty()
        {
            all.insert(at, OwnedLabel { key: key.into(), value: OwnedValue::Str(value.clone()) });
        }
    }
    series.labels = Arc::from(all);
}

#[cfg(test)]
mod tests {
    use super::*;
    use coati_core::metrics::{Kind, Number, Value};

    fn metric(scope: Option<&str>, kind: Kind) -> MetricSnapshot {
        let mut descriptor = Descriptor::new("c", kind, "", "");
        if let Some(name) = scope {
            let scope = Scope { name: name.into(), version: "1".into(), ..Scope::default() };
            descriptor = descriptor.with_scope(Arc::new(scope));
        }
        let labels = [OwnedLabel { key: "z".into(), value: OwnedValue::Bool(true) }];
        let value = Value::Number(Number::Int(1));
        let series = SeriesSnapshot { labels: Arc::new(labels), value, exemplars: Vec::new() };
        MetricSnapshot { descriptor: Arc::new(descriptor), series: vec![series] }
    }

    #[test]
    fn scopes_are_told_apart_by_labels() {
        use Kind::{Counter, Gauge};
        let all = [
            metric(Some("a"), Counter),
            metric(None, Counter),
            metric(Some("b"), Counter),
            metric(Some("b"), Gauge),
            metric(None, Counter),
        ];
        let shown = as_labels(all.to_vec());
        assert_eq!(shown.iter().map(|m| m.series.len()).collect::<Vec<_>>(), [3, 1, 1]);
        assert_eq!((&shown[0].series[1], &shown[2]), (&all[1].series[0], &all[4]));
        let keys: Vec<_> = shown[0].series[2].labels.iter().map(|label| &*label.key).collect();
        assert_eq!(keys, ["otel_scope_name", "otel_scope_version", "z"]);
        assert_eq!(shown[0].series[2].labels[0].value, OwnedValue::Str("b".into()));
    }
}
