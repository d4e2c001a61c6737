//! A span that has to wait for its way to the sinks: a record again, without what is withheld.

use coati_core::intern::Id;
use coati_core::record::value::Key;
use coati_core::record::write::Encoder;
use coati_core::record::{EventFixed, LinkFixed, SpanFixed, Tag, flags};

use super::view::{Fields, RedactedSpan, Value};

/// Writes `span`, which was read from `record`, as a record of its own: what the rules withhold is
/// not in it.
pub fn keep(span: &RedactedSpan<'_>, record: &[u8], out: &mut Vec<u64>) {
    out.clear();
    if !span.is_masked() {
        out.resize(record.len() / 8, 0);
        bytemuck::cast_slice_mut(out).copy_from_slice(record);
        return;
    }
    // A mask has three words, and what it stands for at least one.
    out.resize(record.len() / 8 * 3, 0);
    let len = rewrite(span, &mut Encoder::new(out, usize::MAX));
    out.truncate(len / 8);
}

fn rewrite(span: &RedactedSpan<'_>, encoder: &mut Encoder<'_>) -> usize {
    encoder.fixed(span.fixed());
    encoder.text(span.name().as_bytes());
    encoder.text(span.description().as_bytes());
    write_fields(span.attributes(), encoder);
    for event in span.events() {
        let at = encoder.len();
        let mut fixed = EventFixed {
            size: 0,
            name_len: event.name.len() as u32,
            time: event.time,
            attributes: event.attributes.left(),
            dropped_attributes: event.dropped_attributes,
        };
        encoder.fixed(&fixed);
        encoder.text(event.name.as_bytes());
        write_fields(event.attributes, encoder);
        fixed.size = (encoder.len() - at) as u32;
        encoder.patch(at, &fixed);
    }
    if span.fixed().header.flags & flags::TRACE_STATE != 0 {
        encoder.words([span.state().len() as u64]);
        encoder.text(span.state().as_bytes());
    }
    for link in span.links() {
        let at = encoder.len();
        let mut fixed = LinkFixed {
            size: 0,
            attributes: link.attributes.left(),
            ids: *link.ids,
            flags: link.flags,
            state_len: link.state.len() as u32,
        };
        encoder.fixed(&fixed);
        encoder.text(link.state.as_bytes());
        write_fields(link.attributes, encoder);
        fixed.size = (encoder.len() - at) as u32;
        encoder.patch(at, &fixed);
    }
    debug_assert_eq!(encoder.missed(), 0);
    let mut fixed: SpanFixed = *span.fixed();
    fixed.header.size = encoder.len() as u32;
    encoder.patch(0, &fixed);
    encoder.len()
}

fn write_fields(fields: Fields<'_>, encoder: &mut Encoder<'_>) {
    for (key, value) in fields {
        write(key, value, encoder);
    }
}

const INSIDE: Key<'static> = Key::Id(Id(0));

fn write(key: Key<'_>, value: Value<'_>, encoder: &mut Encoder<'_>) {
    match value {
        Value::Null => encoder.small_field(key, Tag::Null, 0),
        Value::Bool(flag) => encoder.small_field(key, Tag::Bool, usize::from(flag)),
        Value::I64(number) => encoder.word_field(key, Tag::I64, number as u64),
        Value::U64(number) => encoder.word_field(key, Tag::U64, number),
        Value::F64(number) => encoder.word_field(key, Tag::F64, number.to_bits()),
        Value::Str(text, 0) => encoder.str_field(key, text.as_bytes()),
        Value::Str(text, left_out) => encoder.cut_field(key, text.as_bytes(), left_out),
        Value::BigInt(digits) => encoder.bytes_field(key, Tag::BigInt, digits.as_bytes()),
        Value::Bytes(bytes) => encoder.bytes_field(key, Tag::Bytes, bytes),
        Value::List(list) => encoder.nested(key, Tag::List, |encoder| {
            list.for_each(|value| write(INSIDE, value, encoder));
        }),
        Value::Map(map) => encoder.nested(key, Tag::Map, |encoder| {
            for (name, value) in map {
                encoder.str_field(INSIDE, name.as_bytes());
                write(INSIDE, value, encoder);
            }
        }),
    };
}
