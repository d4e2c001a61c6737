//! Lines for people: short time, coloured level, message, then fields.

use coati_core::clock::Timeline;
use coati_core::intern::{self, Id, reserved};
use coati_core::record::value::Key;
use coati_core::record::{Level, flags};
use coati_core::scope;
use coati_core::span::Status;

use super::json::{span_times, write_value};
use super::time::{Clock, rfc3339};
use crate::redact::{Fields, Redacted, RedactedLog, RedactedSpan, Value};

/// Encodes records for a terminal.
#[derive(Debug)]
pub struct PrettyEncoder {
    /// Whether to use ANSI colours.
    pub colour: bool,
}

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

impl PrettyEncoder {
    /// Appends `record`: one line, and an exception's stack under it.
    pub fn line(&self, record: &Redacted<'_>, ticks: u64, clock: &Clock<'_>, out: &mut Vec<u8>) {
        match record {
            Redacted::Log(log) => self.log(log, ticks, clock.timeline, out),
            Redacted::Span(span) => self.span(span, ticks, clock, out),
        }
    }

    fn log(&self, log: &RedactedLog<'_>, ticks: u64, timeline: &Timeline, out: &mut Vec<u8>) {
        let level = Level::from_u8(log.fixed().header.level);
        self.time(timeline.wall_ns(ticks), out);
        let (colour, name) = match level {
            Level::Debug => ("\x1b[34m", "DEBUG"),
            Level::Info => ("\x1b[32m", "INFO "),
            Level::Warning => ("\x1b[33m", "WARN "),
            Level::Error => ("\x1b[31m", "ERROR"),
            Level::Critical => ("\x1b[1;31m", "CRIT "),
        };
        self.styled(colour, name.as_bytes(), out);
        out.push(b' ');
        self.name(Id(log.fixed().logger), out);
        out.extend_from_slice(b"  ");
        let mut message = Vec::new();
        printable(log.message(), log.fixed().message_cut, &mut message);
        self.styled(BOLD, &message, out);
        let stack = self.fields(log.fields(), log.fixed().header.flags & flags::LAYERED != 0, out);
        if let Some(ids) = log.span() {
            out.extend_from_slice(b"  ");
            self.styled(DIM, &ids.trace_id.hex()[..8], out);
        }
        out.push(b'\n');
        if let Some(Value::Str(stack, _)) = stack {
            for line in stack.lines() {
                out.extend_from_slice(b"    ");
                printable(line, 0, out);
                out.push(b'\n');
            }
        }
    }

    fn span(&self, span: &RedactedSpan<'_>, ticks: u64, clock: &Clock<'_>, out: &mut Vec<u8>) {
        let times = span_times(span, ticks, clock);
        self.time(times.end, out);
        let failed = Status::from_u8(span.fixed().status) == Status::Error;
        self.styled(if failed { "\x1b[31m" } else { "\x1b[35m" }, b"SPAN ", out);
        out.push(b' ');
        self.name(scope::name(span.fixed().tracer), out);
        out.extend_from_slice(b"  ");
        let mut name = Vec::new();
        printable(span.name(), 0, &mut name);
        self.styled(BOLD, &name, out);
        out.extend_from_slice(format!("  {}", duration(times.duration)).as_bytes());
        if failed {
            out.push(b' ');
            printable(span.description(), 0, out);
        }
        self.fields(span.attributes(), true, out);
        out.extend_from_slice(b"  ");
        self.styled(DIM, &span.fixed().ids.trace_id.hex()[..8], out);
        out.push(b'\n');
    }

    /// Time of day with milliseconds.
    fn time(&self, wall_ns: u64, out: &mut Vec<u8>) {
        let mut text = Vec::with_capacity(30);
        rfc3339(wall_ns, &mut text);
        self.styled(DIM, &text[11..23], out);
        out.push(b' ');
    }

    /// The name of a logger or tracer.
    fn name(&self, id: Id, out: &mut Vec<u8>) {
        let mut name = Vec::new();
        printable(intern::text(id).unwrap_or("?"), 0, &mut name);
        self.styled(CYAN, &name, out);
    }

    /// ` key=value` for each field, with `repeated` the last of equal keys; the stack trace, if
    /// there is one, is returned instead.
    fn fields<'a>(
        &self,
        mut fields: Fields<'a>,
        repeated: bool,
        out: &mut Vec<u8>,
    ) -> Option<Value<'a>> {
        let mut stack = None;
        let mut append = |key, value| {
            let name = match key {
                Key::Id(reserved::EXCEPTION_STACKTRACE) => {
                    stack = Some(value);
                    return;
                }
                Key::Id(id) => intern::text(id).unwrap_or("?"),
                Key::Text(name) => name,
            };
            out.extend_from_slice(b"  ");
            let mut label = Vec::new();
            printable(name, 0, &mut label);
            label.push(b'=');
            self.styled(DIM, &label, out);
            match value {
                Value::Str(text, 0) if is_word(text) => out.extend_from_slice(text.as_bytes()),
                value => {
                    // JSON escapes neither DEL nor the C1 controls, of which one is CSI.
                    let mut json = Vec::new();
                    write_value(value, &mut json);
                    printable(&String::from_utf8_lossy(&json), 0, out);
                }
            }
        };
        if fields.are_renamed() {
            fields.shown(&mut append);
            return stack;
        }
        while let Some((key, value)) = fields.next() {
            if !repeated || !fields.has(key) {
                append(key, value);
            }
        }
        stack
    }

    fn styled(&self, style: &str, text: &[u8], out: &mut Vec<u8>) {
        if self.colour {
            out.extend_from_slice(style.as_bytes());
        }
        out.extend_from_slice(text);
        if self.colour {
            out.extend_from_slice(RESET.as_bytes());
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-./:@+".contains(c))
}

/// Appends text without control characters, which could take over a terminal.
fn printable(text: &str, left_out: u64, out: &mut Vec<u8>) {
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default().map(|c| c as u8));
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    if left_out > 0 {
        out.extend_from_slice(format!("…[+{left_out} bytes]").as_bytes());
    }
}

/// A duration for people: `950 ns`, `12.3 µs`, `4.56 ms`, `1.23 s`.
fn duration(ns: u64) -> String {
    let ns_f = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns_f / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns_f / 1e6),
        _ => format!("{:.2} s", ns_f / 1e9),
    }
}
