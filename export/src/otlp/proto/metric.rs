//! Metrics.

use coati_core::metrics::{
    Exemplar, HistogramSnapshot, Kind, MetricSnapshot, Number, SeriesSnapshot, Value,
};

use super::value::labels;
use crate::otlp::point::{Frame, Shape, Side, is_exponential};
use crate::wire;

/// Appends `metric` as an element of `ScopeMetrics.metrics`; how many points it has. Nothing when
/// it has none.
pub fn metric(metric: &MetricSnapshot, frame: &Frame, out: &mut Vec<u8>) -> u64 {
    let descriptor = &*metric.descriptor;
    let begin = out.len();
    let mut points = 0;
    wire::message(0x12, out, |out| {
        wire::bytes(0x0a, descriptor.name.as_bytes(), out);
        for (tag, text) in [(0x12, &descriptor.description), (0x1a, &descriptor.unit)] {
            if !text.is_empty() {
                wire::bytes(tag, text.as_bytes(), out);
            }
        }
        let data = match descriptor.kind {
            Kind::Gauge => 0x2a,
            Kind::Counter | Kind::UpDownCounter => 0x3a,
            Kind::Histogram if is_exponential(metric, frame) => 0x52,
            Kind::Histogram => 0x4a,
        };
        wire::message(data, out, |out| {
            for series in frame.series(metric) {
                wire::message(0x0a, out, |out| point(series, descriptor.kind, frame, out));
                points += 1;
            }
            if descriptor.kind != Kind::Gauge {
                wire::number(0x10, frame.temporality(descriptor.kind) as u64, out);
            }
            wire::number(0x18, u64::from(descriptor.kind == Kind::Counter), out);
        });
    });
    if points == 0 {
        out.truncate(begin);
    }
    points
}

fn point(series: &SeriesSnapshot, kind: Kind, frame: &Frame, out: &mut Vec<u8>) {
    match &series.value {
        Value::Number(value) => {
            times(0x11, kind, frame, out);
            match value {
                Number::Int(value) => wire::fixed64(0x31, *value as u64, out),
                Number::Float(value) => wire::fixed64(0x21, value.to_bits(), out),
            }
            exemplars(0x2a, series, frame, out);
            labels(0x3a, &series.labels, out);
        }
        Value::Histogram(histogram) => match Shape::of(histogram, frame.explicit) {
            Shape::Explicit { bounds, counts } => {
                times(0x11, kind, frame, out);
                totals(histogram, out);
                packed(0x32, counts.iter().copied(), out);
                packed(0x3a, bounds.iter().map(|bound| bound.to_bits()), out);
                exemplars(0x42, series, frame, out);
                labels(0x4a, &series.labels, out);
                extremes(0x59, histogram, out);
            }
            Shape::Exponential { scale, zero, positive, negative } => {
                labels(0x0a, &series.labels, out);
                times(0x11, kind, frame, out);
                totals(histogram, out);
                wire::number(0x30, wire::zigzag(scale), out);
                wire::fixed64(0x39, zero, out);
                side(0x42, &positive, out);
                side(0x4a, &negative, out);
                exemplars(0x5a, series, frame, out);
                extremes(0x61, histogram, out);
            }
        },
    }
}

fn exemplars(tag: u8, series: &SeriesSnapshot, frame: &Frame, out: &mut Vec<u8>) {
    for Exemplar { value, time, span } in frame.exemplars(series) {
        wire::short_message(tag, out, |out| {
            wire::fixed64(0x11, *time, out);
            match value {
                Number::Int(value) => wire::fixed64(0x31, *value as u64, out),
                Number::Float(value) => wire::fixed64(0x19, value.to_bits(), out),
            }
            if let Some(ids) = span {
                wire::bytes(0x22, &ids.span_id.0, out);
                wire::bytes(0x2a, &ids.trace_id.0, out);
            }
        });
    }
}

/// Start and time, whose tags follow each other.
fn times(tag: u8, kind: Kind, frame: &Frame, out: &mut Vec<u8>) {
    let start = frame.start(kind);
    if start != 0 {
        wire::fixed64(tag, start, out);
    }
    wire::fixed64(tag + 8, frame.now, out);
}

fn totals(histogram: &HistogramSnapshot, out: &mut Vec<u8>) {
    wire::fixed64(0x21, histogram.count, out);
    wire::fixed64(0x29, histogram.sum.to_bits(), out);
}

/// Lowest and highest value, whose tags follow each other.
fn extremes(tag: u8, histogram: &HistogramSnapshot, out: &mut Vec<u8>) {
    for (tag, value) in [(tag, histogram.min), (tag + 8, histogram.max)] {
        if let Some(value) = value {
            wire::fixed64(tag, value.to_bits(), out);
        }
    }
}

fn packed(tag: u8, values: impl ExactSizeIterator<Item = u64>, out: &mut Vec<u8>) {
    wire::head(tag, values.len() * 8, out);
    values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn side(tag: u8, side: &Side, out: &mut Vec<u8>) {
    if side.counts.is_empty() {
        return;
    }
    wire::message(tag, out, |out| {
        wire::number(0x08, wire::zigzag(side.offset), out);
        wire::message(0x12, out, |out| {
            side.counts.iter().for_each(|&count| wire::varint(count, out));
        });
    });
}
