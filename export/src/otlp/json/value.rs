//! Members, attributes and their values. 64-bit numbers are texts, bytes are base64, as protobuf's
//! JSON has them; ids are hexadecimal, as OTLP has them.

use coati_core::intern;
use coati_core::metrics::OwnedLabel;
use coati_core::record::value::Key;

use crate::encode::escape::escape;
use crate::encode::json::base64;
use crate::encode::number::append_finite;
use crate::otlp::mark::Mark;
use crate::otlp::proto::owned;
use crate::redact::{Fields, Value};

/// Appends members of objects and elements of lists, with commas where they belong.
pub trait Member {
    /// A comma, unless the object or list has just begun.
    fn next(&mut self);
    /// A name and its colon.
    fn name(&mut self, name: &str);
    /// A text.
    fn text(&mut self, name: &str, value: &str);
    /// Text that needs no escape.
    fn raw(&mut self, name: &str, value: &[u8]);
    /// A small number.
    fn number(&mut self, name: &str, value: i64);
    /// A 64-bit number, as a text.
    fn wide(&mut self, name: &str, value: impl itoa::Integer);
    /// A double.
    fn double(&mut self, name: &str, value: f64);
}

impl Member for Vec<u8> {
    fn next(&mut self) {
        if !matches!(self.last(), Some(b'{' | b'[') | None) {
            self.push(b',');
        }
    }

    fn name(&mut self, name: &str) {
        self.next();
        self.push(b'"');
        self.extend_from_slice(name.as_bytes());
        self.extend_from_slice(b"\":");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.push(b'"');
        escape(value, self);
        self.push(b'"');
    }

    fn raw(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.push(b'"');
        self.extend_from_slice(value);
        self.push(b'"');
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        self.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn wide(&mut self, name: &str, value: impl itoa::Integer) {
        self.raw(name, itoa::Buffer::new().format(value).as_bytes());
    }

    fn double(&mut self, name: &str, value: f64) {
        self.name(name);
        double(value, self);
    }
}

/// A double as protobuf's JSON has it.
pub fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        append_finite(value, out);
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    }
}

/// Appends `"attributes":[…]`, unless there are none; see [`elements`].
pub fn attributes(fields: Fields<'_>, unique: bool, out: &mut Vec<u8>) {
    if fields.left() > 0 {
        out.name("attributes");
        out.push(b'[');
        elements(fields, unique, out);
        out.push(b']');
    }
}

/// Appends attributes as elements of a list. Of equal keys the last counts; `unique` says that
/// there are none.
pub fn elements(mut fields: Fields<'_>, unique: bool, out: &mut Vec<u8>) {
    let mut append = |key, value| {
        let name = match key {
            Key::Id(id) => intern::text(id).unwrap_or("?"),
            Key::Text(name) => name,
        };
        attribute(name, value, out);
    };
    if fields.are_renamed() {
        return fields.shown(&mut append);
    }
    while let Some((key, value)) = fields.next() {
        if unique || !fields.has(key) {
            append(key, value);
        }
    }
}

/// Appends one attribute as an element of a list.
pub fn attribute(name: &str, value: Value<'_>, out: &mut Vec<u8>) {
    out.next();
    out.push(b'{');
    out.text("key", name);
    out.name("value");
    any(value, out);
    out.push(b'}');
}

/// Appends an `AnyValue`, an empty one for null. A number beyond 64 bits is a text.
pub fn any(value: Value<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    match value {
        Value::Null => {}
        Value::Bool(truth) => {
            out.name("boolValue");
            out.extend_from_slice(if truth { b"true" } else { b"false" });
        }
        Value::I64(number) => out.wide("intValue", number),
        Value::U64(number) if number > i64::MAX as u64 => {
            out.raw("stringValue", itoa::Buffer::new().format(number).as_bytes());
        }
        Value::U64(number) => out.wide("intValue", number),
        Value::F64(number) => out.double("doubleValue", number),
        Value::Str(text, left_out) => {
            out.text("stringValue", text);
            let mark = Mark::of(left_out);
            if !mark.as_bytes().is_empty() {
                out.pop();
                out.extend_from_slice(mark.as_bytes());
                out.push(b'"');
            }
        }
        Value::BigInt(digits) => out.raw("stringValue", digits.as_bytes()),
        Value::Bytes(bytes) => {
            out.name("bytesValue");
            base64(bytes, out);
        }
        Value::List(list) => {
            out.name("arrayValue");
            out.extend_from_slice(b"{\"values\":[");
            for value in list {
                out.next();
                any(value, out);
            }
            out.extend_from_slice(b"]}");
        }
        Value::Map(map) => {
            out.name("kvlistValue");
            out.extend_from_slice(b"{\"values\":[");
            for (key, value) in map {
                attribute(key, value, out);
            }
            out.extend_from_slice(b"]}");
        }
    }
    out.push(b'}');
}

/// Appends metric labels as `"attributes":[…]`.
pub fn labels(labels: &[OwnedLabel], out: &mut Vec<u8>) {
    out.name("attributes");
    out.push(b'[');
    for label in labels {
        attribute(&label.key, owned(&label.value), out);
    }
    out.push(b']');
}
