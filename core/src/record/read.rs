//! Takes records apart. Checks every length: a recovered file may hold anything.

use bytemuck::Pod;

use super::{
    CallSite, DefinitionFixed, EventFixed, Header, INLINE_KEY, Kind, Level, LinkFixed, LogFixed,
    SpanFixed, SpanIds, Tag, VERSION, flags, padded,
};
use crate::intern::Id;
use crate::record::value::Key;

/// A record, taken apart as far as its kind.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// A log line.
    Log(Log<'a>),
    /// A span.
    Span(Span<'a>),
}

/// A log line.
#[derive(Debug, Clone, Copy)]
pub struct Log<'a> {
    /// The fixed part.
    pub fixed: &'a LogFixed,
    /// The span it was made in.
    pub span: Option<&'a SpanIds>,
    /// Where the call stands.
    pub call_site: Option<&'a CallSite>,
    /// The message, without its cut part.
    pub message: &'a str,
    /// The fields.
    pub fields: Fields<'a>,
}

/// A span.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// The fixed part.
    pub fixed: &'a SpanFixed,
    /// Its name.
    pub name: &'a str,
    /// Its status description, perhaps empty.
    pub description: &'a str,
    /// Its attributes.
    pub attributes: Fields<'a>,
    /// Its events.
    pub events: Events<'a>,
    /// Its trace's `tracestate`, empty where there is none.
    pub state: &'a str,
    /// Its links.
    pub links: Links<'a>,
}

#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    #[inline(always)]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline(always)]
    fn fixed<T: Pod>(&mut self) -> Option<&'a T> {
        let bytes = self.take(size_of::<T>())?;
        bytemuck::try_from_bytes(bytes).ok()
    }

    #[inline(always)]
    fn text(&mut self, len: usize) -> Option<&'a str> {
        let words = self.take(padded(len))?;
        let bytes = words.get(..len)?;
        let all =
            words.as_chunks::<8>().0.iter().fold(0, |all, word| all | u64::from_le_bytes(*word));
        if all & (u64::MAX / 255 * 0x80) != 0 {
            return utf8(bytes);
        }
        // SAFETY: no byte has its highest bit set: this is ASCII.
        Some(unsafe { std::str::from_utf8_unchecked(bytes) })
    }

    fn state(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.word()?).ok()?;
        self.text(len.min(self.0.len()))
    }

    #[inline(always)]
    fn word(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    /// Takes `count` fields, whatever they are.
    fn fields(&mut self, count: u32) -> Option<Fields<'a>> {
        let mut rest = Fields { bytes: *self, left: count };
        let all = rest;
        while rest.left > 0 {
            rest.next()?;
        }
        let len = self.0.len() - rest.bytes.0.len();
        let bytes = self.take(len)?;
        Some(Fields { bytes: Bytes(bytes), ..all })
    }
}

#[inline(never)]
fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The header of the record that `bytes` begin with.
#[inline(always)]
pub fn header(bytes: &[u8]) -> Option<&Header> {
    Bytes(bytes).fixed()
}

/// What the definition that `bytes` begin with says: an id and its text.
pub fn definition(bytes: &[u8]) -> Option<(Id, &str)> {
    let header = header(bytes)?;
    if header.version != VERSION || header.kind != Kind::Definition as u8 {
        return None;
    }
    let mut bytes = Bytes(bytes.get(..header.size as usize)?);
    let fixed: &DefinitionFixed = bytes.fixed()?;
    Some((Id(fixed.id), bytes.text(fixed.text_len as usize)?))
}

impl<'a> Record<'a> {
    /// Takes `bytes` apart; `None` where they are no record of this version.
    #[inline(always)]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = header(bytes)?;
        if header.version != VERSION || header.size as usize != bytes.len() {
            return None;
        }
        if header.kind == Kind::Log as u8 {
            let mut bytes = Bytes(bytes);
            let fixed: &LogFixed = bytes.fixed()?;
            let span = if header.flags & flags::IN_SPAN != 0 { Some(bytes.fixed()?) } else { None };
            let has_site = header.flags & flags::CALL_SITE != 0;
            let call_site = if has_site { Some(bytes.fixed()?) } else { None };
            let message = bytes.text(fixed.message_len as usize)?;
            let fields = Fields { bytes, left: fixed.fields };
            Some(Self::Log(Log { fixed, span, call_site, message, fields }))
        } else if header.kind == Kind::Span as u8 {
            Self::parse_span(Bytes(bytes))
        } else {
            None
        }
    }

    #[inline(never)]
    fn parse_span(mut bytes: Bytes<'a>) -> Option<Self> {
        let fixed: &SpanFixed = bytes.fixed()?;
        let name = bytes.text(fixed.name_len as usize)?;
        let description = bytes.text(fixed.description_len as usize)?;
        let attributes = bytes.fields(fixed.attributes)?;
        let events = Events { bytes, left: fixed.events };
        let mut bytes = events.skip_all()?;
        let has_state = fixed.header.flags & flags::TRACE_STATE != 0;
        let state = if has_state { bytes.state()? } else { "" };
        let links = Links { bytes, left: fixed.links };
        Some(Self::Span(Span { fixed, name, description, attributes, events, state, links }))
    }

    /// The header.
    pub fn header(&self) -> &'a Header {
        match self {
            Self::Log(log) => &log.fixed.header,
            Self::Span(span) => &span.fixed.header,
        }
    }

    /// Severity; of a span, error or info by its status.
    pub fn level(&self) -> Level {
        Level::from_u8(self.header().level)
    }
}

/// A value in a record.
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

/// Fields, one after another.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    bytes: Bytes<'a>,
    left: u32,
}

impl<'a> Fields<'a> {
    /// No fields.
    pub const EMPTY: Self = Self { bytes: Bytes(&[]), left: 0 };

    /// `count` fields encoded in `bytes`.
    pub fn over(bytes: &'a [u8], count: u32) -> Self {
        Self { bytes: Bytes(bytes), left: count }
    }

    /// How many are left.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Bytes behind the last field taken.
    pub fn bytes_left(&self) -> usize {
        self.bytes.0.len()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Key<'a>, Value<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (key, value) = self.bytes.value()?;
        if key != INLINE_KEY {
            return Some((Key::Id(Id(key)), value));
        }
        let Value::Str(text, _) = value else { return None };
        let (_, value) = self.bytes.value()?;
        Some((Key::Text(text), value))
    }
}

impl<'a> Bytes<'a> {
    #[inline(always)]
    fn value(&mut self) -> Option<(u32, Value<'a>)> {
        let word = self.word()?;
        let (key, length) = (word as u32, (word >> 40) as usize);
        let value = match Tag::from_u8((word >> 32) as u8)? {
            Tag::Null => Value::Null,
            Tag::Bool => Value::Bool(length != 0),
            Tag::I64 => Value::I64(self.word()? as i64),
            Tag::U64 => Value::U64(self.word()?),
            Tag::F64 => Value::F64(f64::from_bits(self.word()?)),
            Tag::Str => Value::Str(self.text(length)?, 0),
            Tag::CutStr => {
                let left_out = self.word()?;
                Value::Str(self.text(length)?, left_out)
            }
            Tag::BigInt => Value::BigInt(self.text(length)?),
            Tag::Bytes => Value::Bytes(self.take(padded(length))?.get(..length)?),
            Tag::List => Value::List(List(Bytes(self.take(length)?))),
            Tag::Map => Value::Map(Map(Bytes(self.take(length)?))),
        };
        Some((key, value))
    }
}

/// Where the field `key` stands in `words`, which hold whole fields; nothing is decoded. Every
/// attribute that is set looks here first.
#[inline]
pub(crate) fn find_field(words: &[u64], key: Key<'_>) -> Option<std::ops::Range<usize>> {
    let wanted = match key {
        Key::Id(id) => id.0,
        Key::Text(_) => INLINE_KEY,
    };
    let mut at = 0;
    while let Some(&word) = words.get(at) {
        let name = word as u32;
        let mut end = at + value_words(word);
        if name == INLINE_KEY {
            end += value_words(*words.get(end)?);
        }
        if name == wanted && is_called(&words[at..], key) {
            return Some(at..end);
        }
        at = end;
    }
    None
}

/// Whether the field at the beginning of `words`, whose id is that of `key`, is called so too.
fn is_called(words: &[u64], key: Key<'_>) -> bool {
    let Key::Text(text) = key else { return true };
    let name: &[u8] = bytemuck::cast_slice(&words[1..]);
    name.get(..length(words[0])) == Some(text.as_bytes())
}

fn length(word: u64) -> usize {
    (word >> 40) as usize
}

/// Words of a value, its first one included.
#[inline]
fn value_words(word: u64) -> usize {
    // By tag: words that are always there, and whether bytes follow, as many as the length says.
    const ALWAYS: [u8; 16] = [1, 1, 2, 2, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    const BYTES: [bool; 16] = {
        let mut follow = [false; 16];
        let mut tag = Tag::Str as usize;
        while tag <= Tag::Map as usize {
            follow[tag] = true;
            tag += 1;
        }
        follow
    };
    let tag = (word >> 32) as usize & 15;
    usize::from(ALWAYS[tag]) + length(word).div_ceil(8) * usize::from(BYTES[tag])
}

/// The values of a list.
#[derive(Debug, Clone, Copy)]
pub struct List<'a>(Bytes<'a>);

impl<'a> Iterator for List<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.value().map(|(_, value)| value)
    }
}

/// The pairs of a map.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a>(Bytes<'a>);

impl<'a> Iterator for Map<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, Value::Str(key, _)) = self.0.value()? else { return None };
        let (_, value) = self.0.value()?;
        Some((key, value))
    }
}

/// An event of a span.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The fixed part.
    pub fixed: &'a EventFixed,
    /// Its name.
    pub name: &'a str,
    /// Its attributes.
    pub attributes: Fields<'a>,
}

/// The events of a span.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    bytes: Bytes<'a>,
    left: u32,
}

impl<'a> Events<'a> {
    /// How many are left.
    pub fn left(&self) -> u32 {
        self.left
    }

    fn skip_all(mut self) -> Option<Bytes<'a>> {
        while self.left > 0 {
            self.next()?;
        }
        Some(self.bytes)
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let fixed: &EventFixed = Bytes(self.bytes.0).fixed()?;
        let mut bytes = Bytes(self.bytes.take(fixed.size as usize)?);
        bytes.take(size_of::<EventFixed>())?;
        let name = bytes.text(fixed.name_len as usize)?;
        Some(Event { fixed, name, attributes: Fields { bytes, left: fixed.attributes } })
    }
}

/// A link of a span.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The span linked to.
    pub ids: &'a SpanIds,
    /// See [`LinkFixed::flags`].
    pub flags: u32,
    /// Its `tracestate`, empty where there is none.
    pub state: &'a str,
    /// Its attributes.
    pub attributes: Fields<'a>,
}

/// The links of a span.
#[derive(Debug, Clone, Copy)]
pub struct Links<'a> {
    bytes: Bytes<'a>,
    left: u32,
}

impl Links<'_> {
    /// How many are left.
    pub fn left(&self) -> u32 {
        self.left
    }
}

impl<'a> Iterator for Links<'a> {
    type Item = Link<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let fixed: &LinkFixed = Bytes(self.bytes.0).fixed()?;
        let mut bytes = Bytes(self.bytes.take(fixed.size as usize)?);
        bytes.take(size_of::<LinkFixed>())?;
        let state = bytes.text(fixed.state_len as usize)?;
        let attributes = Fields { bytes, left: fixed.attributes };
        Some(Link { ids: &fixed.ids, flags: fixed.flags, state, attributes })
    }
}
