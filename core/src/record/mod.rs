//! The format of records in a ring, a scratch buffer or a recovered file.
//!
//! Everything is little-endian and a multiple of 8 bytes long. A record is a [`Header`], the fixed
//! part of its kind, its texts, and then its fields. A field is one word, `key | tag | length`,
//! followed by its payload; lists and maps hold fields inside. [`write`] produces this, [`read`]
//! takes it apart again, and neither touches anything else.

pub mod details;
pub mod fields;
pub mod read;
pub mod value;
pub mod words;
pub mod write;

use bytemuck::{Pod, Zeroable};

use crate::ids::SpanId;
pub use crate::ids::SpanIds;

/// Version of this format; part of each header.
pub const VERSION: u8 = 1;

/// The key of a field whose text follows as a string instead of an id.
pub const INLINE_KEY: u32 = u32::MAX;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A log line.
    Log = 1,
    /// A finished span.
    Span = 2,
    /// The text of an interned id.
    Definition = 3,
}

/// Severity of a log line, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Details for a developer.
    Debug = 0,
    /// Normal events.
    Info = 1,
    /// Something is off.
    Warning = 2,
    /// Something failed.
    Error = 3,
    /// The program is in danger.
    Critical = 4,
}

impl Level {
    /// All levels, in ascending order.
    pub const ALL: [Self; 5] =
        [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// The level with this number; numbers above the highest level mean the highest.
    #[inline]
    pub const fn from_u8(number: u8) -> Self {
        match number {
            0 => Self::Debug,
            1 => Self::Info,
            2 => Self::Warning,
            3 => Self::Error,
            _ => Self::Critical,
        }
    }

    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// The level called `name` in any case; `warn` and `fatal` are understood too.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = |level: &Self| level.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(named).or_else(|| {
            if name.eq_ignore_ascii_case("warn") {
                Some(Self::Warning)
            } else if name.eq_ignore_ascii_case("fatal") {
                Some(Self::Critical)
            } else {
                None
            }
        })
    }
}

/// Bits of [`Header::flags`]. The highest bit belongs to the ring.
pub mod flags {
    /// A log line: made inside a span, whose ids follow the fixed part.
    pub const IN_SPAN: u8 = 1;
    /// A log line: its call site follows.
    pub const CALL_SITE: u8 = 2;
    /// A log line: fields of several layers (context, bound, call); of equal keys the last counts.
    pub const LAYERED: u8 = 4;
    /// A log line: the engine's own notice, of the signal `internal`.
    pub const INTERNAL: u8 = 8;
    /// A log line: before its fields stand [`super::details::Details`], or the message as a value,
    /// which the text only prints, or both.
    pub const BODY: u8 = 16;
    /// A log line: the two W3C trace flags of its span, from this bit on.
    pub const TRACE_FLAGS: u8 = 32;
    /// A span: `start` is nanoseconds since the epoch, not ticks.
    pub const WALL_START: u8 = 1;
    /// A span: it was ended by the garbage collector.
    pub const ABANDONED: u8 = 2;
    /// A span: its parent is of another process.
    pub const REMOTE_PARENT: u8 = 4;
    /// A span: before its links stands its `tracestate`, a word with its length ahead.
    pub const TRACE_STATE: u8 = 8;
}

/// How every record begins.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Header {
    /// Bytes in the record, this header included.
    pub size: u32,
    /// A [`Kind`].
    pub kind: u8,
    /// [`VERSION`].
    pub version: u8,
    /// A [`Level`]; of a span, error or info by its status.
    pub level: u8,
    /// [`flags`].
    pub flags: u8,
    /// Ticks when it was recorded; of a span, when it ended.
    pub ticks: u64,
}

impl Header {
    /// The first word of a record whose size is not known yet.
    #[inline(always)]
    pub const fn word(kind: Kind, level: Level, flags: u8) -> u64 {
        (kind as u64) << 32 | (VERSION as u64) << 40 | (level as u64) << 48 | (flags as u64) << 56
    }
}

/// Two halves of a word, the first one in the low end.
#[inline(always)]
pub(crate) const fn halves(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// Fixed part of a log line. Its order in the record: this, ids if in a span, call site if any,
/// message, fields.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct LogFixed {
    /// How it begins.
    pub header: Header,
    /// Id of the logger's name.
    pub logger: u32,
    /// Bytes of the message.
    pub message_len: u32,
    /// Bytes of the message that were cut off.
    pub message_cut: u64,
    /// Fields that follow.
    pub fields: u32,
    /// Fields that found no room or were over the limit.
    pub dropped_fields: u32,
}

/// Where a log call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CallSite {
    /// Id of the file's name.
    pub file: u32,
    /// Line number.
    pub line: u32,
}

/// Fixed part of a span. Its order in the record: this, name, status description, attributes,
/// events, links.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct SpanFixed {
    /// How it begins; its ticks are the end.
    pub header: Header,
    /// Start, in ticks or by [`flags::WALL_START`] in nanoseconds since the epoch.
    pub start: u64,
    /// End in nanoseconds since the epoch where the caller gave one, else 0.
    pub wall_end: u64,
    /// The span's trace and own id.
    pub ids: SpanIds,
    /// The parent's id, or none.
    pub parent: SpanId,
    /// The tracer's word: the id of its name and its scope, as [`crate::scope`] has them.
    pub tracer: u32,
    /// [`crate::span::SpanKind`].
    pub span_kind: u8,
    /// [`crate::span::Status`].
    pub status: u8,
    /// W3C trace flags.
    pub trace_flags: u8,
    /// Unused, zero.
    pub reserved: u8,
    /// Bytes of the name.
    pub name_len: u32,
    /// Bytes of the status description.
    pub description_len: u32,
    /// Number of attributes.
    pub attributes: u32,
    /// Number of events.
    pub events: u32,
    /// Number of links.
    pub links: u32,
    /// Attributes over the limit.
    pub dropped_attributes: u32,
    /// Events over the limit.
    pub dropped_events: u32,
    /// Links over the limit.
    pub dropped_links: u32,
}

impl SpanFixed {
    /// The same by words: put together in registers, it need not wait for its own small stores.
    #[inline(always)]
    pub(crate) fn words(&self) -> [u64; size_of::<Self>() / 8] {
        let Header { size, kind, version, level, flags, ticks } = self.header;
        let [trace_high, trace_low] = bytemuck::cast::<_, [u64; 2]>(self.ids.trace_id);
        [
            u64::from_le_bytes([0, 0, 0, 0, kind, version, level, flags]) | u64::from(size),
            ticks,
            self.start,
            self.wall_end,
            trace_high,
            trace_low,
            bytemuck::cast(self.ids.span_id),
            bytemuck::cast(self.parent),
            u64::from_le_bytes([
                0,
                0,
                0,
                0,
                self.span_kind,
                self.status,
                self.trace_flags,
                self.reserved,
            ]) | u64::from(self.tracer),
            halves(self.name_len, self.description_len),
            halves(self.attributes, self.events),
            halves(self.links, self.dropped_attributes),
            halves(self.dropped_events, self.dropped_links),
        ]
    }
}

/// Fixed part of an event inside a span; its name and attributes follow.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct EventFixed {
    /// Bytes of the event, this part included.
    pub size: u32,
    /// Bytes of the name.
    pub name_len: u32,
    /// When, in ticks, or with the highest bit set in nanoseconds since the epoch.
    pub time: u64,
    /// Number of attributes.
    pub attributes: u32,
    /// Attributes over the limit.
    pub dropped_attributes: u32,
}

/// Marks [`EventFixed::time`] as wall time.
pub const WALL_TIME: u64 = 1 << 63;

/// Fixed part of a link inside a span; its `tracestate` and its attributes follow.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct LinkFixed {
    /// Bytes of the link, this part included.
    pub size: u32,
    /// Number of attributes.
    pub attributes: u32,
    /// The span linked to.
    pub ids: SpanIds,
    /// Its W3C trace flags, and bit 8 where it is of another process.
    pub flags: u32,
    /// Bytes of its `tracestate`.
    pub state_len: u32,
}

/// Fixed part of a definition, which is kept apart from the rings; its text follows.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct DefinitionFixed {
    /// How it begins; it has no time.
    pub header: Header,
    /// The id.
    pub id: u32,
    /// Bytes of the text it stands for.
    pub text_len: u32,
}

/// What follows a field's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// No payload.
    Null = 0,
    /// The length is the value, 0 or 1.
    Bool = 1,
    /// 8 bytes.
    I64 = 2,
    /// 8 bytes.
    U64 = 3,
    /// 8 bytes.
    F64 = 4,
    /// `length` bytes of UTF-8, padded to a word.
    Str = 5,
    /// A word with the number of bytes left out, then as `Str` the bytes kept.
    CutStr = 6,
    /// `length` decimal digits, perhaps a minus first, padded to a word.
    BigInt = 7,
    /// `length` bytes, padded to a word.
    Bytes = 8,
    /// `length` bytes of values, whose keys are 0.
    List = 9,
    /// `length` bytes of pairs: a key as a string-like value, then the value.
    Map = 10,
}

impl Tag {
    /// The tag with this number.
    #[inline]
    pub const fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Bool,
            2 => Self::I64,
            3 => Self::U64,
            4 => Self::F64,
            5 => Self::Str,
            6 => Self::CutStr,
            7 => Self::BigInt,
            8 => Self::Bytes,
            9 => Self::List,
            10 => Self::Map,
            _ => return None,
        })
    }
}

/// The longest payload that a field's word can tell.
pub const MAX_LENGTH: usize = (1 << 24) - 1;

/// The word before a value: key in the low half, then tag, then 24 bits of length.
#[inline(always)]
pub(crate) const fn field_word(key: u32, tag: Tag, length: usize) -> u64 {
    key as u64 | (tag as u64) << 32 | (length as u64) << 40
}

/// `length` rounded up to whole words.
#[inline(always)]
pub const fn padded(length: usize) -> usize {
    (length + 7) & !7
}
