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

use crate::encode::line::{Chunks, Line};
use crate::encode::number::{finite, signed, unsigned};
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
pub fn encode(metrics: &[MetricSnapshot], out: &mut String) {
    // SAFETY: only whole texts and ASCII are appended.
    let out = unsafe { out.as_mut_vec() };
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

#[inline(always)]
fn float(value: f64, line: &mut Line<'_>) {
    if value.is_finite() {
        finite(value, line);
    } else if value.is_nan() {
        line.put(b"NaN");
    } else {
        line.put(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    }
}

/// One metric being written.
struct Family<'a> {
    name: &'a str,
    kind: Kind,
    /// The label names met so far, each as `name="`; series share keys, so that the address mostly
    /// tells them.
    keys: Vec<(Arc<str>, Chunks)>,
    /// Whether two keys are one name.
    clash: bool,
    /// `le="…"} ` of every bucket but the last.
    ends: Vec<Chunks>,
    exponents: std::ops::RangeInclusive<i32>,
}

impl<'a> Family<'a> {
    fn new(name: &'a str, descriptor: &Descriptor) -> Self {
        let exponents = descriptor.ladder();
        let end = |bound: f64| {
            let mut text = Vec::new();
            let mut line = Line::new(&mut text);
            line.put(b"le=\"");
            float(bound, &mut line);
            line.put(b"\"} ");
            line.finish();
            Chunks::from(&*text)
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
            let mut line = Line::new(out);
            for series in all {
                match &series.value {
                    Value::Number(value) => {
                        line.bytes(self.name.as_bytes());
                        self.labels(&series.labels, &mut line);
                        end(!series.labels.is_empty(), *value, &mut line);
                    }
                    Value::Histogram(histogram) => {
                        self.labels_alone(&series.labels, &mut labels);
                        self.histogram(&labels, histogram, &mut line);
                    }
                }
            }
            return line.finish();
        }
        let mut places = HashMap::new();
        let mut lines: Vec<(Vec<u8>, Value)> = Vec::new();
        for series in all {
            self.labels_alone(&series.labels, &mut labels);
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
        let mut line = Line::new(out);
        for (labels, value) in &lines {
            match value {
                Value::Number(value) => self.sample(b"", labels, *value, &mut line),
                Value::Histogram(histogram) => self.histogram(labels, histogram, &mut line),
            }
        }
        line.finish();
    }

    /// The place of `key` in the names met so far.
    fn key(&mut self, key: &Arc<str>) -> usize {
        let by_address = self.keys.iter().position(|(known, _)| Arc::ptr_eq(known, key));
        let known = by_address.or_else(|| self.keys.iter().position(|(known, _)| known == key));
        known.unwrap_or_else(|| {
            let name = label_name(key, self.kind == Kind::Histogram) + "=\"";
            self.keys.push((key.clone(), Chunks::from(name.as_bytes())));
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
        let mut names: Vec<&Chunks> = self.keys.iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        self.clash = names.windows(2).any(|pair| pair[0] == pair[1]);
        mixed || self.clash
    }

    /// `{name="value",name="value"`, nothing for no labels.
    #[inline(always)]
    fn labels(&mut self, labels: &[OwnedLabel], line: &mut Line<'_>) {
        for (at, label) in labels.iter().enumerate() {
            let key = self.key(&label.key);
            if self.clash && labels[..at].iter().any(|earlier| self.is_named_as(earlier, key)) {
                // Joined to that one already.
                continue;
            }
            line.put(if at == 0 { b"{" } else { b"," });
            line.text(&self.keys[key].1);
            if self.clash {
                let mut text = Vec::new();
                value(&label.value, &mut text);
                for other in labels[at + 1..].iter().filter(|other| self.is_named_as(other, key)) {
                    text.push(b';');
                    value(&other.value, &mut text);
                }
                line.bytes(&text);
                line.put(b"\"");
                continue;
            }
            match &label.value {
                // What needs no escape in JSON needs none here.
                OwnedValue::Str(text) if line.plain(text.as_bytes()) => {}
                other => {
                    line.rarely(|out| value(other, out));
                    line.put(b"\"");
                }
            }
        }
    }

    fn labels_alone(&mut self, labels: &[OwnedLabel], out: &mut Vec<u8>) {
        out.clear();
        let mut line = Line::new(out);
        self.labels(labels, &mut line);
        line.finish();
    }

    fn is_named_as(&self, label: &OwnedLabel, key: usize) -> bool {
        let name = &self.keys[key].1;
        self.keys.iter().any(|(known, other)| *known == label.key && other == name)
    }

    #[inline(always)]
    fn sample(&self, suffix: &[u8], labels: &[u8], value: Number, line: &mut Line<'_>) {
        line.bytes(self.name.as_bytes());
        line.bytes(suffix);
        line.bytes(labels);
        end(!labels.is_empty(), value, line);
    }

    fn histogram(&self, labels: &[u8], histogram: &HistogramSnapshot, line: &mut Line<'_>) {
        let separator: &[u8] = if labels.is_empty() { b"{" } else { b"," };
        let begin = [self.name.as_bytes(), b"_bucket", labels, separator].concat();
        let begin = Chunks::from(&*begin);
        let mut ends = self.ends.iter();
        match &histogram.buckets {
            HistogramBuckets::Exponential(_) => {
                histogram.at_most_powers(self.exponents.clone(), |count| {
                    if let Some(end) = ends.next() {
                        bucket(&begin, end, count, line);
                    }
                });
            }
            HistogramBuckets::Explicit { counts, .. } => {
                let mut total = 0;
                for (end, count) in ends.zip(counts) {
                    total += count;
                    bucket(&begin, end, total, line);
                }
            }
        }
        line.text(&begin);
        line.put(b"le=\"+Inf\"} ");
        unsigned(histogram.count, line);
        line.put(b"\n");
        self.sample(b"_sum", labels, Number::Float(histogram.sum), line);
        line.bytes(self.name.as_bytes());
        line.put(b"_count");
        line.bytes(labels);
        line.bytes(if labels.is_empty() { b" " } else { b"} " });
        unsigned(histogram.count, line);
        line.put(b"\n");
    }
}

#[inline(always)]
fn bucket(begin: &Chunks, end: &Chunks, count: u64, line: &mut Line<'_>) {
    line.text(begin);
    line.text(end);
    unsigned(count, line);
    line.put(b"\n");
}

/// `} ` and the value.
#[inline(always)]
fn end(labelled: bool, value: Number, line: &mut Line<'_>) {
    if labelled {
        line.put(b"}");
    }
    line.put(b" ");
    match value {
        Number::Int(value) => signed(value, line),
        Number::Float(value) => float(value, line),
    }
    line.put(b"\n");
}

/// The inside of a label's value.
fn value(value: &OwnedValue, out: &mut Vec<u8>) {
    let value = value.borrowed();
    if let LabelValue::Str(text) = value {
        return escape(text, true, out);
    }
    let mut line = Line::new(out);
    match value {
        LabelValue::Str(_) => {}
        LabelValue::Int(value) => signed(value, &mut line),
        LabelValue::Float(value) => float(value, &mut line),
        LabelValue::Bool(true) => line.put(b"true"),
        LabelValue::Bool(false) => line.put(b"false"),
    }
    line.finish();
}
