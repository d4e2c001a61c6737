//! What a span gathers until it ends: encoded at once, in buffers that are used again.

use crate::live::Limits;
use crate::record::read::{self, Fields, Value};
use crate::record::value::{Field, Key};
use crate::record::words::Words;
use crate::record::write::{Encoder, cut};
use crate::record::{EventFixed, LinkFixed, SpanFixed, SpanIds};

/// A span's name, description, attributes, events and links.
#[derive(Debug, Default)]
pub struct Body {
    name: Vec<u8>,
    description: Vec<u8>,
    attributes: Words,
    events: Words,
    links: Words,
    counts: Counts,
    limits: Limits,
    max_string: usize,
    budget: usize,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    attributes: u32,
    events: u32,
    links: u32,
    dropped_attributes: u32,
    dropped_events: u32,
    dropped_links: u32,
}

/// Buffers larger than this are given back to the allocator when their span ends.
const KEPT_BYTES: usize = 16 << 10;

impl Body {
    /// Makes the body ready for another span. `budget` bounds the bytes of attributes, events and
    /// links together.
    pub(crate) fn reset(&mut self, limits: Limits, max_string: usize, budget: usize) {
        self.name.clear();
        self.description.clear();
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
        self.counts = Counts::default();
        self.limits = limits;
        self.max_string = max_string;
        self.budget = budget;
    }

    /// Whether its buffers are small enough to be kept.
    pub(crate) fn is_small(&self) -> bool {
        let words = self.attributes.memory() + self.events.memory() + self.links.memory();
        words + self.name.capacity() + self.description.capacity() <= KEPT_BYTES
    }

    /// The longest string.
    pub fn max_string(&self) -> usize {
        self.max_string
    }

    /// What one of the three parts may grow to, given the others.
    fn budget_beside(&self, others: [&Words; 2]) -> usize {
        self.budget.saturating_sub(others[0].len() + others[1].len())
    }

    pub(super) fn set_name(&mut self, name: &str, limit: usize) {
        self.name.clear();
        self.name.extend_from_slice(cut(name.as_bytes(), limit));
    }

    pub(super) fn set_description(&mut self, description: &str) {
        self.description.clear();
        self.description.extend_from_slice(cut(description.as_bytes(), self.max_string));
    }

    /// Sets one attribute; one with the same key is replaced.
    #[inline]
    pub fn set_attribute(&mut self, field: Field<'_>) {
        self.set(field.0, |encoder| encoder.field_at(&field));
    }

    /// Sets the attribute `key`, which `encode` writes; one with the same key is replaced.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, encode: impl Fn(&mut Encoder<'_>) -> bool) {
        self.unset(key);
        if self.counts.attributes >= self.limits.max_attributes {
            self.counts.dropped_attributes += 1;
            return;
        }
        let budget = self.budget_beside([&self.events, &self.links]);
        match self.attributes.append(budget, self.max_string, encode) {
            Some(_) => self.counts.attributes += 1,
            None => self.counts.dropped_attributes += 1,
        }
    }

    /// Appends attributes whose keys differ from each other and from all that are there: `encode`
    /// writes at most as many as it is told and says how many it wrote and how many it left out.
    #[inline]
    pub fn extend(&mut self, encode: impl Fn(&mut Encoder<'_>, u32) -> (u32, u32)) {
        let room =
            self.limits.max_attributes - self.counts.attributes.min(self.limits.max_attributes);
        let max_string = self.max_string;
        let budget = self.budget_beside([&self.events, &self.links]);
        match self.attributes.append(budget, max_string, |encoder| encode(encoder, room)) {
            Some((written, dropped)) => {
                self.counts.attributes += written;
                self.counts.dropped_attributes += dropped;
            }
            None => self.counts.dropped_attributes += 1,
        }
    }

    fn unset(&mut self, key: Key<'_>) {
        if let Some(place) = read::find_field(self.attributes.words(), key) {
            self.attributes.remove(place);
            self.counts.attributes -= 1;
        }
    }

    /// The attributes set so far.
    pub fn attributes(&self) -> Fields<'_> {
        Fields::over(self.attributes.bytes(), self.counts.attributes)
    }

    /// The value of one attribute.
    pub fn attribute(&self, key: Key<'_>) -> Option<Value<'_>> {
        self.attributes().find(|&(other, _)| other == key).map(|(_, value)| value)
    }

    /// Adds an event at `wall_time` in nanoseconds since the epoch, or now. `encode` writes at most
    /// as many attributes as it is told and says how many it wrote and how many it left out.
    pub fn add_event(
        &mut self,
        name: &str,
        wall_time: Option<u64>,
        encode: impl Fn(&mut Encoder<'_>, u32) -> (u32, u32),
    ) {
        if self.counts.events >= self.limits.max_events {
            self.counts.dropped_events += 1;
            return;
        }
        let name = cut(name.as_bytes(), self.max_string);
        let time = wall_time.map_or_else(crate::clock::now, |wall| wall | crate::record::WALL_TIME);
        let limit = self.limits.max_attributes;
        let budget = self.budget_beside([&self.attributes, &self.links]);
        let added = self.events.append(budget, self.max_string, |encoder| {
            let mut fixed = EventFixed {
                size: 0,
                name_len: name.len() as u32,
                time,
                attributes: 0,
                dropped_attributes: 0,
            };
            if encoder.fixed(&fixed) && encoder.text(name) {
                (fixed.attributes, fixed.dropped_attributes) = encode(encoder, limit);
                fixed.size = encoder.len() as u32;
                encoder.patch(0, &fixed);
            }
        });
        match added {
            Some(()) => self.counts.events += 1,
            None => self.counts.dropped_events += 1,
        }
    }

    /// Adds a link; `encode` as in [`Body::add_event`].
    pub fn add_link(&mut self, ids: SpanIds, encode: impl Fn(&mut Encoder<'_>, u32) -> (u32, u32)) {
        if self.counts.links >= self.limits.max_links {
            self.counts.dropped_links += 1;
            return;
        }
        let limit = self.limits.max_attributes;
        let budget = self.budget_beside([&self.attributes, &self.events]);
        let added = self.links.append(budget, self.max_string, |encoder| {
            let mut fixed = LinkFixed { size: 0, attributes: 0, ids };
            if encoder.fixed(&fixed) {
                (fixed.attributes, _) = encode(encoder, limit);
                fixed.size = encoder.len() as u32;
                encoder.patch(0, &fixed);
            }
        });
        match added {
            Some(()) => self.counts.links += 1,
            None => self.counts.dropped_links += 1,
        }
    }

    /// The part of a span's fixed part that the body knows; the rest is zero.
    #[inline]
    pub(super) fn fixed(&self) -> SpanFixed {
        SpanFixed {
            name_len: self.name.len() as u32,
            description_len: self.description.len() as u32,
            attributes: self.counts.attributes,
            events: self.counts.events,
            links: self.counts.links,
            dropped_attributes: self.counts.dropped_attributes,
            dropped_events: self.counts.dropped_events,
            dropped_links: self.counts.dropped_links,
            ..bytemuck::Zeroable::zeroed()
        }
    }

    /// Writes the whole span, or nothing when it does not fit.
    #[inline(always)]
    pub(super) fn encode(&self, encoder: &mut Encoder<'_>, fixed: &SpanFixed) {
        let whole = encoder.fixed(fixed)
            && encoder.text(&self.name)
            && encoder.text(&self.description)
            && encoder.copy(self.attributes.bytes())
            && encoder.copy(self.events.bytes())
            && encoder.copy(self.links.bytes());
        if !whole {
            encoder.truncate(0);
        }
    }
}

/// The budget of attributes, events and links together: name and description take a quarter of the
/// largest record each at most.
pub(crate) fn parts_budget(max_record: usize) -> usize {
    (max_record / 2).saturating_sub(size_of::<SpanFixed>()) & !7
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::value::Value as Given;

    const NAMES: [&str; 6] = ["a", "body-test-b", "body-test-longer", "text-1", "text-22", ""];

    fn key(name: usize) -> Key<'static> {
        // Half of the names are interned, the others stand in the record.
        if name < 3 { Key::new(NAMES[name]) } else { Key::Text(NAMES[name]) }
    }

    fn value<'a>(kind: u8, text: &'a str) -> Given<'a> {
        match kind {
            0 => Given::Null,
            1 => true.into(),
            2 => 7i64.into(),
            3 => 0.5.into(),
            _ => text.into(),
        }
    }

    proptest! {
        #[test]
        fn the_last_value_of_a_key_stands_at_the_end(
            steps in prop::collection::vec((0usize..6, 0u8..6, "[a-zé]{0,40}"), 0..60),
        ) {
            let mut body = Body::default();
            body.reset(Limits::default(), 30, 1 << 16);
            let mut expected: Vec<(Key<'_>, String)> = Vec::new();
            for (name, kind, text) in &steps {
                body.set_attribute((key(*name), value(*kind, text)));
                expected.retain(|(other, _)| *other != key(*name));
                let shown = match value(*kind, text) {
                    Given::Str(text) => {
                        let kept = cut(text.as_bytes(), 30).len();
                        format!("{:?}", Value::Str(&text[..kept], (text.len() - kept) as u64))
                    }
                    other => format!("{other:?}"),
                };
                expected.push((key(*name), shown));
            }
            let seen: Vec<_> =
                body.attributes().map(|(key, value)| (key, format!("{value:?}"))).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
