//! Metrics.

use coati_core::metrics::{
    Exemplar, HistogramSnapshot, Kind, MetricSnapshot, Number, SeriesSnapshot, Value,
};

use super::value::{Member, double, labels};
use crate::otlp::point::{Frame, Shape, Side, is_exponential};

/// Appends `metric` as an element of `scopeMetrics.metrics`; how many points it has. Nothing when
/// it has none.
pub fn metric(metric: &MetricSnapshot, frame: &Frame, out: &mut Vec<u8>) -> u64 {
    let descriptor = &*metric.descriptor;
    let begin = out.len();
    let mut points = 0;
    out.push(b'{');
    out.text("name", &descriptor.name);
    out.text("description", &descriptor.description);
    out.text("unit", &descriptor.unit);
    out.name(match descriptor.kind {
        Kind::Gauge => "gauge",
        Kind::Counter | Kind::UpDownCounter => "sum",
        Kind::Histogram if is_exponential(metric, frame) => "exponentialHistogram",
        Kind::Histogram => "histogram",
    });
    out.extend_from_slice(b"{\"dataPoints\":[");
    for series in frame.series(metric) {
        out.next();
        out.push(b'{');
        point(series, descriptor.kind, frame, out);
        out.push(b'}');
        points += 1;
    }
    out.push(b']');
    if descriptor.kind != Kind::Gauge {
        out.number("aggregationTemporality", frame.temporality(descriptor.kind) as i64);
    }
    if descriptor.kind == Kind::Counter {
        out.name("isMonotonic");
        out.extend_from_slice(b"true");
    }
    out.extend_from_slice(b"}},");
    if points == 0 {
        out.truncate(begin);
    }
    points
}

fn point(series: &SeriesSnapshot, kind: Kind, frame: &Frame, out: &mut Vec<u8>) {
    labels(&series.labels, out);
    let start = frame.start(kind);
    if start != 0 {
        out.wide("startTimeUnixNano", start);
    }
    out.wide("timeUnixNano", frame.now);
    match &series.value {
        Value::Number(Number::Int(value)) => out.wide("asInt", *value),
        Value::Number(Number::Float(value)) => out.double("asDouble", *value),
        Value::Histogram(histogram) => distribution(histogram, frame, out),
    }
    exemplars(series, frame, out);
}

fn exemplars(series: &SeriesSnapshot, frame: &Frame, out: &mut Vec<u8>) {
    let mut all = frame.exemplars(series).peekable();
    if all.peek().is_none() {
        return;
    }
    out.name("exemplars");
    out.push(b'[');
    for Exemplar { value, time, span } in all {
        out.next();
        out.push(b'{');
        out.wide("timeUnixNano", *time);
        match value {
            Number::Int(value) => out.wide("asInt", *value),
            Number::Float(value) => out.double("asDouble", *value),
        }
        if let Some(ids) = span {
            out.raw("spanId", &ids.span_id.hex());
            out.raw("traceId", &ids.trace_id.hex());
        }
        out.push(b'}');
    }
    out.push(b']');
}

fn distribution(histogram: &HistogramSnapshot, frame: &Frame, out: &mut Vec<u8>) {
    out.wide("count", histogram.count);
    out.double("sum", histogram.sum);
    for (name, value) in [("min", histogram.min), ("max", histogram.max)] {
        if let Some(value) = value {
            out.double(name, value);
        }
    }
    match Shape::of(histogram, frame.explicit) {
        Shape::Explicit { bounds, counts } => {
            out.name("bucketCounts");
            wide_list(&counts, out);
            out.name("explicitBounds");
            out.push(b'[');
            for &bound in bounds {
                out.next();
                double(bound, out);
            }
            out.push(b']');
        }
        Shape::Exponential { scale, zero, positive, negative } => {
            out.number("scale", scale.into());
            out.wide("zeroCount", zero);
            side("positive", &positive, out);
            side("negative", &negative, out);
        }
    }
}

fn side(name: &str, side: &Side, out: &mut Vec<u8>) {
    if side.counts.is_empty() {
        return;
    }
    out.name(name);
    out.push(b'{');
    out.number("offset", side.offset.into());
    out.name("bucketCounts");
    wide_list(&side.counts, out);
    out.push(b'}');
}

fn wide_list(values: &[u64], out: &mut Vec<u8>) {
    out.push(b'[');
    for &value in values {
        out.next();
        out.push(b'"');
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        out.push(b'"');
    }
    out.push(b']');
}
