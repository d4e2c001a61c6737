//! Metrics as Prometheus text, version 0.0.4.
//!
//! - Names carry their unit and counters `_total`, as OpenTelemetry's compatibility rules say. Of
//!   two metrics that would be called the same, the one made later gets `_2` before its unit.
//! - Labels whose names become the same are one label with the values joined by `;`. Series that
//!   then have the same labels (as `1` and `"1"` have) are one line: sums and histograms are added,
//!   of gauges the last one stands.
//! - An exponential histogram shows the powers of two that [`Descriptor::ladder`] gives its unit:
//!   the same at every scrape.

mod names;

use coati_core::metrics::{
    Descriptor, HistogramBuckets, HistogramSnapshot, Kind, LabelValue, MetricSnapshot, Number,
    OwnedLabel, OwnedValue, SeriesSnapshot, Value,
};
use names::{Names, label_name};
use std::collections::HashMap;
use std::sync::Arc;

/// The content type of the encoding.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends all metrics that have series.
pub fn encode(metrics: &[MetricSnapshot], out: &mut Vec<u8>) {
    let mut names = Names::default();
    for metric in metrics {
        // An empty one takes its name all the same, so that others keep theirs when it fills.
        let name = names.next(&metric.descriptor);
        if !metric.series.is_empty() {
            head(&name, &metric.descriptor, out);
            Family::new(&name, &metric.descriptor).encode(&metric.series, out);
        }
    }
}

fn head(name: &str, descriptor: &Descriptor, out: &mut Vec<u8>) {
    if !descriptor.description.is_empty() {
        put(out, &["# HELP ", name, " "]);
        escape(&descriptor.description, false, out);
        out.push(b'\n');
    }
    let kind = match descriptor.kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    put(out, &["# TYPE ", name, " ", kind, "\n"]);
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (*byte == b'"' && quotes);
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            _ => b"\\\"",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn float(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

fn int(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn number(value: Number, out: &mut Vec<u8>) {
    match value {
        Number::Int(value) => int(value, out),
        Number::Float(value) => float(value, out),
    }
}

/// One metric being written.
struct Family<'a> {
    name: &'a str,
    kind: Kind,
    /// The label names met so far, each as `name="`; series share keys, so that the address mostly
    /// tells them.
    keys: Vec<(Arc<str>, String)>,
    /// Whether two keys are one name.
    clash: bool,
    /// `le="…"} ` of every bucket but the last.
    ends: Vec<Vec<u8>>,
    exponents: std::ops::RangeInclusive<i32>,
}

impl<'a> Family<'a> {
    fn new(name: &'a str, descriptor: &Descriptor) -> Self {
        let exponents = descriptor.ladder();
        let end = |bound: f64| {
            let mut text = b"le=\"".to_vec();
            float(bound, &mut text);
            text.extend_from_slice(b"\"} ");
            text
        };
        let ends = match (descriptor.kind, descriptor.bounds()) {
            (Kind::Histogram, Some(bounds)) => bounds.iter().map(|bound| end(*bound)).collect(),
            (Kind::Histogram, None) => {
                exponents.clone().map(|exponent| end(f64::from(exponent).exp2())).collect()
            }
            _ => Vec::new(),
        };
        Self { name, kind: descriptor.kind, keys: Vec::new(), clash: false, ends, exponents }
    }

    fn encode(&mut self, all: &[SeriesSnapshot], out: &mut Vec<u8>) {
        let mut labels = Vec::new();
        if !self.may_coincide(all) {
            for series in all {
                labels.clear();
                self.labels(&series.labels, &mut labels);
                self.lines(&labels, &series.value, out);
            }
            return;
        }
        let mut places = HashMap::new();
        let mut lines: Vec<(Vec<u8>, Value)> = Vec::new();
        for series in all {
            labels.clear();
            self.labels(&series.labels, &mut labels);
            match places.get(&labels) {
                Some(&at) => {
                    let (_, sum): &mut (_, Value) = &mut lines[at];
                    sum.add(&series.value, self.kind);
                }
                None => {
                    places.insert(labels.clone(), lines.len());
                    lines.push((labels.clone(), series.value.clone()));
                }
            }
        }
        lines.iter().for_each(|(labels, value)| self.lines(labels, value, out));
    }

    /// The place of `key` in the names met so far.
    fn key(&mut self, key: &Arc<str>) -> usize {
        let by_address = self.keys.iter().position(|(known, _)| Arc::ptr_eq(known, key));
        let known = by_address.or_else(|| self.keys.iter().position(|(known, _)| known == key));
        known.unwrap_or_else(|| {
            let name = label_name(key, self.kind == Kind::Histogram) + "=\"";
            self.keys.push((key.clone(), name));
            self.keys.len() - 1
        })
    }

    /// Whether two series might show the same labels: two keys are one name, or one key has
    /// values of several types. Learns all keys.
    fn may_coincide(&mut self, all: &[SeriesSnapshot]) -> bool {
        let mut types = Vec::new();
        let mut mixed = false;
        for label in all.iter().flat_map(|series| &*series.labels) {
            let at = self.key(&label.key);
            let this = std::mem::discriminant(&label.value);
            match types.get(at) {
                Some(first) => mixed |= *first != this,
                None => types.push(this),
            }
        }
        let mut names: Vec<&str> = self.keys.iter().map(|(_, name)| &**name).collect();
        names.sort_unstable();
        self.clash = names.windows(2).any(|pair| pair[0] == pair[1]);
        mixed || self.clash
    }

    /// `name="value",` for each label.
    fn labels(&mut self, labels: &[OwnedLabel], out: &mut Vec<u8>) {
        for (at, label) in labels.iter().enumerate() {
            let key = self.key(&label.key);
            if self.clash && labels[..at].iter().any(|earlier| self.is_named_as(earlier, key)) {
                // Joined to that one already.
                continue;
            }
            put(out, &[&self.keys[key].1]);
            value(&label.value, out);
            if self.clash {
                for other in labels[at + 1..].iter().filter(|other| self.is_named_as(other, key)) {
                    out.push(b';');
                    value(&other.value, out);
                }
            }
            out.extend_from_slice(b"\",");
        }
    }

    fn is_named_as(&self, label: &OwnedLabel, key: usize) -> bool {
        let name = &self.keys[key].1;
        self.keys.iter().any(|(known, other)| *known == label.key && other == name)
    }

    fn lines(&self, labels: &[u8], value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Number(value) => {
                self.start("", labels, out);
                number(*value, out);
                out.push(b'\n');
            }
            Value::Histogram(histogram) => self.histogram(labels, histogram, out),
        }
    }

    /// `name{labels} `.
    fn start(&self, suffix: &str, labels: &[u8], out: &mut Vec<u8>) {
        put(out, &[self.name, suffix]);
        if let Some((_comma, labels)) = labels.split_last() {
            out.push(b'{');
            out.extend_from_slice(labels);
            out.push(b'}');
        }
        out.push(b' ');
    }

    fn histogram(&self, labels: &[u8], histogram: &HistogramSnapshot, out: &mut Vec<u8>) {
        let begin = out.len();
        put(out, &[self.name, "_bucket{"]);
        out.extend_from_slice(labels);
        let begin = begin..out.len();
        let mut ends = self.ends.iter();
        let mut first = true;
        let mut line = |end: &[u8], count: u64| {
            if !std::mem::take(&mut first) {
                out.extend_from_within(begin.clone());
            }
            out.extend_from_slice(end);
            int(count, out);
            out.push(b'\n');
        };
        match &histogram.buckets {
            HistogramBuckets::Exponential(_) => {
                histogram.at_most_powers(self.exponents.clone(), |count| {
                    if let Some(end) = ends.next() {
                        line(end, count);
                    }
                });
            }
            HistogramBuckets::Explicit { counts, .. } => {
                let mut total = 0;
                for (end, count) in ends.zip(counts) {
                    total += count;
                    line(end, total);
                }
            }
        }
        line(b"le=\"+Inf\"} ", histogram.count);
        self.start("_sum", labels, out);
        float(histogram.sum, out);
        out.push(b'\n');
        self.start("_count", labels, out);
        int(histogram.count, out);
        out.push(b'\n');
    }
}

fn value(value: &OwnedValue, out: &mut Vec<u8>) {
    match value.borrowed() {
        LabelValue::Str(text) => escape(text, true, out),
        LabelValue::Int(value) => int(value, out),
        LabelValue::Float(value) => float(value, out),
        LabelValue::Bool(value) => put(out, &[if value { "true" } else { "false" }]),
    }
}
