//! The two text formats. `OPEN` is OpenMetrics, else it is version 0.0.4.

use coati_core::metrics::{
    Descriptor, Exemplar, HistogramBuckets, HistogramSnapshot, Kind, LabelValue, MetricSnapshot,
    Number, OwnedLabel, OwnedValue, SeriesSnapshot, Value,
};

use super::labels::{Keys, Merged, Shown, bounds, by_bucket, merge, newest};
use super::names::{Names, unit_words};
use crate::encode::line::{Chunks, Line};
use crate::encode::number::{finite, nine, signed, unsigned};

/// Appends all metrics that have series.
pub(super) fn metrics<const OPEN: bool>(
    metrics: &[MetricSnapshot],
    names: &mut Names,
    out: &mut Vec<u8>,
) {
    for metric in metrics {
        // An empty one takes its name all the same, so that others keep theirs when it fills.
        let name = names.next(&metric.descriptor);
        if !metric.series.is_empty() {
            head::<OPEN>(&name, &metric.descriptor, out);
            Family::<OPEN>::new(&name, &metric.descriptor).encode(&metric.series, out);
        }
    }
}

fn head<const OPEN: bool>(name: &str, descriptor: &Descriptor, out: &mut Vec<u8>) {
    let counter = descriptor.kind == Kind::Counter;
    let family = if OPEN && counter { name.strip_suffix("_total").unwrap_or(name) } else { name };
    if !descriptor.description.is_empty() {
        put(out, &["# HELP ", family, " "]);
        escape(&descriptor.description, OPEN, out);
        out.push(b'\n');
    }
    let kind = match descriptor.kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    put(out, &["# TYPE ", family, " ", kind, "\n"]);
    let unit = unit_words(&descriptor.unit);
    let ends_so = || family.strip_suffix(&unit).is_some_and(|before| before.ends_with('_'));
    if OPEN && !unit.is_empty() && ends_so() {
        put(out, &["# UNIT ", family, " ", &unit, "\n"]);
    }
}

/// What the metrics belong to, as `target_info`.
pub(super) fn target<const OPEN: bool>(labels: &[(String, String)], out: &mut Vec<u8>) {
    let (family, kind) = if OPEN { ("target", "info") } else { ("target_info", "gauge") };
    put(out, &["# HELP ", family, " Target metadata\n# TYPE ", family, " ", kind, "\n"]);
    put(out, &["target_info"]);
    for (at, (name, value)) in labels.iter().enumerate() {
        put(out, &[if at == 0 { "{" } else { "," }, name, "=\""]);
        escape(value, true, out);
        out.push(b'"');
    }
    put(out, &[if labels.is_empty() { " 1\n" } else { "} 1\n" }]);
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
struct Family<'a, const OPEN: bool> {
    name: &'a str,
    kind: Kind,
    /// Label names as `name="`.
    keys: Keys<Chunks>,
    /// `le="…"} ` of every bucket but the last.
    ends: Vec<Chunks>,
    bounds: Vec<f64>,
    exponents: std::ops::RangeInclusive<i32>,
}

impl<'a, const OPEN: bool> Family<'a, OPEN> {
    fn new(name: &'a str, descriptor: &Descriptor) -> Self {
        let bounds = bounds(descriptor);
        let end = |bound: &f64| {
            let mut text = Vec::new();
            let mut line = Line::new(&mut text);
            line.put(b"le=\"");
            float(*bound, &mut line);
            line.put(b"\"} ");
            line.finish();
            Chunks::from(&*text)
        };
        let keys =
            Keys::new(descriptor.kind, |name| Chunks::from((name.to_owned() + "=\"").as_bytes()));
        let (kind, exponents) = (descriptor.kind, descriptor.ladder());
        Self { name, kind, keys, ends: bounds.iter().map(end).collect(), bounds, exponents }
    }

    fn encode(&mut self, all: &[SeriesSnapshot], out: &mut Vec<u8>) {
        if self.keys.may_coincide(all) {
            let lines = merge(all, self.kind, |labels, out| self.labels_alone(labels, out));
            let mut line = Line::new(out);
            for Merged { labels, value, exemplars } in &lines {
                match value {
                    Value::Number(value) => {
                        self.sample(b"", labels, *value, &mut line);
                        self.end_of_number(exemplars, &mut line);
                    }
                    Value::Histogram(histogram) => {
                        self.histogram(labels, histogram, exemplars, &mut line);
                    }
                }
            }
            return line.finish();
        }
        let mut labels = Vec::new();
        let mut line = Line::new(out);
        for series in all {
            match &series.value {
                Value::Number(value) => {
                    line.bytes(self.name.as_bytes());
                    self.labels(&series.labels, &mut line);
                    end(!series.labels.is_empty(), *value, &mut line);
                    self.end_of_number(&series.exemplars, &mut line);
                }
                Value::Histogram(histogram) => {
                    self.labels_alone(&series.labels, &mut labels);
                    self.histogram(&labels, histogram, &series.exemplars, &mut line);
                }
            }
        }
        line.finish();
    }

    /// `{name="value",name="value"`, nothing for no labels.
    #[inline(always)]
    fn labels(&mut self, labels: &[OwnedLabel], line: &mut Line<'_>) {
        let mut first = true;
        self.keys.each(labels, value, |name, shown| {
            line.put(if std::mem::take(&mut first) { b"{" } else { b"," });
            line.text(name);
            match shown {
                // What needs no escape in JSON needs none here.
                Shown::Alone(OwnedValue::Str(text)) if line.plain(text.as_bytes()) => {}
                Shown::Alone(other) => {
                    line.rarely(|out| value(other, out));
                    line.put(b"\"");
                }
                Shown::Joined(text) => {
                    line.bytes(text);
                    line.put(b"\"");
                }
            }
        });
    }

    fn labels_alone(&mut self, labels: &[OwnedLabel], out: &mut Vec<u8>) {
        out.clear();
        let mut line = Line::new(out);
        self.labels(labels, &mut line);
        line.finish();
    }

    #[inline(always)]
    fn sample(&self, suffix: &[u8], labels: &[u8], value: Number, line: &mut Line<'_>) {
        line.bytes(self.name.as_bytes());
        line.bytes(suffix);
        line.bytes(labels);
        end(!labels.is_empty(), value, line);
    }

    /// Only counters have exemplars, of those that are numbers.
    #[inline(always)]
    fn end_of_number(&self, exemplars: &[Exemplar], line: &mut Line<'_>) {
        if OPEN && self.kind == Kind::Counter {
            exemplar(newest(exemplars), line);
        }
        line.put(b"\n");
    }

    fn histogram(
        &self,
        labels: &[u8],
        histogram: &HistogramSnapshot,
        exemplars: &[Exemplar],
        line: &mut Line<'_>,
    ) {
        let separator: &[u8] = if labels.is_empty() { b"{" } else { b"," };
        let begin = [self.name.as_bytes(), b"_bucket", labels, separator].concat();
        let begin = Chunks::from(&*begin);
        let exemplars = match OPEN && !exemplars.is_empty() {
            true => by_bucket(&self.bounds, exemplars),
            false => Vec::new(),
        };
        let (mut ends, mut shown) = (self.ends.iter(), exemplars.iter());
        let mut bucket = |count, line: &mut Line<'_>| {
            let Some(end) = ends.next() else { return };
            line.text(&begin);
            line.text(end);
            unsigned(count, line);
            if OPEN {
                exemplar(shown.next().copied().flatten(), line);
            }
            line.put(b"\n");
        };
        match &histogram.buckets {
            HistogramBuckets::Exponential(_) => {
                histogram.at_most_powers(self.exponents.clone(), |count| bucket(count, line));
            }
            HistogramBuckets::Explicit { counts, .. } => {
                let mut total = 0;
                for count in counts {
                    total += count;
                    bucket(total, line);
                }
            }
        }
        line.text(&begin);
        line.put(b"le=\"+Inf\"} ");
        unsigned(histogram.count, line);
        if OPEN {
            exemplar(exemplars.last().copied().flatten(), line);
        }
        line.put(b"\n");
        // OpenMetrics' sums only grow: it knows none of what may be negative.
        if !OPEN || (histogram.sum >= 0.0 && self.bounds.first().is_none_or(|least| *least >= 0.0))
        {
            self.sample(b"_sum", labels, Number::Float(histogram.sum), line);
            line.put(b"\n");
        }
        line.bytes(self.name.as_bytes());
        line.put(b"_count");
        line.bytes(labels);
        line.bytes(if labels.is_empty() { b" " } else { b"} " });
        unsigned(histogram.count, line);
        line.put(b"\n");
    }
}

/// `} ` and the value.
#[inline(always)]
fn end(labelled: bool, value: Number, line: &mut Line<'_>) {
    if labelled {
        line.put(b"}");
    }
    line.put(b" ");
    number(value, line);
}

#[inline(always)]
fn number(value: Number, line: &mut Line<'_>) {
    match value {
        Number::Int(value) => signed(value, line),
        Number::Float(value) => float(value, line),
    }
}

/// ` # {trace_id="…",span_id="…"} value time`
#[inline(always)]
fn exemplar(exemplar: Option<&Exemplar>, line: &mut Line<'_>) {
    let Some(Exemplar { value, time, span }) = exemplar else { return };
    line.put(b" # {");
    if let Some(ids) = span {
        line.put(b"trace_id=\"");
        line.put(&ids.trace_id.hex());
        line.put(b"\",span_id=\"");
        line.put(&ids.span_id.hex());
        line.put(b"\"");
    }
    line.put(b"} ");
    number(*value, line);
    line.put(b" ");
    unsigned(time / 1_000_000_000, line);
    line.put(b".");
    nine(time % 1_000_000_000, line);
}

/// The inside of a label's value.
fn value(value: &OwnedValue, out: &mut Vec<u8>) {
    let value = value.borrowed();
    if let LabelValue::Str(text) = value {
        return escape(text, true, out);
    }
    plain(value, out);
}

/// The text of a value that needs no escape.
pub(super) fn plain(value: LabelValue<'_>, out: &mut Vec<u8>) {
    let mut line = Line::new(out);
    match value {
        LabelValue::Str(text) => line.bytes(text.as_bytes()),
        LabelValue::Int(value) => signed(value, &mut line),
        LabelValue::Float(value) => float(value, &mut line),
        LabelValue::Bool(true) => line.put(b"true"),
        LabelValue::Bool(false) => line.put(b"false"),
    }
    line.finish();
}
