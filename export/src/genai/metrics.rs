//! Metrics: those of the newest conventions as older ones had them.

use std::sync::Arc;

use coati_core::metrics::{Descriptor, MetricSnapshot, OwnedLabel, OwnedValue, SeriesSnapshot};

use super::names::{PROVIDER, RENAMED, Shown, latest_provider, older_provider};

const TOKENS: &str = "gen_ai.client.token.usage";
const TOKEN_TYPE: &str = "gen_ai.token.type";

/// Newest name, older name, and the label that older ones told apart by.
const METRICS: &[(&str, &str, Option<&str>)] = &[
    ("gen_ai.client.inference.duration", "gen_ai.client.operation.duration", None),
    (
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
        None,
    ),
    (
        "gen_ai.client.inference.time_per_output_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        None,
    ),
    ("gen_ai.client.inference.operation.input_tokens", TOKENS, Some("input")),
    ("gen_ai.client.inference.operation.output_tokens", TOKENS, Some("output")),
];

/// What older conventions had only inside a histogram, or not at all.
const NEWEST_ONLY: &str = "gen_ai.client.inference.usage.";

/// Shows metrics of generative AI by the names that are asked for. Series are read once and never
/// recorded twice.
pub fn rename_metrics(metrics: &mut Vec<MetricSnapshot>, shown: Shown) {
    let concerned = |name: &str| name.starts_with("gen_ai.") || name.starts_with("coati.usage.");
    let mut found = Vec::new();
    for mut metric in std::mem::take(metrics) {
        let name = metric.descriptor.name.clone();
        if !concerned(&name) {
            metrics.push(metric);
            continue;
        }
        for series in &mut metric.series {
            series.labels = labels(&series.labels, shown);
        }
        let older = METRICS.iter().find(|(newest, ..)| *newest == &*name);
        match (shown, older) {
            (Shown::Latest, _) | (_, None) => {
                if shown != Shown::Older || !name.starts_with(NEWEST_ONLY) {
                    merge(&mut found, metric);
                }
            }
            (Shown::Older, Some(&(_, older, kind))) => {
                merge(&mut found, called(metric, older, kind))
            }
            (Shown::Both, Some(&(_, older, kind))) => {
                merge(&mut found, called(metric.clone(), older, kind));
                merge(&mut found, metric);
            }
        }
    }
    metrics.append(&mut found);
}

/// The metric by an older name.
fn called(mut metric: MetricSnapshot, name: &str, kind: Option<&str>) -> MetricSnapshot {
    let Descriptor { kind: instrument, unit, buckets, scope, .. } = &*metric.descriptor;
    let description = match name {
        TOKENS => "Number of input and output tokens used",
        _ => &metric.descriptor.description,
    };
    let mut descriptor = Descriptor::new(name, *instrument, unit, description);
    descriptor.buckets = buckets.clone();
    descriptor.scope = scope.clone();
    metric.descriptor = Arc::new(descriptor);
    if let Some(kind) = kind {
        for series in &mut metric.series {
            let told = OwnedLabel { key: TOKEN_TYPE.into(), value: OwnedValue::Str(kind.into()) };
            series.labels = sorted(series.labels.iter().cloned().chain([told]));
        }
    }
    metric
}

/// Adds a metric to the one that it is another part of. Those of other scopes, kinds or buckets
/// stay apart, as they were made.
fn merge(found: &mut Vec<MetricSnapshot>, metric: MetricSnapshot) {
    let is_part_of = |known: &&mut MetricSnapshot| {
        let (known, part) = (&*known.descriptor, &*metric.descriptor);
        known.name == part.name
            && known.scope == part.scope
            && known.kind == part.kind
            && known.bounds() == part.bounds()
    };
    match found.iter_mut().find(is_part_of) {
        Some(known) => {
            let kind = known.descriptor.kind;
            for SeriesSnapshot { labels, value, mut exemplars } in metric.series {
                match known.series.iter_mut().find(|series| series.labels == labels) {
                    Some(series) => {
                        series.value.add(&value, kind);
                        series.exemplars.append(&mut exemplars);
                    }
                    None => known.series.push(SeriesSnapshot { labels, value, exemplars }),
                }
            }
        }
        None => found.push(metric),
    }
}

/// Labels by the names that are asked for.
fn labels(given: &Arc<[OwnedLabel]>, shown: Shown) -> Arc<[OwnedLabel]> {
    let (newest, older) = RENAMED[0];
    debug_assert_eq!(newest, PROVIDER);
    let Some(label) = given.iter().find(|label| [newest, older].contains(&&*label.key)) else {
        return given.clone();
    };
    let others = given.iter().filter(|label| ![newest, older].contains(&&*label.key)).cloned();
    let called = |key: &str, value: fn(&str) -> &str| OwnedLabel {
        key: key.into(),
        value: match &label.value {
            OwnedValue::Str(text) => OwnedValue::Str(value(text).into()),
            other => other.clone(),
        },
    };
    let by_newest = (shown != Shown::Older).then(|| called(newest, latest_provider));
    let by_older = (shown != Shown::Latest).then(|| called(older, older_provider));
    sorted(others.chain(by_newest).chain(by_older))
}

fn sorted(labels: impl Iterator<Item = OwnedLabel>) -> Arc<[OwnedLabel]> {
    let mut labels: Vec<_> = labels.collect();
    labels.sort_by(|a, b| a.key.cmp(&b.key));
    labels.into()
}
