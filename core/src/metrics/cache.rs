//! A thread's cache from labels as a caller gives them to series.

use super::instrument::Instrument;
use super::label::{Label, LabelValue};
use super::series::Series;
use std::sync::Arc;

/// Sets of labels a cache holds at most.
const SLOTS: usize = 256;
/// Labels with longer texts, and more labels, are looked up each time.
const LONGEST: usize = 1024;
const MOST: usize = 64;

/// Type and length, first and last eight bytes: all of a value of at most 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Gist {
    kind: u64,
    first: u64,
    last: u64,
}

impl Gist {
    #[inline(always)]
    fn of_text(text: &str) -> Self {
        let bytes = text.as_bytes();
        let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
        let half = |chunk: &[u8; 4]| u64::from(u32::from_le_bytes(*chunk));
        let (first, last) = if let Some(first) = bytes.first_chunk() {
            (word(first), bytes.last_chunk().map_or(0, word))
        } else if let Some(first) = bytes.first_chunk() {
            (half(first), bytes.last_chunk().map_or(0, half))
        } else {
            let at = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(0));
            (at(0) | at(1) << 8 | at(2) << 16, 0)
        };
        Self { kind: bytes.len() as u64, first, last }
    }

    #[inline(always)]
    fn of_value(value: &LabelValue<'_>) -> Self {
        if let LabelValue::Str(text) = value {
            return Self::of_text(text);
        }
        let (kind, first) = other(value);
        Self { kind, first, last: 0 }
    }
}

/// Kind and bits of a value that is no text. Not inlined: the compiler would make a jump table of
/// it, and texts, which most values are, would go that way too.
#[inline(never)]
fn other(value: &LabelValue<'_>) -> (u64, u64) {
    match *value {
        LabelValue::Bool(value) => (3 << 60, u64::from(value)),
        LabelValue::Int(value) => (1 << 60, value as u64),
        LabelValue::Float(value) => (2 << 60, value.to_bits()),
        LabelValue::Str(_) => (0, 0),
    }
}

/// A key or a value as given.
struct Given {
    gist: Gist,
    /// The text, where the gist leaves some of it out.
    long: Option<Box<str>>,
}

impl Given {
    fn new(gist: Gist, text: &str) -> Self {
        Self { gist, long: (text.len() > 16).then(|| text.into()) }
    }

    #[inline(always)]
    fn is_text(&self, text: &str) -> bool {
        self.gist == Gist::of_text(text) && (text.len() <= 16 || self.is_long(text))
    }

    #[inline(always)]
    fn is_value(&self, value: &LabelValue<'_>) -> bool {
        match value {
            LabelValue::Str(text) => self.is_text(text),
            other => self.gist == Gist::of_value(other),
        }
    }

    #[inline(never)]
    fn is_long(&self, text: &str) -> bool {
        self.long.as_deref() == Some(text)
    }
}

fn text_of<'a>(value: LabelValue<'a>) -> &'a str {
    if let LabelValue::Str(text) = value { text } else { "" }
}

struct Entry {
    given: Box<[(Given, Given)]>,
    series: Arc<Series>,
}

impl Entry {
    #[inline(always)]
    fn is(&self, instrument: &Instrument, labels: &[Label<'_>]) -> bool {
        // The series keeps its instrument's core, so that no other can have the same address.
        instrument.made(&self.series)
            && self.given.len() == labels.len()
            && self
                .given
                .iter()
                .zip(labels)
                .all(|((key, value), (name, given))| key.is_text(name) && value.is_value(given))
    }
}

/// Finds series again without canonical order, lock or shared memory; for one thread.
///
/// It pins up to 256 series and keeps labels as they were given, before any redaction.
pub struct SeriesCache {
    slots: Box<[Option<Box<Entry>>; SLOTS]>,
}

impl Default for SeriesCache {
    fn default() -> Self {
        Self { slots: Box::new([const { None }; SLOTS]) }
    }
}

impl SeriesCache {
    /// As [`Instrument::series`].
    #[inline]
    pub fn series(&mut self, instrument: &Instrument, labels: &[Label<'_>]) -> &Arc<Series> {
        let slot = Self::slot(instrument, labels);
        if !self.is_hit(slot, instrument, labels) {
            self.slots[slot] = None;
        }
        &self.slots[slot].get_or_insert_with(|| Self::miss(instrument, labels)).series
    }

    // Not inlined: alone it has registers enough.
    #[inline(never)]
    fn is_hit(&self, slot: usize, instrument: &Instrument, labels: &[Label<'_>]) -> bool {
        self.slots[slot].as_ref().is_some_and(|entry| entry.is(instrument, labels))
    }

    /// Values tell series apart, keys hardly ever do.
    #[inline(always)]
    fn slot(instrument: &Instrument, labels: &[Label<'_>]) -> usize {
        let mut hash = u64::from(instrument.id());
        for (_, value) in labels {
            let Gist { kind, first, last } = Gist::of_value(value);
            let mixed = (first ^ last.rotate_left(29) ^ kind).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            hash = hash.rotate_left(9) ^ mixed;
        }
        (hash ^ hash >> 32) as usize % SLOTS
    }

    #[cold]
    fn miss(instrument: &Instrument, labels: &[Label<'_>]) -> Box<Entry> {
        let given = labels.iter().map(|&(key, value)| {
            let (name, value_gist) = (Gist::of_text(key), Gist::of_value(&value));
            (Given::new(name, key), Given::new(value_gist, text_of(value)))
        });
        let short = |(key, value): &Label<'_>| key.len().max(text_of(*value).len()) <= LONGEST;
        let kept = labels.len() <= MOST && labels.iter().all(short);
        // Without what was given no call will find it.
        let given = if kept { given.collect() } else { Box::default() };
        Box::new(Entry { given, series: instrument.series(labels) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Descriptor, Kind, Store, StoreConfig};

    #[test]
    fn a_gist_of_up_to_sixteen_bytes_is_all_of_it() {
        let text = "abcdefghijklmnop";
        for len in 0..=16 {
            let short = &text[..len];
            assert!(Given::new(Gist::of_text(short), short).long.is_none());
            for at in 0..len {
                let mut other = short.as_bytes().to_vec();
                other[at] = b'!';
                let other = String::from_utf8(other).unwrap();
                assert!(Gist::of_text(short) != Gist::of_text(&other), "{short} {other}");
            }
        }
    }

    #[test]
    fn the_cache_agrees_with_the_instrument() {
        let store = Store::new(StoreConfig::default());
        let instruments = ["a", "b"]
            .map(|name| store.instrument(Descriptor::new(name, Kind::Counter, "", "")).unwrap());
        let middle = |c: char| format!("0123456789{c}0123456789");
        let last = if cfg!(miri) { 'a' } else { 'z' };
        let texts: Vec<String> = ('a'..=last).map(middle).chain(["1".into(), "".into()]).collect();
        let mut values: Vec<LabelValue> = texts.iter().map(|text| LabelValue::Str(text)).collect();
        values.extend([LabelValue::Int(1), LabelValue::Float(1.0), LabelValue::Bool(true)]);
        let mut cache = SeriesCache::default();
        for _ in 0..2 {
            for instrument in &instruments {
                for key in ["k", "l", &middle('k'), &middle('l')] {
                    for value in &values {
                        for labels in [&[(key, *value)][..], &[(key, *value), ("m", *value)]] {
                            let cached = cache.series(instrument, labels).clone();
                            assert!(Arc::ptr_eq(&cached, &instrument.series(labels)));
                        }
                    }
                }
            }
        }
    }
}
