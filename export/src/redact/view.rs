//! Records as sinks see them: what is behind them cannot be reached, only what the rules leave.

use coati_core::intern::{Id, reserved};
use coati_core::record::details::Details;
use coati_core::record::read::{self, Record};
use coati_core::record::value::{Key, Value as Plain};
use coati_core::record::{CallSite, LogFixed, SpanFixed, SpanIds, flags};
use coati_core::scope;
use coati_core::span::rules::is_called;

use super::keys::MASK;
use super::{Redactor, name_of};

#[inline(always)]
pub(super) fn redacted<'a>(record: Record<'a>, redactor: &'a Redactor) -> Redacted<'a> {
    let policy = Policy(redactor);
    match record {
        Record::Log(log) => Redacted::Log(RedactedLog { log, policy }),
        Record::Span(span) => Redacted::Span(RedactedSpan { span, policy }),
    }
}

#[derive(Debug, Clone, Copy)]
struct Policy<'a>(&'a Redactor);

impl<'a> Policy<'a> {
    #[inline(always)]
    fn by_key(self, key: Key<'_>, value: read::Value<'a>) -> Value<'a> {
        if self.0.masks(key) { MASKED } else { self.inside(value) }
    }

    #[inline(always)]
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

impl Policy<'_> {
    /// Whether the rules withhold anything of these fields.
    fn hides(self, mut fields: read::Fields<'_>) -> bool {
        fields.any(|(key, value)| self.0.masks(key) || self.hides_inside(value))
    }

    fn hides_inside(self, value: read::Value<'_>) -> bool {
        match value {
            read::Value::List(mut list) => list.any(|value| self.hides_inside(value)),
            read::Value::Map(mut map) => {
                map.any(|(key, value)| self.0.masks(Key::Text(key)) || self.hides_inside(value))
            }
            _ => false,
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

    /// The W3C trace flags of that span.
    pub fn trace_flags(&self) -> u8 {
        (self.log.fixed.header.flags / flags::TRACE_FLAGS) & 3
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
        self.lead().body
    }

    /// What OpenTelemetry says of it besides.
    #[inline(always)]
    pub fn details(&self) -> Option<Details<'a>> {
        self.lead().details
    }

    #[inline(always)]
    fn lead(&self) -> Lead<'a> {
        match self.log.fixed.header.flags & flags::BODY {
            0 => Lead::default(),
            _ => self.read_lead(),
        }
    }

    /// What found no room in the record is not there.
    #[cold]
    fn read_lead(&self) -> Lead<'a> {
        let mut lead = Lead::default();
        for (key, value) in self.log.fields {
            match (key, value) {
                (Key::Id(reserved::DETAILS), read::Value::List(list)) => {
                    lead.details = Details::read(list);
                }
                (Key::Id(reserved::BODY), value) => {
                    lead.body = Some(self.policy.by_key(key, value));
                }
                _ => break,
            }
            lead.count += 1;
        }
        lead
    }

    /// The fields.
    #[inline(always)]
    pub fn fields(&self) -> Fields<'a> {
        let mut fields = Fields { fields: self.log.fields, policy: self.policy };
        for _ in 0..self.lead().count {
            fields.skip_one();
        }
        fields
    }
}

/// What stands before a line's fields.
#[derive(Debug, Clone, Copy, Default)]
struct Lead<'a> {
    details: Option<Details<'a>>,
    body: Option<Value<'a>>,
    count: usize,
}

/// An instrumentation scope as sinks see it.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The id of its name.
    pub name: Id,
    /// Its version, empty for none.
    pub version: &'a str,
    /// The schema that its names follow, empty for none.
    pub schema_url: &'a str,
    /// Its attributes.
    pub attributes: Fields<'a>,
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

    /// The instrumentation scope of its tracer, where that has more than a name.
    #[inline(always)]
    pub fn scope(&self) -> Option<Scope<'a>> {
        let scope = scope::of(self.span.fixed.tracer)?;
        Some(Scope {
            name: scope::name(self.span.fixed.tracer),
            version: scope.version(),
            schema_url: scope.schema_url(),
            attributes: Fields { fields: scope.attributes(), policy: self.policy },
        })
    }

    /// Its attributes.
    pub fn attributes(&self) -> Fields<'a> {
        Fields { fields: self.span.attributes, policy: self.policy }
    }

    /// Whether the rules withhold anything of it.
    pub(super) fn is_masked(&self) -> bool {
        let Self { span, policy } = *self;
        policy.0.rules.is_some()
            && (policy.hides(span.attributes)
                || span.events.into_iter().any(|event| policy.hides(event.attributes))
                || span.links.into_iter().any(|link| policy.hides(link.attributes)))
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

    /// Its trace's `tracestate`, empty where there is none.
    pub fn state(&self) -> &'a str {
        self.span.state
    }

    /// Its links.
    pub fn links(&self) -> impl Iterator<Item = Link<'a>> {
        let policy = self.policy;
        self.span.links.map(move |link| Link {
            ids: link.ids,
            flags: link.flags,
            state: link.state,
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
    /// See [`coati_core::record::LinkFixed::flags`].
    pub flags: u32,
    /// Its `tracestate`, empty where there is none.
    pub state: &'a str,
    /// Its attributes.
    pub attributes: Fields<'a>,
}

/// Fields as sinks see them.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    fields: read::Fields<'a>,
    policy: Policy<'a>,
}

impl<'a> Fields<'a> {
    /// The value recorded as `name`, where it is a plain one.
    pub fn plain(mut self, name: &str) -> Option<Plain<'a>> {
        let (_, value) = self.find(|&(key, _)| is_called(key, name))?;
        Some(match value {
            Value::Bool(value) => Plain::Bool(value),
            Value::I64(value) => Plain::I64(value),
            Value::U64(value) => Plain::U64(value),
            Value::F64(value) => Plain::F64(value),
            Value::Str(text, _) => Plain::Str(text),
            _ => return None,
        })
    }
}

impl<'a> Fields<'a> {
    /// How many are left of those recorded.
    pub fn left(&self) -> u32 {
        self.fields.left()
    }

    #[inline(never)]
    fn skip_one(&mut self) {
        self.fields.next();
    }

    /// Whether a field with this key is still to come.
    pub fn has(mut self, key: Key<'_>) -> bool {
        self.fields.any(|(other, _)| other == key)
    }

    /// Whether some may be shown by other names than those recorded: [`Fields::shown`] then gives
    /// what sinks show, where the iterator gives the recorded.
    #[inline(always)]
    pub fn are_renamed(&self) -> bool {
        self.policy.0.names.is_some()
    }

    /// Hands over the fields by the names that are shown, some of them by two. Of equal names the
    /// last counts.
    #[cold]
    #[inline(never)]
    pub fn shown(self, take: &mut dyn FnMut(Key<'a>, Value<'a>)) {
        let Some(names) = &self.policy.0.names else { return };
        let first = |key| names.instead(name_of(key)).or(Some(key));
        self.named(&first, take);
        self.named(&|key| names.beside(name_of(key)), take);
    }

    fn named(
        mut self,
        name: &dyn Fn(Key<'a>) -> Option<Key<'a>>,
        take: &mut dyn FnMut(Key<'a>, Value<'a>),
    ) {
        while let Some((key, value)) = self.next() {
            let Some(shown) = name(key) else { continue };
            let mut rest = self.fields;
            if !rest.any(|(other, _)| name(other) == Some(shown)) {
                take(shown, self.renamed(shown, value));
            }
        }
    }

    /// Some values have changed with their names.
    fn renamed(&self, shown: Key<'_>, value: Value<'a>) -> Value<'a> {
        match (&self.policy.0.names, value) {
            (Some(names), Value::Str(text, 0)) => Value::Str(names.value(shown, text), 0),
            (_, value) => value,
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Key<'a>, Value<'a>);

    #[inline(always)]
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
