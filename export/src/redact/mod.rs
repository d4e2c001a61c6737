//! The stage between decoding and routing that no sink can be built without.
//!
//! A sink takes [`Redacted`] records, and only [`Redactor::apply`] makes them: the record behind
//! one cannot be reached, only what the rules leave of it.

pub mod keys;

use std::cell::RefCell;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use coati_core::intern::{self, Id};
use coati_core::metrics::{LabelPolicy, LabelValue, MetricSnapshot, OwnedLabel, SeriesSnapshot};
use coati_core::record::read::{self, Record};
use coati_core::record::value::Key;
use coati_core::record::{CallSite, LogFixed, SpanFixed, SpanIds, flags};

use keys::{KeyRules, MASK};

/// Applies the rules to records. One per drain thread.
#[derive(Debug)]
pub struct Redactor {
    rules: Option<Arc<KeyRules>>,
    /// By interned id: 0 unknown, 1 passes, 2 masked.
    known: RefCell<Vec<u8>>,
}

impl Redactor {
    /// Applies `rules`; none lets everything pass.
    pub fn new(rules: Option<Arc<KeyRules>>) -> Self {
        Self { rules, known: RefCell::default() }
    }

    /// What the rules leave of `record`.
    pub fn apply<'a>(&'a self, record: Record<'a>) -> Redacted<'a> {
        let policy = Policy { redactor: self.rules.as_deref().map(|rules| (rules, self)) };
        match record {
            Record::Log(log) => Redacted::Log(RedactedLog { log, policy }),
            Record::Span(span) => Redacted::Span(RedactedSpan { span, policy }),
        }
    }

    fn masks(&self, rules: &KeyRules, id: Id) -> bool {
        let mut known = self.known.borrow_mut();
        let index = id.0 as usize;
        if known.len() <= index {
            known.resize(index + 1, 0);
        }
        if known[index] == 0 {
            known[index] = 1 + u8::from(intern::text(id).is_some_and(|key| rules.matches(key)));
        }
        known[index] == 2
    }
}

/// The same rules for metric labels: where a series is made, and again where it is read, as rules
/// may have come since.
#[derive(Debug, Default)]
pub struct LabelRules(ArcSwapOption<KeyRules>);

impl LabelRules {
    /// Replaces the rules.
    pub fn set(&self, rules: Option<Arc<KeyRules>>) {
        self.0.store(rules);
    }

    /// Masks the labels of what was read, and adds up series that become equal.
    pub fn apply(&self, metrics: &mut [MetricSnapshot]) {
        let Some(rules) = self.0.load_full() else { return };
        let names_secret = |label: &OwnedLabel| rules.matches(&label.key);
        for metric in metrics {
            if !metric.series.iter().any(|series| series.labels.iter().any(names_secret)) {
                continue;
            }
            let kind = metric.descriptor.kind;
            let mut masked: Vec<SeriesSnapshot> = Vec::new();
            for mut series in std::mem::take(&mut metric.series) {
                series.labels = series.labels.iter().map(|label| self.masked(label)).collect();
                match masked.iter_mut().find(|known| known.labels == series.labels) {
                    Some(known) => known.value.add(&series.value, kind),
                    None => masked.push(series),
                }
            }
            metric.series = masked;
        }
    }

    fn masked(&self, label: &OwnedLabel) -> OwnedLabel {
        let value = self.mask(&label.key, label.value.borrowed()).keep();
        OwnedLabel { key: label.key.clone(), value }
    }
}

impl LabelPolicy for LabelRules {
    fn mask<'a>(&self, key: &str, value: LabelValue<'a>) -> LabelValue<'a> {
        let rules = self.0.load();
        if rules.as_ref().is_some_and(|rules| rules.matches(key)) {
            LabelValue::Str(MASK)
        } else {
            value
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Policy<'a> {
    redactor: Option<(&'a KeyRules, &'a Redactor)>,
}

impl<'a> Policy<'a> {
    fn by_key(self, key: Key<'_>, value: read::Value<'a>) -> Value<'a> {
        match (self.redactor, key) {
            (Some((rules, redactor)), Key::Id(id)) if redactor.masks(rules, id) => MASKED,
            (Some((rules, _)), Key::Text(name)) if rules.matches(name) => MASKED,
            _ => self.inside(value),
        }
    }

    fn inside(self, value: read::Value<'a>) -> Value<'a> {
        match value {
            read::Value::Null => Value::Null,
            read::Value::Bool(v) => Value::Bool(v),
            read::Value::I64(v) => Value::I64(v),
            read::Value::U64(v) => Value::U64(v),
            read::Value::F64(v) => Value::F64(v),
            read::Value::Str(text, left_out) => Value::Str(text, left_out),
            read::Value::BigInt(digits) => Value::BigInt(digits),
            read::Value::Bytes(bytes) => Value::Bytes(bytes),
            read::Value::List(list) => Value::List(List { list, policy: self }),
            read::Value::Map(map) => Value::Map(Map { map, policy: self }),
        }
    }
}

const MASKED: Value<'static> = Value::Str(MASK, 0);

/// A record as sinks see it.
#[derive(Debug, Clone, Copy)]
pub enum Redacted<'a> {
    /// A log line.
    Log(RedactedLog<'a>),
    /// A span.
    Span(RedactedSpan<'a>),
}

/// A log line as sinks see it.
#[derive(Debug, Clone, Copy)]
pub struct RedactedLog<'a> {
    log: read::Log<'a>,
    policy: Policy<'a>,
}

impl<'a> RedactedLog<'a> {
    /// Level, logger, time and counts.
    pub fn fixed(&self) -> &'a LogFixed {
        self.log.fixed
    }

    /// The span it was made in.
    pub fn span(&self) -> Option<&'a SpanIds> {
        self.log.span
    }

    /// Where the call stands.
    pub fn call_site(&self) -> Option<&'a CallSite> {
        self.log.call_site
    }

    /// The message, without its cut part.
    pub fn message(&self) -> &'a str {
        self.log.message
    }

    /// The message as a value, where it was given as one.
    pub fn body(&self) -> Option<Value<'a>> {
        let mut fields = Fields { fields: self.log.fields, policy: self.policy };
        if self.has_body() { fields.next().map(|(_, value)| value) } else { None }
    }

    fn has_body(&self) -> bool {
        self.log.fixed.header.flags & flags::BODY != 0
    }

    /// The fields.
    pub fn fields(&self) -> Fields<'a> {
        let mut fields = Fields { fields: self.log.fields, policy: self.policy };
        if self.has_body() {
            fields.next();
        }
        fields
    }
}

/// A span as sinks see it.
#[derive(Debug, Clone, Copy)]
pub struct RedactedSpan<'a> {
    span: read::Span<'a>,
    policy: Policy<'a>,
}

impl<'a> RedactedSpan<'a> {
    /// Ids, kind, status, times and counts.
    pub fn fixed(&self) -> &'a SpanFixed {
        self.span.fixed
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.span.name
    }

    /// Its status description, perhaps empty.
    pub fn description(&self) -> &'a str {
        self.span.description
    }

    /// Its attributes.
    pub fn attributes(&self) -> Fields<'a> {
        Fields { fields: self.span.attributes, policy: self.policy }
    }

    /// Its events.
    pub fn events(&self) -> impl Iterator<Item = Event<'a>> {
        let policy = self.policy;
        self.span.events.map(move |event| Event {
            name: event.name,
            time: event.fixed.time,
            dropped_attributes: event.fixed.dropped_attributes,
            attributes: Fields { fields: event.attributes, policy },
        })
    }

    /// Its links.
    pub fn links(&self) -> impl Iterator<Item = Link<'a>> {
        let policy = self.policy;
        self.span.links.map(move |link| Link {
            ids: link.ids,
            attributes: Fields { fields: link.attributes, policy },
        })
    }
}

/// An event as sinks see it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its name.
    pub name: &'a str,
    /// See [`coati_core::record::EventFixed::time`].
    pub time: u64,
    /// Attributes over the limit.
    pub dropped_attributes: u32,
    /// Its attributes.
    pub attributes: Fields<'a>,
}

/// A link as sinks see it.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The span linked to.
    pub ids: &'a SpanIds,
    /// Its attributes.
    pub attributes: Fields<'a>,
}

/// Fields as sinks see them.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    fields: read::Fields<'a>,
    policy: Policy<'a>,
}

impl Fields<'_> {
    /// How many are left.
    pub fn left(&self) -> u32 {
        self.fields.left()
    }

    /// Whether a field with this key is still to come.
    pub fn has(mut self, key: Key<'_>) -> bool {
        self.fields.any(|(other, _)| other == key)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Key<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.fields.next()?;
        Some((key, self.policy.by_key(key, value)))
    }
}

/// A value as sinks see it.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A float.
    F64(f64),
    /// Text, and how many bytes of it were left out.
    Str(&'a str, u64),
    /// Decimal digits.
    BigInt(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// Values.
    List(List<'a>),
    /// Pairs of a name and a value.
    Map(Map<'a>),
}

/// The values of a list as sinks see them.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    list: read::List<'a>,
    policy: Policy<'a>,
}

impl<'a> Iterator for List<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.list.next().map(|value| self.policy.inside(value))
    }
}

/// The pairs of a map as sinks see them.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    map: read::Map<'a>,
    policy: Policy<'a>,
}

impl<'a> Iterator for Map<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.map.next()?;
        Some((key, self.policy.by_key(Key::Text(key), value)))
    }
}
