//! What a span gathers until it ends: encoded at once, in buffers that are used again.

use crate::intern::Id;
use crate::live::Limits;
use crate::pipeline::Pipeline;
use crate::record::fields::{plain_size, write_plain};
use crate::record::read::{self, Fields, Value};
use crate::record::value::{Field, Key};
use crate::record::words::Words;
use crate::record::write::{Encoder, copy_padded, cut};
use crate::record::{EventFixed, LinkFixed, SpanFixed, padded};
use crate::span::SpanContext;

/// A span's name, description, attributes, events and links.
#[derive(Debug, Default)]
pub struct Body {
    /// The name and then the attributes, as they stand in the record of a span that has nothing
    /// else.
    text: Words,
    name_len: usize,
    /// Which attributes there may be.
    seen: Seen,
    description: Vec<u8>,
    events: Words,
    links: Words,
    counts: Counts,
    /// Of the settings from which what follows was taken.
    epoch: u64,
    limits: Limits,
    max_string: usize,
    /// Bounds the bytes of attributes, events and links together.
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

/// Room for a short name and a few attributes.
const FIRST_BYTES: usize = 512;
/// Buffers larger than this are given back to the allocator when their span ends.
const KEPT_BYTES: usize = 16 << 10;

impl Body {
    /// Makes the body ready for another span of the same pipeline.
    #[inline(always)]
    pub(crate) fn reset(&mut self, pipeline: &Pipeline) {
        self.text.clear();
        self.seen = Seen::default();
        self.description.clear();
        self.events.clear();
        self.links.clear();
        self.counts = Counts::default();
        let epoch = pipeline.live().epoch();
        if self.epoch != epoch {
            self.epoch = epoch;
            self.limits = pipeline.live().limits();
            self.max_string = pipeline.max_span_string();
            self.budget = parts_budget(pipeline.max_record());
        }
    }

    /// Whether its buffers are small enough to be kept.
    #[inline]
    pub(crate) fn is_small(&self) -> bool {
        let words = self.text.memory() + self.events.memory() + self.links.memory();
        words + self.description.capacity() <= KEPT_BYTES
    }

    /// The longest string.
    pub fn max_string(&self) -> usize {
        self.max_string
    }

    /// What one of the three parts may grow to, given the others.
    #[inline(always)]
    fn budget_beside(&self, others: [usize; 2]) -> usize {
        self.budget.saturating_sub(others[0] + others[1])
    }

    #[inline(always)]
    fn attributes_at(&self) -> usize {
        padded(self.name_len)
    }

    /// What name and attributes may grow to.
    #[inline(always)]
    fn text_budget(&self) -> usize {
        self.attributes_at() + self.budget_beside([self.events.len(), self.links.len()])
    }

    #[inline(always)]
    pub(super) fn set_name(&mut self, name: &str) {
        let name = cut(name.as_bytes(), self.max_string);
        let size = padded(name.len());
        // SAFETY: `copy_padded` writes `size` bytes.
        let plain = self.text.is_empty()
            && unsafe {
                self.text.append_plain(usize::MAX, size, |to| {
                    copy_padded(name.as_ptr(), to, name.len());
                })
            };
        if plain {
            self.name_len = name.len();
        } else {
            self.change_name(name);
        }
    }

    #[cold]
    #[inline(never)]
    fn change_name(&mut self, name: &[u8]) {
        let attributes: Vec<u64> = match self.text.is_empty() {
            true => Vec::new(),
            false => self.text.words()[self.attributes_at() / 8..].to_vec(),
        };
        self.text.clear();
        let whole = padded(name.len()) + attributes.len() * 8;
        self.text.append(whole.max(FIRST_BYTES), self.max_string, |encoder| {
            encoder.text(name) && encoder.copy(bytemuck::cast_slice(&attributes))
        });
        self.name_len = name.len();
    }

    pub(super) fn set_description(&mut self, description: &str) {
        self.description.clear();
        self.description.extend_from_slice(cut(description.as_bytes(), self.max_string));
    }

    /// Sets one attribute; one with the same key is replaced.
    #[inline(always)]
    pub fn set_attribute(&mut self, field: Field<'_>) {
        let size = plain_size(&field, self.max_string);
        let plain = !self.seen.may_have(field.0)
            && self.counts.attributes < self.limits.max_attributes
            // SAFETY: `write_plain` writes as many bytes as `plain_size` says. What is not plain is
            // larger than any memory.
            && unsafe {
                self.text.append_plain(self.text_budget(), size, |to| {
                    write_plain(&field, to);
                })
            };
        if plain {
            self.seen.add(field.0);
            self.counts.attributes += 1;
        } else {
            self.set_with_care(field);
        }
    }

    #[cold]
    #[inline(never)]
    fn set_with_care(&mut self, field: Field<'_>) {
        self.set(field.0, |encoder| encoder.field_at(&field));
    }

    /// Sets the attribute `key`, which `encode` writes; one with the same key is replaced.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, encode: impl Fn(&mut Encoder<'_>) -> bool) {
        if self.seen.may_have(key) {
            self.unset(key);
        }
        self.seen.add(key);
        if self.counts.attributes >= self.limits.max_attributes {
            self.counts.dropped_attributes += 1;
            return;
        }
        match self.text.append(self.text_budget(), self.max_string, encode) {
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
        let (budget, max_string) = (self.text_budget(), self.max_string);
        self.seen = Seen::ANY;
        match self.text.append(budget, max_string, |encoder| encode(encoder, room)) {
            Some((written, dropped)) => {
                self.counts.attributes += written;
                self.counts.dropped_attributes += dropped;
            }
            None => self.counts.dropped_attributes += 1,
        }
    }

    fn unset(&mut self, key: Key<'_>) {
        let at = self.attributes_at() / 8;
        if let Some(place) = read::find_field(&self.text.words()[at..], key) {
            self.text.remove(at + place.start..at + place.end);
            self.counts.attributes -= 1;
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        let bytes = self.text.bytes().get(..self.name_len).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Why it failed, perhaps empty.
    pub fn description(&self) -> &str {
        std::str::from_utf8(&self.description).unwrap_or_default()
    }

    /// The attributes set so far.
    pub fn attributes(&self) -> Fields<'_> {
        Fields::over(&self.text.bytes()[self.attributes_at()..], self.counts.attributes)
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
        let limit = self.limits.max_event_attributes;
        let budget = self.budget_beside([self.text.len() - self.attributes_at(), self.links.len()]);
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

    /// Keeps the `tracestate` of a span that has no links yet; `false` where it does not fit.
    pub(super) fn set_state(&mut self, state: &str) -> bool {
        let budget =
            self.budget_beside([self.text.len() - self.attributes_at(), self.events.len()]);
        let added = self.links.append(budget, self.max_string, |encoder| {
            encoder.words([state.len() as u64]) && encoder.text(state.as_bytes())
        });
        added.is_some()
    }

    /// Adds a link to the span of `context`, whose `tracestate` is `state`; `encode` as in
    /// [`Body::add_event`].
    pub fn add_link(
        &mut self,
        context: &SpanContext,
        state: &str,
        encode: impl Fn(&mut Encoder<'_>, u32) -> (u32, u32),
    ) {
        let Some(ids) = context.ids() else { return };
        if self.counts.links >= self.limits.max_links {
            self.counts.dropped_links += 1;
            return;
        }
        let limit = self.limits.max_link_attributes;
        let budget =
            self.budget_beside([self.text.len() - self.attributes_at(), self.events.len()]);
        let added = self.links.append(budget, self.max_string, |encoder| {
            let flags = u32::from(context.trace_flags) | u32::from(context.remote) << 8;
            let state_len = state.len() as u32;
            let mut fixed = LinkFixed { size: 0, attributes: 0, ids, flags, state_len };
            if encoder.fixed(&fixed) && encoder.text(state.as_bytes()) {
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
    #[inline(always)]
    pub(super) fn fixed(&self) -> SpanFixed {
        SpanFixed {
            name_len: self.name_len as u32,
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

    /// What follows the fixed part of a span that has neither description, events nor links.
    #[inline(always)]
    pub(crate) fn plain(&self) -> Option<&[u64]> {
        let more = self.description.len() + self.events.len() + self.links.len();
        (more == 0).then(|| self.text.words())
    }

    /// Writes the whole span, or nothing when it does not fit.
    #[inline(always)]
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>, fixed: &SpanFixed) {
        let (name, attributes) = self.text.bytes().split_at(self.attributes_at());
        let whole = encoder.words(fixed.words())
            && encoder.copy(name)
            && encoder.text(&self.description)
            && encoder.copy(attributes)
            && encoder.copy(self.events.bytes())
            && encoder.copy(self.links.bytes());
        if !whole {
            encoder.truncate(0);
        }
    }
}

/// Which keys there may be, by the lowest bits of their ids.
#[derive(Debug, Default, Clone, Copy)]
struct Seen([u64; 4]);

impl Seen {
    const ANY: Self = Self([u64::MAX; 4]);

    #[inline(always)]
    fn place(id: Id) -> (usize, u64) {
        (id.0 as usize / 64 % 4, 1 << (id.0 % 64))
    }

    #[inline(always)]
    fn may_have(&self, key: Key<'_>) -> bool {
        let Key::Id(id) = key else { return true };
        let (word, bit) = Self::place(id);
        self.0[word] & bit != 0
    }

    #[inline(always)]
    fn add(&mut self, key: Key<'_>) {
        // A key without an id is always looked for.
        if let Key::Id(id) = key {
            let (word, bit) = Self::place(id);
            self.0[word] |= bit;
        }
    }
}

/// The budget of attributes, events and links together: name and description take a quarter of the
/// largest record each at most.
fn parts_budget(max_record: usize) -> usize {
    (max_record / 2).saturating_sub(size_of::<SpanFixed>()) & !7
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::value::Value as Given;

    const MOST: usize = if cfg!(miri) { 10 } else { 60 };
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

    fn text() -> impl Strategy<Value = String> {
        // No pattern: Miri takes minutes to read one.
        let char = prop::sample::select(vec!['a', 'm', 'z', 'é']);
        prop::collection::vec(char, 0..=40).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_last_value_of_a_key_stands_at_the_end(
            steps in prop::collection::vec((0usize..6, 0u8..6, text()), 0..MOST),
        ) {
            let mut body = Body::default();
            (body.limits, body.max_string, body.budget) = (Limits::default(), 30, 1 << 16);
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
