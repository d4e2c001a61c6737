//! The labels of a metric's series under Prometheus' names.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

use coati_core::metrics::{Exemplar, Kind, OwnedLabel, OwnedValue, SeriesSnapshot, Value};

use super::names::label_name;

/// The label names met so far, each in the form a format writes it. Series share keys, so that the
/// address mostly tells them.
pub(super) struct Keys<N> {
    histogram: bool,
    form: fn(&str) -> N,
    known: Vec<(Arc<str>, N)>,
    /// Whether two keys are one name.
    clash: bool,
}

impl<N: Ord> Keys<N> {
    pub fn new(kind: Kind, form: fn(&str) -> N) -> Self {
        Self { histogram: kind == Kind::Histogram, form, known: Vec::new(), clash: false }
    }

    /// The place of `key` in the names met so far.
    fn place(&mut self, key: &Arc<str>) -> usize {
        let by_address = self.known.iter().position(|(known, _)| Arc::ptr_eq(known, key));
        let known = by_address.or_else(|| self.known.iter().position(|(known, _)| known == key));
        known.unwrap_or_else(|| {
            self.known.push((key.clone(), (self.form)(&label_name(key, self.histogram))));
            self.known.len() - 1
        })
    }

    /// Whether two series might show the same labels: two keys are one name, or one key has
    /// values of several types. Learns all keys.
    pub fn may_coincide(&mut self, all: &[SeriesSnapshot]) -> bool {
        let mut types: Vec<Discriminant<OwnedValue>> = Vec::new();
        let mut mixed = false;
        for label in all.iter().flat_map(|series| &*series.labels) {
            let at = self.place(&label.key);
            let this = discriminant(&label.value);
            match types.get(at) {
                Some(first) => mixed |= *first != this,
                None => types.push(this),
            }
        }
        let mut names: Vec<&N> = self.known.iter().map(|(_, name)| name).collect();
        names.sort_unstable();
        self.clash = names.windows(2).any(|pair| pair[0] == pair[1]);
        mixed || self.clash
    }

    /// Calls `each` with name and value of every label. Values of keys that are one name are joined
    /// by `;` with `text`, which makes the text of a value.
    #[inline(always)]
    pub fn each(
        &mut self,
        labels: &[OwnedLabel],
        text: fn(&OwnedValue, &mut Vec<u8>),
        mut each: impl FnMut(&N, Shown<'_>),
    ) {
        for (at, label) in labels.iter().enumerate() {
            let key = self.place(&label.key);
            if !self.clash {
                each(&self.known[key].1, Shown::Alone(&label.value));
                continue;
            }
            if labels[..at].iter().any(|earlier| self.is_named_as(earlier, key)) {
                // Joined to that one already.
                continue;
            }
            let mut joined = Vec::new();
            text(&label.value, &mut joined);
            for other in labels[at + 1..].iter().filter(|other| self.is_named_as(other, key)) {
                joined.push(b';');
                text(&other.value, &mut joined);
            }
            each(&self.known[key].1, Shown::Joined(&joined));
        }
    }

    fn is_named_as(&self, label: &OwnedLabel, key: usize) -> bool {
        let name = &self.known[key].1;
        self.known.iter().any(|(known, other)| *known == label.key && other == name)
    }
}

/// A label's value.
pub(super) enum Shown<'a> {
    /// That of one key.
    Alone(&'a OwnedValue),
    /// The text of several.
    Joined(&'a [u8]),
}

/// A line, or a group of them, to be written.
pub(super) struct Merged {
    pub labels: Vec<u8>,
    pub value: Value,
    pub exemplars: Vec<Exemplar>,
}

/// Adds up series whose labels, as `labels` writes them, are the same.
pub(super) fn merge(
    all: &[SeriesSnapshot],
    kind: Kind,
    mut labels: impl FnMut(&[OwnedLabel], &mut Vec<u8>),
) -> Vec<Merged> {
    let mut places = HashMap::new();
    let mut merged: Vec<Merged> = Vec::new();
    for series in all {
        let mut shown = Vec::new();
        labels(&series.labels, &mut shown);
        match places.get(&shown) {
            Some(&at) => {
                let known: &mut Merged = &mut merged[at];
                known.value.add(&series.value, kind);
                known.exemplars.extend_from_slice(&series.exemplars);
            }
            None => {
                places.insert(shown.clone(), merged.len());
                let (value, exemplars) = (series.value.clone(), series.exemplars.clone());
                merged.push(Merged { labels: shown, value, exemplars });
            }
        }
    }
    merged
}

/// The newest of `exemplars`.
pub(super) fn newest(exemplars: &[Exemplar]) -> Option<&Exemplar> {
    exemplars.iter().max_by_key(|exemplar| exemplar.time)
}

/// The newest exemplar of each bucket below and between `bounds`, and of the one above them.
pub(super) fn by_bucket<'a>(
    bounds: &[f64],
    exemplars: &'a [Exemplar],
) -> Vec<Option<&'a Exemplar>> {
    let mut buckets = vec![None::<&Exemplar>; bounds.len() + 1];
    for exemplar in exemplars {
        let bucket = &mut buckets[bounds.partition_point(|bound| *bound < exemplar.value.as_f64())];
        if bucket.is_none_or(|known| known.time < exemplar.time) {
            *bucket = Some(exemplar);
        }
    }
    buckets
}

/// The inclusive upper bounds at which a histogram is shown, the one above all left out.
pub(super) fn bounds(descriptor: &coati_core::metrics::Descriptor) -> Vec<f64> {
    match (descriptor.kind, descriptor.bounds()) {
        (Kind::Histogram, Some(bounds)) => bounds.to_vec(),
        (Kind::Histogram, None) => {
            descriptor.ladder().map(|exponent| f64::from(exponent).exp2()).collect()
        }
        _ => Vec::new(),
    }
}
