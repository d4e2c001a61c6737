//! Series for a console: JSON lines, or lines for people. Pure.

use coati_core::metrics::{MetricSnapshot, Number, OwnedValue, SeriesSnapshot, Stats, Value};
use serde_json::{Map, Value as Json, json};

use super::time::rfc3339;

/// The quantiles shown of a histogram.
const QUANTILES: [(&str, f64); 4] = [("median", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)];

/// Appends every series as a JSON line: `timestamp`, `metric`, `type`, `unit`, `service`, `labels`,
/// `scope` where it has one, and `value` or `stats`.
pub fn json_lines(metrics: &[MetricSnapshot], wall_ns: u64, service: &str, out: &mut Vec<u8>) {
    let mut timestamp = Vec::new();
    rfc3339(wall_ns, &mut timestamp);
    let timestamp = String::from_utf8_lossy(&timestamp);
    for (metric, series) in each(metrics) {
        let descriptor = &metric.descriptor;
        let mut line = json!({
            "timestamp": timestamp,
            "metric": descriptor.name,
            "type": descriptor.kind.to_string(),
            "unit": descriptor.unit,
            "service": service,
            "labels": labels(series),
        });
        if let Some(scope) = &descriptor.scope {
            line["scope"] = json!(scope.name);
        }
        match &series.value {
            Value::Number(number) => line["value"] = value(*number),
            Value::Histogram(histogram) => {
                line["stats"] = stats(&Stats::new((**histogram).clone()));
            }
        }
        // Writing into memory does not fail.
        let _ = serde_json::to_writer(&mut *out, &line);
        out.push(b'\n');
    }
}

/// Appends every series as a line for people: `name{label=value}  3 ms`.
pub fn pretty_lines(metrics: &[MetricSnapshot], wall_ns: u64, out: &mut Vec<u8>) {
    let mut timestamp = Vec::new();
    rfc3339(wall_ns, &mut timestamp);
    let clock = String::from_utf8_lossy(&timestamp[11..23]).into_owned();
    for (metric, series) in each(metrics) {
        let descriptor = &metric.descriptor;
        let labels: Vec<_> =
            labels(series).iter().map(|(key, value)| format!("{key}={value}")).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(", ")),
        };
        let told = match &series.value {
            Value::Number(number) => format!("{}", value(*number)),
            Value::Histogram(histogram) => {
                let stats = stats(&Stats::new((**histogram).clone()));
                let told = stats.as_object().into_iter().flatten();
                told.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            }
        };
        let line =
            format!("{clock} METRIC {}{labels}  {told} {}", descriptor.name, descriptor.unit);
        // A name or a label must not steer the terminal.
        out.extend(line.trim_end().replace(char::is_control, "?").bytes());
        out.push(b'\n');
    }
}

fn each(metrics: &[MetricSnapshot]) -> impl Iterator<Item = (&MetricSnapshot, &SeriesSnapshot)> {
    metrics.iter().flat_map(|metric| metric.series.iter().map(move |series| (metric, series)))
}

fn labels(series: &SeriesSnapshot) -> Map<String, Json> {
    let value = |value: &OwnedValue| match value {
        OwnedValue::Str(text) => json!(text),
        OwnedValue::Int(value) => json!(value),
        OwnedValue::Float(value) => float(*value),
        OwnedValue::Bool(value) => json!(value),
    };
    series.labels.iter().map(|label| (label.key.to_string(), value(&label.value))).collect()
}

fn value(number: Number) -> Json {
    match number {
        Number::Int(value) => json!(value),
        Number::Float(value) => float(value),
    }
}

/// What is not finite is a text, as in log lines.
fn float(value: f64) -> Json {
    match value {
        _ if value.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ => json!(value),
    }
}

fn stats(stats: &Stats) -> Json {
    let mut told = json!({ "count": stats.count, "sum": float(stats.sum) });
    if stats.count > 0 {
        let figures = [("min", stats.min), ("max", stats.max), ("mean", stats.mean)];
        let quantiles = QUANTILES.map(|(name, q)| (name, stats.quantile(q)));
        for (name, figure) in figures.into_iter().chain(quantiles) {
            told[name] = float(figure);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use coati_core::metrics::{Descriptor, Kind, OwnedLabel};

    fn counter(label: &str) -> MetricSnapshot {
        let labels = [OwnedLabel { key: "agent".into(), value: OwnedValue::Str(label.into()) }];
        MetricSnapshot {
            descriptor: Descriptor::new("calls", Kind::Counter, "{call}", "").into(),
            series: vec![SeriesSnapshot {
                labels: labels.into(),
                value: Value::Number(Number::Int(3)),
                exemplars: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_series_is_a_line() {
        let mut out = Vec::new();
        json_lines(&[counter("a\n")], 1_500_000_000, "app", &mut out);
        let line: Json = serde_json::from_slice(&out).unwrap();
        let expected = json!({
            "timestamp": "1970-01-01T00:00:01.500000000Z", "metric": "calls", "type": "counter",
            "unit": "{call}", "service": "app", "labels": { "agent": "a\n" }, "value": 3,
        });
        assert_eq!(line, expected);
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
    }

    #[test]
    fn a_line_for_people_steers_no_terminal() {
        let mut out = Vec::new();
        pretty_lines(&[counter("\x1b[2J")], 1_500_000_000, &mut out);
        let line = String::from_utf8(out).unwrap();
        assert_eq!(line, "00:00:01.500 METRIC calls{agent=\"\\u001b[2J\"}  3 {call}\n");
    }
}
