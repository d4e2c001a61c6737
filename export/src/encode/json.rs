//! JSON lines: one object per line, keys in the documented order.

use coati_core::intern::{self, Id};
use coati_core::record::value::Key;
use coati_core::record::{Level, SpanIds, flags};
use coati_core::span::{SpanKind, Status};

use super::escape::escape;
use super::time::{Clock, rfc3339};
use crate::redact::{Fields, Redacted, RedactedLog, RedactedSpan, Value};

/// Names of a log line that a field may not have; it is kept under `field.<name>`. So is, once more,
/// a field that is called so itself.
const RESERVED: [&str; 14] = [
    "timestamp",
    "level",
    "logger",
    "message",
    "service",
    "trace_id",
    "span_id",
    "span",
    "exception.type",
    "exception.message",
    "exception.stacktrace",
    "code.file",
    "code.line",
    "dropped_fields",
];

/// Encodes records as JSON lines.
#[derive(Debug)]
pub struct JsonEncoder {
    /// `,"service":"…"`, ready to copy.
    service: Vec<u8>,
    /// By interned id: `,"key":` as in a log line, then as in attributes.
    keys: Vec<Option<[Box<[u8]>; 2]>>,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the keys of a log line, some of which are taken.
    Line = 0,
    /// In an object of its own.
    Attributes = 1,
}

impl JsonEncoder {
    /// An encoder that puts `service` on every line.
    pub fn new(service: &str) -> Self {
        let mut encoded = b",\"service\":\"".to_vec();
        escape(service, &mut encoded);
        encoded.push(b'"');
        Self { service: encoded, keys: Vec::new() }
    }

    /// Appends `record` as one line. `ticks` is when it was recorded, never less than before in
    /// its thread.
    pub fn line(
        &mut self,
        record: &Redacted<'_>,
        ticks: u64,
        clock: &Clock<'_>,
        out: &mut Vec<u8>,
    ) {
        match record {
            Redacted::Log(log) => self.log(log, ticks, clock, out),
            Redacted::Span(span) => self.span(span, ticks, clock, out),
        }
        out.extend_from_slice(b"}\n");
    }

    fn log(&mut self, log: &RedactedLog<'_>, ticks: u64, clock: &Clock<'_>, out: &mut Vec<u8>) {
        let fixed = log.fixed();
        out.extend_from_slice(b"{\"timestamp\":\"");
        rfc3339(clock.timeline.wall_ns(ticks), out);
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(Level::from_u8(fixed.header.level).name().as_bytes());
        out.extend_from_slice(b"\",\"logger\":\"");
        name(Id(fixed.logger), out);
        out.extend_from_slice(b"\",\"message\":");
        string(log.message(), fixed.message_cut, out);
        out.extend_from_slice(&self.service);
        if let Some(ids) = log.span() {
            span_ids(ids, out);
        }
        self.log_fields(log.fields(), fixed.header.flags & flags::LAYERED != 0, out);
        if let Some(site) = log.call_site() {
            out.extend_from_slice(b",\"code.file\":\"");
            name(Id(site.file), out);
            out.extend_from_slice(b"\",\"code.line\":");
            integer(site.line, out);
        }
        if fixed.dropped_fields > 0 {
            out.extend_from_slice(b",\"dropped_fields\":");
            integer(fixed.dropped_fields, out);
        }
    }

    fn log_fields(&mut self, mut fields: Fields<'_>, layered: bool, out: &mut Vec<u8>) {
        while let Some((key, value)) = fields.next() {
            // Later layers win: call fields over bound ones over those of the context.
            if layered && fields.has(key) {
                continue;
            }
            self.key(key, Place::Line, out);
            write_value(value, out);
        }
    }

    fn span(&mut self, span: &RedactedSpan<'_>, ticks: u64, clock: &Clock<'_>, out: &mut Vec<u8>) {
        let fixed = span.fixed();
        let times = span_times(span, ticks, clock);
        out.extend_from_slice(b"{\"span\":");
        string(span.name(), 0, out);
        span_ids(&fixed.ids, out);
        if fixed.parent.is_valid() {
            out.extend_from_slice(b",\"parent_span_id\":\"");
            out.extend_from_slice(&fixed.parent.hex());
            out.push(b'"');
        }
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(SpanKind::from_u8(fixed.span_kind).name().as_bytes());
        out.extend_from_slice(b"\",\"start\":\"");
        rfc3339(times.start, out);
        out.extend_from_slice(b"\",\"end\":\"");
        rfc3339(times.end, out);
        out.extend_from_slice(b"\",\"duration_ns\":");
        integer(times.duration, out);
        out.extend_from_slice(b",\"status\":{\"code\":\"");
        out.extend_from_slice(Status::from_u8(fixed.status).name().as_bytes());
        out.push(b'"');
        if !span.description().is_empty() {
            out.extend_from_slice(b",\"description\":");
            string(span.description(), 0, out);
        }
        out.push(b'}');
        out.extend_from_slice(&self.service);
        out.extend_from_slice(b",\"tracer\":\"");
        name(Id(fixed.tracer), out);
        out.push(b'"');
        self.attributes(span.attributes(), out);
        self.events(span, clock, out);
        self.links(span, out);
        let dropped = [
            (&b",\"dropped_attributes\":"[..], fixed.dropped_attributes),
            (b",\"dropped_events\":", fixed.dropped_events),
            (b",\"dropped_links\":", fixed.dropped_links),
        ];
        for (key, count) in dropped.into_iter().filter(|&(_, count)| count > 0) {
            out.extend_from_slice(key);
            integer(count, out);
        }
        if fixed.header.flags & flags::ABANDONED != 0 {
            out.extend_from_slice(b",\"abandoned\":true");
        }
    }

    fn events(&mut self, span: &RedactedSpan<'_>, clock: &Clock<'_>, out: &mut Vec<u8>) {
        if span.fixed().events == 0 {
            return;
        }
        out.extend_from_slice(b",\"events\":[");
        for (i, event) in span.events().enumerate() {
            out.extend_from_slice(if i > 0 { b",{\"name\":" } else { b"{\"name\":" });
            string(event.name, 0, out);
            out.extend_from_slice(b",\"timestamp\":\"");
            rfc3339(clock.wall_ns(event.time), out);
            out.push(b'"');
            self.attributes(event.attributes, out);
            out.push(b'}');
        }
        out.push(b']');
    }

    fn links(&mut self, span: &RedactedSpan<'_>, out: &mut Vec<u8>) {
        if span.fixed().links == 0 {
            return;
        }
        out.extend_from_slice(b",\"links\":[");
        for (i, link) in span.links().enumerate() {
            out.extend_from_slice(if i > 0 { b",{\"trace_id\":\"" } else { b"{\"trace_id\":\"" });
            out.extend_from_slice(&link.ids.trace_id.hex());
            out.extend_from_slice(b"\",\"span_id\":\"");
            out.extend_from_slice(&link.ids.span_id.hex());
            out.push(b'"');
            self.attributes(link.attributes, out);
            out.push(b'}');
        }
        out.push(b']');
    }

    /// `,"attributes":{…}`, or nothing when there are none.
    fn attributes(&mut self, mut fields: Fields<'_>, out: &mut Vec<u8>) {
        if fields.left() == 0 {
            return;
        }
        out.extend_from_slice(b",\"attributes\":");
        let begin = out.len();
        while let Some((key, value)) = fields.next() {
            if fields.has(key) {
                continue;
            }
            self.key(key, Place::Attributes, out);
            write_value(value, out);
        }
        // The first key came with a comma, which makes room for the brace.
        if out.len() > begin {
            out[begin] = b'{';
            out.push(b'}');
        } else {
            out.extend_from_slice(b"{}");
        }
    }

    /// `,"key":`
    #[inline]
    fn key(&mut self, key: Key<'_>, place: Place, out: &mut Vec<u8>) {
        match key {
            Key::Id(id) => {
                let known = self.keys.get(id.0 as usize).and_then(Option::as_ref);
                match known {
                    Some(encoded) => out.extend_from_slice(&encoded[place as usize]),
                    None => self.learn(id, place, out),
                }
            }
            Key::Text(name) => out.extend_from_slice(&encoded_key(name, place)),
        }
    }

    #[cold]
    fn learn(&mut self, id: Id, place: Place, out: &mut Vec<u8>) {
        let index = id.0 as usize;
        if self.keys.len() <= index {
            self.keys.resize(index + 1, None);
        }
        // The engine's own keys stand under their own names; a user's field of such a name not.
        let encoded = match intern::reserved::text(id) {
            Some(name) => [Place::Attributes; 2].map(|place| encoded_key(name, place)),
            None => {
                let name = intern::text(id).unwrap_or("?");
                [encoded_key(name, Place::Line), encoded_key(name, Place::Attributes)]
            }
        };
        out.extend_from_slice(&encoded[place as usize]);
        self.keys[index] = Some(encoded);
    }
}

fn encoded_key(name: &str, place: Place) -> Box<[u8]> {
    let mut encoded = b",\"".to_vec();
    if place == Place::Line && RESERVED.contains(&name.trim_start_matches("field.")) {
        encoded.extend_from_slice(b"field.");
    }
    escape(name, &mut encoded);
    encoded.extend_from_slice(b"\":");
    encoded.into()
}

/// Start, end and length of a span, in nanoseconds; the length is the difference of the two.
pub(crate) struct SpanTimes {
    pub start: u64,
    pub end: u64,
    pub duration: u64,
}

pub(crate) fn span_times(span: &RedactedSpan<'_>, ticks: u64, clock: &Clock<'_>) -> SpanTimes {
    let fixed = span.fixed();
    let wall_start = fixed.header.flags & flags::WALL_START != 0;
    let start = if wall_start { fixed.start } else { clock.timeline.wall_ns(fixed.start) };
    let end = match fixed.wall_end {
        0 => clock.timeline.wall_ns(ticks),
        wall => wall,
    };
    SpanTimes { start, end: end.max(start), duration: end.saturating_sub(start) }
}

/// The inside of a JSON string for an interned name.
fn name(id: Id, out: &mut Vec<u8>) {
    escape(intern::text(id).unwrap_or("?"), out);
}

fn span_ids(ids: &SpanIds, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"trace_id\":\"");
    out.extend_from_slice(&ids.trace_id.hex());
    out.extend_from_slice(b"\",\"span_id\":\"");
    out.extend_from_slice(&ids.span_id.hex());
    out.push(b'"');
}

#[inline]
fn string(text: &str, left_out: u64, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    if left_out > 0 {
        out.extend_from_slice("…[+".as_bytes());
        integer(left_out, out);
        out.extend_from_slice(b" bytes]");
    }
    out.push(b'"');
}

fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn float(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    } else if number.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if number > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    }
}

/// Appends a value.
pub(super) fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::I64(v) => integer(v, out),
        Value::U64(v) => integer(v, out),
        Value::F64(v) => float(v, out),
        Value::Str(text, left_out) => string(text, left_out, out),
        Value::BigInt(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Bytes(bytes) => base64(bytes, out),
        Value::List(list) => {
            out.push(b'[');
            for (i, value) in list.enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(value, out);
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.push(b'{');
            for (i, (key, value)) in map.enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                string(key, 0, out);
                out.push(b':');
                write_value(value, out);
            }
            out.push(b'}');
        }
    }
}

/// Appends bytes as a JSON string in standard base64 with padding (RFC 4648).
pub fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
        let word = word << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let index = word >> (18 - 6 * i) & 63;
            out.push(if i <= chunk.len() { ALPHABET[index as usize] } else { b'=' });
        }
    }
    out.push(b'"');
}
