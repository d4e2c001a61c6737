//! Attributes and their values.

use coati_core::intern::{self, Id};
use coati_core::metrics::{OwnedLabel, OwnedValue};
use coati_core::record::value::Key;

use crate::otlp::mark::Mark;
use crate::redact::{Fields, Value};
use crate::wire;

/// Short keys are copied whole in one piece, then cut to their length.
const SHORT: usize = 32;

/// Keys as they stand in a `KeyValue`, made once for each interned name.
#[derive(Debug, Default)]
pub struct Keys {
    by_id: Vec<Option<Encoded>>,
}

#[derive(Debug)]
struct Encoded {
    len: usize,
    short: [u8; SHORT],
    long: Box<[u8]>,
}

impl Encoded {
    fn of(name: &str) -> Self {
        let mut bytes = Vec::with_capacity(name.len() + 3);
        wire::bytes(0x0a, name.as_bytes(), &mut bytes);
        let mut short = [0; SHORT];
        if let Some(place) = short.get_mut(..bytes.len()) {
            place.copy_from_slice(&bytes);
        }
        Self { len: bytes.len(), short, long: bytes.into() }
    }

    #[inline(always)]
    fn append(&self, out: &mut Vec<u8>) {
        if self.len <= SHORT {
            let end = out.len() + self.len;
            out.extend_from_slice(&self.short);
            out.truncate(end);
        } else {
            out.extend_from_slice(&self.long);
        }
    }
}

impl Keys {
    /// The encoded key called `id`. Names that the engine writes by itself have OpenTelemetry's
    /// spelling.
    #[inline]
    fn get(&mut self, id: Id) -> &Encoded {
        let index = id.0 as usize;
        if self.by_id.get(index).is_none_or(Option::is_none) {
            self.learn(id, index);
        }
        match &self.by_id[index] {
            Some(encoded) => encoded,
            None => unreachable!("learnt above"),
        }
    }

    #[cold]
    fn learn(&mut self, id: Id, index: usize) {
        if self.by_id.len() <= index {
            self.by_id.resize_with(index + 1, || None);
        }
        self.by_id[index] = Some(Encoded::of(intern::text(id).unwrap_or("?")));
    }

    /// Appends `fields` as repeated `KeyValue` under `tag`. Of equal keys the last counts; `unique`
    /// says that there are none.
    #[inline]
    pub fn attributes(&mut self, tag: u8, mut fields: Fields<'_>, unique: bool, out: &mut Vec<u8>) {
        if fields.are_renamed() {
            return fields.shown(&mut |key, value| self.attribute(tag, key, value, out));
        }
        while let Some((key, value)) = fields.next() {
            if !unique && fields.has(key) {
                continue;
            }
            self.attribute(tag, key, value, out);
        }
    }

    #[inline(always)]
    fn attribute(&mut self, tag: u8, key: Key<'_>, value: Value<'_>, out: &mut Vec<u8>) {
        match key {
            Key::Id(id) => pair(tag, self.get(id), value, out),
            Key::Text(name) => pair(tag, &Encoded::of(name), value, out),
        }
    }
}

/// Appends a `KeyValue` under `tag`.
#[inline(always)]
fn pair(tag: u8, key: &Encoded, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::I64(number) => integer(tag, key, number as u64, out),
        Value::U64(number) if number <= i64::MAX as u64 => integer(tag, key, number, out),
        Value::F64(number) => {
            begin(tag, key, 9, out);
            wire::fixed64(0x21, number.to_bits(), out);
        }
        Value::Bool(truth) => {
            begin(tag, key, 2, out);
            out.extend_from_slice(&[0x10, truth.into()]);
        }
        Value::Str(text, 0) => {
            begin(tag, key, 1 + wire::varint_len(text.len() as u64) + text.len(), out);
            wire::bytes(0x0a, text.as_bytes(), out);
        }
        other => wire::message(tag, out, |out| {
            key.append(out);
            wire::message(0x12, out, |out| any(other, out));
        }),
    }
}

#[inline(always)]
fn integer(tag: u8, key: &Encoded, bits: u64, out: &mut Vec<u8>) {
    begin(tag, key, 1 + wire::varint_len(bits), out);
    out.push(0x18);
    wire::varint(bits, out);
}

/// Appends all of a `KeyValue` but the inside of its value, which takes `len` bytes.
#[inline(always)]
fn begin(tag: u8, key: &Encoded, len: usize, out: &mut Vec<u8>) {
    wire::head(tag, key.len + 1 + wire::varint_len(len as u64) + len, out);
    key.append(out);
    wire::head(0x12, len, out);
}

/// Appends the inside of an `AnyValue`; nothing for null. A number beyond 64 bits is a text.
pub fn any(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(truth) => out.extend_from_slice(&[0x10, truth.into()]),
        Value::I64(number) => {
            out.push(0x18);
            wire::varint(number as u64, out);
        }
        Value::U64(number) => match i64::try_from(number) {
            Ok(number) => any(Value::I64(number), out),
            Err(_) => any(Value::BigInt(itoa::Buffer::new().format(number)), out),
        },
        Value::F64(number) => wire::fixed64(0x21, number.to_bits(), out),
        Value::Str(text, left_out) => string(text, left_out, out),
        Value::BigInt(digits) => wire::bytes(0x0a, digits.as_bytes(), out),
        Value::Bytes(bytes) => wire::bytes(0x3a, bytes, out),
        Value::List(list) => wire::message(0x2a, out, |out| {
            for value in list {
                wire::message(0x0a, out, |out| any(value, out));
            }
        }),
        Value::Map(map) => wire::message(0x32, out, |out| {
            for (key, value) in map {
                wire::message(0x0a, out, |out| {
                    wire::bytes(0x0a, key.as_bytes(), out);
                    wire::message(0x12, out, |out| any(value, out));
                });
            }
        }),
    }
}

/// How many bytes [`string`] appends.
#[inline(always)]
pub fn string_len(text: &str, left_out: u64) -> usize {
    let len = text.len() + if left_out > 0 { Mark::of(left_out).as_bytes().len() } else { 0 };
    1 + wire::varint_len(len as u64) + len
}

/// Appends a text inside an `AnyValue`, with a mark where some of it was left out.
#[inline(always)]
pub fn string(text: &str, left_out: u64, out: &mut Vec<u8>) {
    if left_out == 0 {
        wire::bytes(0x0a, text.as_bytes(), out);
    } else {
        cut_string(text, left_out, out);
    }
}

#[cold]
fn cut_string(text: &str, left_out: u64, out: &mut Vec<u8>) {
    let mark = Mark::of(left_out);
    wire::head(0x0a, text.len() + mark.as_bytes().len(), out);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(mark.as_bytes());
}

/// Appends one attribute as a `KeyValue` under `tag`.
pub fn attribute(tag: u8, name: &str, value: Value<'_>, out: &mut Vec<u8>) {
    pair(tag, &Encoded::of(name), value, out);
}

/// Appends metric labels as repeated `KeyValue` under `tag`.
pub fn labels(tag: u8, labels: &[OwnedLabel], out: &mut Vec<u8>) {
    for label in labels {
        wire::short_message(tag, out, |out| {
            wire::bytes(0x0a, label.key.as_bytes(), out);
            wire::short_message(0x12, out, |out| any(owned(&label.value), out));
        });
    }
}

/// A label's value.
pub fn owned(value: &OwnedValue) -> Value<'_> {
    match value {
        OwnedValue::Str(text) => Value::Str(text, 0),
        OwnedValue::Int(number) => Value::I64(*number),
        OwnedValue::Float(number) => Value::F64(*number),
        OwnedValue::Bool(truth) => Value::Bool(*truth),
    }
}
