//! A Prometheus metric with all its series.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;
use coati_core::metrics::{Descriptor, Kind, OwnedLabel, OwnedValue};

use super::series::Series;
use super::text::{escape, go_float};
use super::{COUNTER, GAUGE, HISTOGRAM, SUMMARY};

/// What a metric is made of.
pub struct Definition {
    pub kind: u8,
    /// As OpenMetrics calls the family: a counter's without `_total`.
    pub name: String,
    pub documentation: String,
    pub unit: String,
    /// Label names as declared.
    pub labels: Vec<String>,
    /// Upper bounds of a histogram, the last one infinite.
    pub bounds: Vec<f64>,
    /// Whether nothing is ever added to it.
    pub most_recent: bool,
}

/// A metric.
pub struct Family {
    pub definition: Definition,
    pub descriptor: Arc<Descriptor>,
    /// `le="…"` of each bound.
    pub ends: Box<[Box<str>]>,
    /// Whether all names are of the characters that need no escape in any format.
    pub plain: bool,
    keys: Box<[Arc<str>]>,
    /// Places of the label names, sorted by name.
    order: Box<[usize]>,
    series: ArcSwapOption<Node>,
    live: AtomicUsize,
    dead: AtomicUsize,
}

/// A list that only grows at its head, so that it is read without a lock: neither a thread that
/// waits for the interpreter nor a fork can leave one taken.
struct Node {
    series: Arc<Series>,
    older: Option<Arc<Node>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        // One after another: a long list must not end in as deep a recursion.
        let mut older = self.older.take();
        while let Some(mut node) = older.and_then(Arc::into_inner) {
            older = node.older.take();
        }
    }
}

impl Family {
    pub fn new(definition: Definition) -> Self {
        let mut order: Vec<usize> = (0..definition.labels.len()).collect();
        order.sort_by(|a, b| definition.labels[*a].cmp(&definition.labels[*b]));
        let ends = definition.bounds.iter().map(|bound| {
            let mut end = b"le=\"".to_vec();
            go_float(*bound, &mut end);
            end.push(b'"');
            String::from_utf8(end).unwrap_or_default().into()
        });
        let plain = is_metric_name(&definition.name)
            && definition.labels.iter().all(|label| is_label_name(label));
        Self {
            descriptor: Arc::new(descriptor(&definition)),
            ends: ends.collect(),
            plain,
            keys: definition.labels.iter().map(|label| Arc::from(&**label)).collect(),
            order: order.into(),
            series: ArcSwapOption::const_empty(),
            live: AtomicUsize::new(0),
            dead: AtomicUsize::new(0),
            definition,
        }
    }

    /// Makes the series with these values, as many as there are label names, that began at
    /// `created`. For whoever has the interpreter's lock, as all that changes the list.
    pub fn add(&self, values: &[impl AsRef<str>], created: f64) -> Arc<Series> {
        let mut text = Vec::new();
        let mut split = None;
        let mut labels = Vec::with_capacity(values.len());
        for &at in &self.order {
            let (key, value) = (&self.keys[at], values[at].as_ref());
            if split.is_none() && **key > *"le" {
                split = Some(text.len());
            }
            if !text.is_empty() {
                text.push(b',');
            }
            text.extend_from_slice(key.as_bytes());
            text.extend_from_slice(b"=\"");
            escape(value, true, &mut text);
            text.push(b'"');
            labels.push(OwnedLabel { key: key.clone(), value: OwnedValue::Str(value.into()) });
        }
        let split = split.unwrap_or(text.len());
        let text = String::from_utf8(text).unwrap_or_default().into();
        let cells = match self.definition.kind {
            COUNTER | GAUGE => 1,
            SUMMARY => 2,
            HISTOGRAM => self.definition.bounds.len() + 1,
            _ => 0,
        };
        let series = Arc::new(Series::new(labels.into(), text, split, cells, created));
        let older = self.series.load_full();
        self.series.store(Some(Arc::new(Node { series: series.clone(), older })));
        self.live.fetch_add(1, Ordering::Relaxed);
        series
    }

    /// Takes a series out.
    pub fn remove(&self, series: &Series) {
        if series.is_removed() {
            return;
        }
        series.remove();
        let live = self.live.fetch_sub(1, Ordering::Relaxed) - 1;
        let dead = self.dead.fetch_add(1, Ordering::Relaxed) + 1;
        if dead > live + 16 {
            let mut head = None;
            for series in self.series() {
                head = Some(Arc::new(Node { series, older: head }));
            }
            self.series.store(head);
            self.dead.store(0, Ordering::Relaxed);
        }
    }

    /// Takes all out.
    pub fn clear(&self) {
        self.series().iter().for_each(|series| series.remove());
        self.series.store(None);
        self.live.store(0, Ordering::Relaxed);
        self.dead.store(0, Ordering::Relaxed);
    }

    /// All series, oldest first.
    pub fn series(&self) -> Vec<Arc<Series>> {
        let mut all = Vec::with_capacity(self.live.load(Ordering::Relaxed));
        let head = self.series.load();
        let mut node = head.as_deref();
        while let Some(Node { series, older }) = node {
            if !series.is_removed() {
                all.push(series.clone());
            }
            node = older.as_deref();
        }
        all.reverse();
        all
    }
}

/// How the engine sees it.
fn descriptor(definition: &Definition) -> Descriptor {
    let kind = match definition.kind {
        COUNTER => Kind::Counter,
        SUMMARY | HISTOGRAM => Kind::Histogram,
        _ => Kind::Gauge,
    };
    let unit = ucum(&definition.unit);
    let descriptor = Descriptor::new(&definition.name, kind, unit, &definition.documentation);
    match definition.kind {
        SUMMARY => descriptor.with_bounds(&[]),
        HISTOGRAM => descriptor.with_bounds(finite(&definition.bounds)),
        _ => descriptor,
    }
}

/// The bounds that are not infinite.
pub fn finite(bounds: &[f64]) -> &[f64] {
    match bounds.split_last() {
        Some((&f64::INFINITY, finite)) => finite,
        _ => bounds,
    }
}

/// OpenTelemetry's unit for one of Prometheus' words.
pub fn ucum(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "milliseconds" => "ms",
        "microseconds" => "us",
        "nanoseconds" => "ns",
        "minutes" => "min",
        "hours" => "h",
        "days" => "d",
        "bytes" => "By",
        "bits" => "bit",
        "meters" => "m",
        "volts" => "V",
        "amperes" => "A",
        "joules" => "J",
        "watts" => "W",
        "grams" => "g",
        "celsius" => "Cel",
        "hertz" => "Hz",
        "percent" => "%",
        "ratio" => "1",
        other => other,
    }
}

fn is_metric_name(name: &str) -> bool {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.starts_with(begins) && name.chars().all(goes_on)
}

fn is_label_name(name: &str) -> bool {
    !name.contains(':') && !name.starts_with("__") && is_metric_name(name)
}
