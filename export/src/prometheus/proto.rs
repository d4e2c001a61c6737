//! Delimited messages `io.prometheus.client.MetricFamily`.

use coati_core::metrics::{
    Exemplar, HistogramBuckets, HistogramSnapshot, Kind, MetricSnapshot, Number, OwnedLabel,
    OwnedValue, SeriesSnapshot, Value,
};

use super::labels::{Keys, Merged, Shown, bounds, by_bucket, merge, newest};
use super::names::{Names, unit_words};
use super::native::{self, Span};
use super::text::plain;
use crate::wire;

const COUNTER: u8 = 0;
const GAUGE: u8 = 1;
const HISTOGRAM: u8 = 4;

/// Appends all metrics that have series.
pub(super) fn metrics(metrics: &[MetricSnapshot], names: &mut Names, out: &mut Vec<u8>) {
    let mut message = Vec::new();
    for metric in metrics {
        let name = names.next(&metric.descriptor);
        if !metric.series.is_empty() {
            message.clear();
            family(&name, metric, &mut message);
            delimited(&message, out);
        }
    }
}

/// What the metrics belong to, as `target_info`.
pub(super) fn target(labels: &[(String, String)], out: &mut Vec<u8>) {
    let mut message = Vec::new();
    head("target_info", "Target metadata", GAUGE, &mut message);
    wire::message(0x22, &mut message, |out| {
        labels.iter().for_each(|(name, value)| pair(&key(name), value.as_bytes(), out));
        wire::message(0x12, out, |out| wire::fixed64(0x09, 1f64.to_bits(), out));
    });
    delimited(&message, out);
}

fn delimited(message: &[u8], out: &mut Vec<u8>) {
    wire::varint(message.len() as u64, out);
    out.extend_from_slice(message);
}

fn head(name: &str, help: &str, kind: u8, out: &mut Vec<u8>) {
    wire::bytes(0x0a, name.as_bytes(), out);
    if !help.is_empty() {
        wire::bytes(0x12, help.as_bytes(), out);
    }
    // Written even where it is 0: the field says whether it is there.
    out.extend_from_slice(&[0x18, kind]);
}

fn family(name: &str, metric: &MetricSnapshot, out: &mut Vec<u8>) {
    let descriptor = &*metric.descriptor;
    let kind = match descriptor.kind {
        Kind::Counter => COUNTER,
        Kind::UpDownCounter | Kind::Gauge => GAUGE,
        Kind::Histogram => HISTOGRAM,
    };
    head(name, &descriptor.description, kind, out);
    let bounds = bounds(descriptor);
    let mut keys = Keys::new(descriptor.kind, key);
    let point = |value: &Value, exemplars: &[Exemplar], out: &mut Vec<u8>| match value {
        Value::Number(number) => self::number(descriptor.kind, *number, exemplars, out),
        Value::Histogram(histogram) => {
            let powers = descriptor.ladder();
            wire::message(0x3a, out, |out| {
                distribution(histogram, &bounds, powers, exemplars, out)
            });
        }
    };
    if keys.may_coincide(&metric.series) {
        let merged = merge(&metric.series, descriptor.kind, |all, out| labels(&mut keys, all, out));
        for Merged { labels, value, exemplars } in &merged {
            wire::message(0x22, out, |out| {
                out.extend_from_slice(labels);
                point(value, exemplars, out);
            });
        }
    } else {
        for SeriesSnapshot { labels, value, exemplars } in &metric.series {
            wire::message(0x22, out, |out| {
                self::labels(&mut keys, labels, out);
                point(value, exemplars, out);
            });
        }
    }
    let unit = unit_words(&descriptor.unit);
    if !unit.is_empty() {
        wire::bytes(0x2a, unit.as_bytes(), out);
    }
}

/// A name as the beginning of a pair.
fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    wire::bytes(0x0a, name.as_bytes(), &mut key);
    key
}

fn labels(keys: &mut Keys<Vec<u8>>, labels: &[OwnedLabel], out: &mut Vec<u8>) {
    keys.each(labels, text, |key, shown| match shown {
        Shown::Alone(OwnedValue::Str(value)) => pair(key, value.as_bytes(), out),
        Shown::Alone(value) => {
            let mut text = Vec::new();
            self::text(value, &mut text);
            pair(key, &text, out);
        }
        Shown::Joined(text) => pair(key, text, out),
    });
}

fn text(value: &OwnedValue, out: &mut Vec<u8>) {
    plain(value.borrowed(), out);
}

fn pair(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let len = key.len() + 1 + wire::varint_len(value.len() as u64) + value.len();
    wire::head(0x0a, len, out);
    out.extend_from_slice(key);
    wire::bytes(0x12, value, out);
}

fn number(kind: Kind, number: Number, exemplars: &[Exemplar], out: &mut Vec<u8>) {
    let counter = kind == Kind::Counter;
    wire::short_message(if counter { 0x1a } else { 0x12 }, out, |out| {
        wire::fixed64(0x09, number.as_f64().to_bits(), out);
        if let Some(one) = newest(exemplars).filter(|_| counter) {
            exemplar(0x12, one, out);
        }
    });
}

/// A histogram's buckets, those of the text formats, and beside them the native ones where it has
/// exponential ones.
fn distribution(
    histogram: &HistogramSnapshot,
    bounds: &[f64],
    powers: std::ops::RangeInclusive<i32>,
    exemplars: &[Exemplar],
    out: &mut Vec<u8>,
) {
    wire::number(0x08, histogram.count, out);
    wire::fixed64(0x11, histogram.sum.to_bits(), out);
    let newest = by_bucket(bounds, exemplars);
    let mut ends = bounds.iter().zip(&newest);
    let mut bucket = |count: u64| {
        if let Some((bound, newest)) = ends.next() {
            self::bucket(*bound, count, *newest, out);
        }
    };
    match &histogram.buckets {
        HistogramBuckets::Explicit { counts, .. } => {
            let mut total = 0;
            for count in counts {
                total += count;
                bucket(total);
            }
        }
        HistogramBuckets::Exponential(_) => histogram.at_most_powers(powers, bucket),
    }
    // The bucket above all bounds is there for its exemplar alone.
    if let Some(Some(last)) = newest.last() {
        self::bucket(f64::INFINITY, histogram.count, Some(last), out);
    }
    if let HistogramBuckets::Exponential(exponential) = &histogram.buckets {
        let fitted = native::within(exponential);
        wire::number(0x28, wire::zigzag(fitted.scale), out);
        wire::fixed64(0x31, native::ZERO_THRESHOLD.to_bits(), out);
        wire::number(0x38, fitted.zero, out);
        side([0x4a, 0x52], &native::spans(&fitted.negative), out);
        side([0x62, 0x6a], &native::spans(&fitted.positive), out);
        for one in exemplars {
            // Field 16 has a key of two bytes.
            out.push(0x82);
            exemplar(0x01, one, out);
        }
    }
}

fn bucket(bound: f64, count: u64, newest: Option<&Exemplar>, out: &mut Vec<u8>) {
    wire::short_message(0x1a, out, |out| {
        wire::number(0x08, count, out);
        wire::fixed64(0x11, bound.to_bits(), out);
        if let Some(one) = newest {
            exemplar(0x1a, one, out);
        }
    });
}

fn side(tags: [u8; 2], (spans, deltas): &(Vec<Span>, Vec<i64>), out: &mut Vec<u8>) {
    for Span { offset, length } in spans {
        wire::short_message(tags[0], out, |out| {
            wire::number(0x08, wire::zigzag(*offset), out);
            wire::number(0x10, u64::from(*length), out);
        });
    }
    if !deltas.is_empty() {
        wire::message(tags[1], out, |out| {
            deltas.iter().for_each(|delta| wire::varint(wire::zigzag_wide(*delta), out));
        });
    }
}

fn exemplar(tag: u8, exemplar: &Exemplar, out: &mut Vec<u8>) {
    let Exemplar { value, time, span } = exemplar;
    wire::message(tag, out, |out| {
        if let Some(ids) = span {
            pair(&key("trace_id"), &ids.trace_id.hex(), out);
            pair(&key("span_id"), &ids.span_id.hex(), out);
        }
        wire::fixed64(0x11, value.as_f64().to_bits(), out);
        wire::short_message(0x1a, out, |out| {
            wire::number(0x08, time / 1_000_000_000, out);
            wire::number(0x10, time % 1_000_000_000, out);
        });
    });
}
