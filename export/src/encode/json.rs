//! JSON lines: one object per line, keys in the documented order.

use coati_core::intern::{Id, reserved};
use coati_core::record::details::Details;
use coati_core::record::value::Key;
use coati_core::record::{Level, SpanIds, flags};
use coati_core::scope;
use coati_core::span::{SpanKind, Status};

use super::escape::escape;
use super::line::{Chunks, Line};
use super::number::{finite, signed, unsigned};
use super::texts::Texts;
use super::time::{Clock, Seconds};
use crate::otlp::severity::severity;
use crate::redact::{Fields, List, Map, Redacted, RedactedLog, RedactedSpan, Scope, Value};

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
    /// `,"service":"…"`
    service: Chunks,
    /// The last second in which something was logged or ended, and the last in which a span began.
    seconds: [Seconds; 2],
    /// `…","message":"`
    loggers: Texts,
    /// `…"`
    tracers: Texts,
    /// `,"key":` among the keys of a log line, some of which are taken.
    line_keys: Texts,
    /// `,"key":` in an object of its own.
    attribute_keys: Texts,
}

impl JsonEncoder {
    /// An encoder that puts `service` on every line.
    pub fn new(service: &str) -> Self {
        let mut encoded = b",\"service\":\"".to_vec();
        escape(service, &mut encoded);
        encoded.push(b'"');
        Self {
            service: Chunks::from(&*encoded),
            seconds: Default::default(),
            loggers: Texts::default(),
            tracers: Texts::default(),
            line_keys: Texts::default(),
            attribute_keys: Texts::default(),
        }
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
        let mut line = Line::new(out);
        match record {
            Redacted::Log(log) => self.log(log, ticks, clock, &mut line),
            Redacted::Span(span) => self.span(span, ticks, clock, &mut line),
        }
        line.put(b"}\n");
        line.finish();
    }

    #[inline(always)]
    fn log(&mut self, log: &RedactedLog<'_>, ticks: u64, clock: &Clock<'_>, line: &mut Line<'_>) {
        let fixed = log.fixed();
        let details = log.details();
        line.put(b"{\"timestamp\":\"");
        let given = details.map_or(0, |details| details.time);
        let time = if given == 0 { clock.timeline.wall_ns(ticks) } else { given };
        self.seconds[0].put(time, line);
        match Level::from_u8(fixed.header.level) {
            Level::Debug => line.put(b",\"level\":\"debug\",\"logger\":\""),
            Level::Info => line.put(b",\"level\":\"info\",\"logger\":\""),
            Level::Warning => line.put(b",\"level\":\"warning\",\"logger\":\""),
            Level::Error => line.put(b",\"level\":\"error\",\"logger\":\""),
            Level::Critical => line.put(b",\"level\":\"critical\",\"logger\":\""),
        }
        self.loggers.put(Id(fixed.logger), line, |_, name, out| {
            escape(name, out);
            out.extend_from_slice(b"\",\"message\":\"");
        });
        inside(log.message(), fixed.message_cut, line);
        line.text(&self.service);
        if let Some(ids) = log.span() {
            span_ids(ids, line);
        }
        if let Some(details) = details {
            self.details(details, log, line);
        }
        self.log_fields(log.fields(), fixed.header.flags & flags::LAYERED != 0, line);
        if let Some(site) = log.call_site() {
            line.put(b",\"code.file\":\"");
            self.tracers.put(Id(site.file), line, named);
            line.put(b",\"code.line\":");
            unsigned(site.line.into(), line);
        }
        if fixed.dropped_fields > 0 {
            line.put(b",\"dropped_fields\":");
            unsigned(fixed.dropped_fields.into(), line);
        }
    }

    /// Event and severity, under names that give way to fields of the program.
    #[cold]
    fn details(&mut self, details: Details<'_>, log: &RedactedLog<'_>, line: &mut Line<'_>) {
        let level = severity(Level::from_u8(log.fixed().header.level)).0;
        let number = Some(details.severity).filter(|&number| number != level);
        let text = |text| Value::Str(text, 0);
        for (name, value) in [
            ("event.name", details.event.map(text)),
            ("severity_number", number.map(|number| Value::U64(number.into()))),
            ("severity_text", details.text.map(text)),
        ] {
            if let Some(value) = value.filter(|_| !log.fields().has(Key::new(name))) {
                line.rarely(|out| line_key(Id(0), name, out));
                put_value(value, line);
            }
        }
    }

    #[inline(always)]
    fn log_fields(&mut self, mut fields: Fields<'_>, layered: bool, line: &mut Line<'_>) {
        if fields.are_renamed() {
            return fields.shown(&mut |key, value| self.log_field(key, value, line));
        }
        while let Some((key, value)) = fields.next() {
            // Later layers win: call fields over bound ones over those of the context.
            if layered && fields.has(key) {
                continue;
            }
            self.log_field(key, value, line);
        }
    }

    #[inline(always)]
    fn log_field(&mut self, key: Key<'_>, value: Value<'_>, line: &mut Line<'_>) {
        match key {
            Key::Id(id) => self.line_keys.put(id, line, line_key),
            Key::Text(name) => line.rarely(|out| line_key(Id(0), name, out)),
        }
        put_value(value, line);
    }

    #[inline(never)]
    fn span(
        &mut self,
        span: &RedactedSpan<'_>,
        ticks: u64,
        clock: &Clock<'_>,
        line: &mut Line<'_>,
    ) {
        let fixed = span.fixed();
        let times = span_times(span, ticks, clock);
        line.put(b"{\"span\":\"");
        inside(span.name(), 0, line);
        span_ids(&fixed.ids, line);
        if fixed.parent.is_valid() {
            line.put(b",\"parent_span_id\":\"");
            line.put(&fixed.parent.hex());
            line.put(b"\"");
        }
        if !span.state().is_empty() {
            line.put(b",\"trace_state\":\"");
            inside(span.state(), 0, line);
        }
        line.put(b",\"kind\":\"");
        line.bytes(SpanKind::from_u8(fixed.span_kind).name().as_bytes());
        line.put(b"\",\"start\":\"");
        self.seconds[1].put(times.start, line);
        line.put(b",\"end\":\"");
        self.seconds[0].put(times.end, line);
        line.put(b",\"duration_ns\":");
        unsigned(times.duration, line);
        line.put(b",\"status\":{\"code\":\"");
        line.bytes(Status::from_u8(fixed.status).name().as_bytes());
        line.put(b"\"");
        if !span.description().is_empty() {
            line.put(b",\"description\":\"");
            inside(span.description(), 0, line);
        }
        line.put(b"}");
        line.text(&self.service);
        line.put(b",\"tracer\":\"");
        self.tracers.put(scope::name(fixed.tracer), line, named);
        if let Some(scope) = span.scope() {
            self.scope(&scope, line);
        }
        self.attributes(span.attributes(), line);
        self.events(span, clock, line);
        self.links(span, line);
        let dropped = [
            (&b",\"dropped_attributes\":"[..], fixed.dropped_attributes),
            (b",\"dropped_events\":", fixed.dropped_events),
            (b",\"dropped_links\":", fixed.dropped_links),
        ];
        for (key, count) in dropped.into_iter().filter(|&(_, count)| count > 0) {
            line.bytes(key);
            unsigned(count.into(), line);
        }
        if fixed.header.flags & flags::ABANDONED != 0 {
            line.put(b",\"abandoned\":true");
        }
    }

    /// `,"scope":{…}`: what the tracer's name leaves open.
    #[cold]
    fn scope(&mut self, scope: &Scope<'_>, line: &mut Line<'_>) {
        line.put(b",\"scope\":{\"name\":\"");
        self.tracers.put(scope.name, line, named);
        for (key, text) in
            [(&b",\"version\":\""[..], scope.version), (b",\"schema_url\":\"", scope.schema_url)]
        {
            if !text.is_empty() {
                line.bytes(key);
                inside(text, 0, line);
            }
        }
        self.attributes(scope.attributes, line);
        line.put(b"}");
    }

    fn events(&mut self, span: &RedactedSpan<'_>, clock: &Clock<'_>, line: &mut Line<'_>) {
        if span.fixed().events == 0 {
            return;
        }
        line.put(b",\"events\":[");
        for (i, event) in span.events().enumerate() {
            if i > 0 {
                line.put(b",");
            }
            line.put(b"{\"name\":\"");
            inside(event.name, 0, line);
            line.put(b",\"timestamp\":\"");
            self.seconds[0].put(clock.wall_ns(event.time), line);
            self.attributes(event.attributes, line);
            line.put(b"}");
        }
        line.put(b"]");
    }

    fn links(&mut self, span: &RedactedSpan<'_>, line: &mut Line<'_>) {
        if span.fixed().links == 0 {
            return;
        }
        line.put(b",\"links\":[");
        for (i, link) in span.links().enumerate() {
            if i > 0 {
                line.put(b",");
            }
            line.put(b"{\"trace_id\":\"");
            line.put(&link.ids.trace_id.hex());
            line.put(b"\",\"span_id\":\"");
            line.put(&link.ids.span_id.hex());
            line.put(b"\"");
            self.attributes(link.attributes, line);
            line.put(b"}");
        }
        line.put(b"]");
    }

    /// `,"attributes":{…}`, or nothing when there are none.
    fn attributes(&mut self, mut fields: Fields<'_>, line: &mut Line<'_>) {
        if fields.left() == 0 {
            return;
        }
        line.put(b",\"attributes\":{");
        let mut first = true;
        if fields.are_renamed() {
            fields.shown(&mut |key, value| self.attribute(key, value, &mut first, line));
            return line.put(b"}");
        }
        while let Some((key, value)) = fields.next() {
            if !fields.has(key) {
                self.attribute(key, value, &mut first, line);
            }
        }
        line.put(b"}");
    }

    #[inline(always)]
    fn attribute(&mut self, key: Key<'_>, value: Value<'_>, first: &mut bool, line: &mut Line<'_>) {
        if !std::mem::take(first) {
            line.put(b",");
        }
        match key {
            Key::Id(id) => self.attribute_keys.put(id, line, attribute_key),
            Key::Text(name) => line.rarely(|out| attribute_key(Id(0), name, out)),
        }
        put_value(value, line);
    }
}

/// `name"`
fn named(_: Id, name: &str, out: &mut Vec<u8>) {
    escape(name, out);
    out.push(b'"');
}

/// `,"key":`
fn line_key(id: Id, name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    // The engine's own keys stand under their own names; a user's field of such a name not.
    if RESERVED.contains(&name.trim_start_matches("field.")) && reserved::text(id).is_none() {
        out.extend_from_slice(b"field.");
    }
    escape(name, out);
    out.extend_from_slice(b"\":");
}

/// `"key":`
fn attribute_key(_: Id, name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(name, out);
    out.extend_from_slice(b"\":");
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

#[inline(always)]
fn span_ids(ids: &SpanIds, line: &mut Line<'_>) {
    line.put(b",\"trace_id\":\"");
    line.put(&ids.trace_id.hex());
    line.put(b"\",\"span_id\":\"");
    line.put(&ids.span_id.hex());
    line.put(b"\"");
}

/// The inside of a string and the quote after it.
#[inline(always)]
fn inside(text: &str, left_out: u64, line: &mut Line<'_>) {
    if left_out > 0 || !line.plain(text.as_bytes()) {
        line.rarely(|out| special(text, left_out, out));
    }
}

/// The same for a text that is cut or needs an escape.
#[inline(never)]
fn special(text: &str, left_out: u64, out: &mut Vec<u8>) {
    escape(text, out);
    if left_out > 0 {
        out.extend_from_slice("…[+".as_bytes());
        out.extend_from_slice(left_out.to_string().as_bytes());
        out.extend_from_slice(b" bytes]");
    }
    out.push(b'"');
}

/// Appends a value.
pub(super) fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    let mut line = Line::new(out);
    put_value(value, &mut line);
    line.finish();
}

#[inline(always)]
fn put_value(value: Value<'_>, line: &mut Line<'_>) {
    match value {
        Value::Null => line.put(b"null"),
        Value::Bool(true) => line.put(b"true"),
        Value::Bool(false) => line.put(b"false"),
        Value::I64(v) => signed(v, line),
        Value::U64(v) => unsigned(v, line),
        Value::F64(v) if v.is_finite() => finite(v, line),
        Value::F64(v) if v.is_nan() => line.put(b"\"NaN\""),
        Value::F64(f64::INFINITY) => line.put(b"\"Infinity\""),
        Value::F64(_) => line.put(b"\"-Infinity\""),
        Value::Str(text, left_out) => {
            line.put(b"\"");
            inside(text, left_out, line);
        }
        Value::BigInt(digits) => line.bytes(digits.as_bytes()),
        Value::Bytes(bytes) => line.rarely(|out| base64(bytes, out)),
        Value::List(list) => line.rarely(|out| write_list(list, out)),
        Value::Map(map) => line.rarely(|out| write_map(map, out)),
    }
}

#[inline(never)]
fn write_list(list: List<'_>, out: &mut Vec<u8>) {
    let mut line = Line::new(out);
    line.put(b"[");
    for (i, value) in list.enumerate() {
        if i > 0 {
            line.put(b",");
        }
        put_value(value, &mut line);
    }
    line.put(b"]");
    line.finish();
}

#[inline(never)]
fn write_map(map: Map<'_>, out: &mut Vec<u8>) {
    let mut line = Line::new(out);
    line.put(b"{");
    for (i, (key, value)) in map.enumerate() {
        if i > 0 {
            line.put(b",");
        }
        line.put(b"\"");
        inside(key, 0, &mut line);
        line.put(b":");
        put_value(value, &mut line);
    }
    line.put(b"}");
    line.finish();
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
