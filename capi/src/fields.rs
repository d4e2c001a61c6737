//! Fields from C: the fast way straight into the ring, and the way for all others.

use std::borrow::Cow;
use std::ptr::NonNull;

use coati_core::intern::Id;
use coati_core::metrics::{LabelValue, OwnedValue};
use coati_core::record::fields::{AnyFields, PlainFields, write_number, write_small};
use coati_core::record::value::{Field, Key, Value};
use coati_core::record::write::Encoder;
use coati_core::record::{Tag, flags, padded};

use crate::keys::{self, Cache};
use crate::status::Failure;
use crate::text;
use crate::types::{
    COATI_FIELD_BOOL, COATI_FIELD_F64, COATI_FIELD_I64, COATI_FIELD_STR, COATI_FIELD_U64,
    coati_field, coati_str,
};

/// Fields as they come from C. With `CALL` they are written wherever that is possible, else where
/// it takes no call: all keys have been looked up lately, and texts are short and ASCII.
pub(crate) struct Given<const CALL: bool> {
    first: *const coati_field,
    count: usize,
}

impl<const CALL: bool> Given<CALL> {
    /// `count` fields at `first` that nobody has looked at.
    ///
    /// # Safety
    /// They stay as they are as long as this is used, and their texts are as [`coati_str::bytes`]
    /// asks.
    #[inline(always)]
    pub(crate) unsafe fn new(first: *const coati_field, count: usize) -> Self {
        Self { first, count }
    }
}

// SAFETY: each field is written where there is room for it.
unsafe impl<const CALL: bool> PlainFields for Given<CALL> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.count
    }

    #[inline(always)]
    unsafe fn write_text(&self, text: &[u8], to: *mut u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { write_text::<CALL>(text.as_ptr(), text.len(), to) }
    }

    #[inline(always)]
    unsafe fn write_plain(
        &self,
        to: *mut u8,
        end: *mut u8,
        max_string: usize,
    ) -> Option<(NonNull<u8>, u8)> {
        let cache = if CALL { keys::cache() } else { keys::known_cache() }?;
        // With so much kept back only texts have to ask for room.
        let last = (end as usize).wrapping_sub(16 * self.count);
        if (to as usize) > last {
            return None;
        }
        let behind = self.first.wrapping_add(self.count);
        // SAFETY: `new` was promised so, and there is room, as said above.
        unsafe { write_fields::<CALL>(self.first, behind, to, last, max_string, cache) }
    }
}

/// # Safety
/// As for [`text::copy_utf8`].
#[inline(always)]
unsafe fn write_text<const CALL: bool>(from: *const u8, len: usize, to: *mut u8) -> bool {
    // SAFETY: the caller's promise.
    unsafe { if CALL { text::copy_utf8(from, len, to) } else { text::copy_ascii(from, len, to) } }
}

/// Writes the fields from `field` to `behind`, and tells as [`PlainFields::write_plain`] does.
///
/// # Safety
/// Their texts are as [`coati_str::bytes`] asks; `to` is aligned to 8 and writable up to 16 bytes
/// for each field behind `last`.
// Not inlined: alone it has registers enough.
#[inline(never)]
unsafe fn write_fields<const CALL: bool>(
    mut field: *const coati_field,
    behind: *const coati_field,
    mut to: *mut u8,
    last: usize,
    max_string: usize,
    cache: &Cache,
) -> Option<(NonNull<u8>, u8)> {
    // The same where no two keys share a bit.
    let (mut sum, mut all) = (0u64, 0u64);
    while field != behind {
        // SAFETY: the caller's promise; the member that the type names was written by the C
        // program, and every bit pattern is a u64.
        unsafe {
            let (coati_str { ptr, len }, kind) = ((*field).key, (*field).r#type);
            let known = match CALL {
                false => cache.find(ptr.cast(), len)?,
                true => cache.look_up(ptr.cast(), len)?,
            };
            sum = sum.wrapping_add(known.bit);
            all |= known.bit;
            let id = known.id.0;
            if kind.wrapping_sub(COATI_FIELD_I64) <= COATI_FIELD_F64 - COATI_FIELD_I64 {
                to = write_number(to, id, number_tag(kind), (*field).value.u64);
            } else if kind == COATI_FIELD_STR {
                let coati_str { ptr, len } = (*field).value.str;
                let next = to.wrapping_add(8 + padded(len));
                if len > max_string || next as usize > last || ptr.is_null() {
                    return None;
                }
                if !write_text::<CALL>(ptr.cast(), len, to.add(8)) {
                    return None;
                }
                write_small(to, id, Tag::Str, len);
                to = next;
            } else if kind == COATI_FIELD_BOOL {
                to = write_small(to, id, Tag::Bool, usize::from(boolean(&*field)));
            } else {
                return None;
            }
            field = field.add(1);
        }
    }
    // Two keys may be the same: the reader looks closer.
    let flags = if sum == all { 0 } else { flags::LAYERED };
    NonNull::new(to).map(|end| (end, flags))
}

/// The tag of a number's type.
///
/// # Safety
/// `number` is COATI_FIELD_I64, COATI_FIELD_U64 or COATI_FIELD_F64.
#[inline(always)]
unsafe fn number_tag(number: u32) -> Tag {
    const AHEAD: u32 = Tag::I64 as u32 - COATI_FIELD_I64;
    const { assert!(Tag::U64 as u32 == COATI_FIELD_U64 + AHEAD) };
    const { assert!(Tag::F64 as u32 == COATI_FIELD_F64 + AHEAD) };
    // SAFETY: one of the three tags.
    unsafe { std::mem::transmute((number + AHEAD) as u8) }
}

/// The boolean of a field: any byte but 0 is true.
fn boolean(field: &coati_field) -> bool {
    // SAFETY: one byte of the union; unlike a bool, a u8 may have any value.
    unsafe { (&raw const field.value).cast::<u8>().read() != 0 }
}

/// The field as it comes from C if it is plain: its key has been looked up lately, its text is short
/// and ASCII.
///
/// # Safety
/// Its texts are as [`coati_str::bytes`] asks.
#[inline(always)]
pub(crate) unsafe fn plain(field: &coati_field) -> Option<Field<'_>> {
    let value = &field.value;
    // SAFETY: the caller's promise; of the union, the member that the type names.
    unsafe {
        let known = keys::known_cache()?.find(field.key.ptr.cast(), field.key.len)?;
        let value = match field.r#type {
            COATI_FIELD_I64 => Value::I64(value.i64),
            COATI_FIELD_U64 => Value::U64(value.u64),
            COATI_FIELD_F64 => Value::F64(value.f64),
            COATI_FIELD_BOOL => Value::Bool(boolean(field)),
            COATI_FIELD_STR => Value::Str(text::short_ascii(value.str.bytes().ok()?)?),
            _ => return None,
        };
        Some((Key::Id(known.id), value))
    }
}

/// A field whose texts are UTF-8 as far as they can be recorded, perhaps replaced.
pub(crate) struct Checked<'a> {
    key: CheckedKey<'a>,
    value: Content<'a>,
}

enum CheckedKey<'a> {
    Id(Id),
    Text(Cow<'a, str>),
}

enum Content<'a> {
    Plain(Value<'a>),
    Text(Cow<'a, [u8]>),
}

impl<'a> Checked<'a> {
    /// Looks closer at one field.
    ///
    /// # Safety
    /// The texts in `field` are as [`coati_str::bytes`] asks.
    pub(crate) unsafe fn new(field: &coati_field, max_string: usize) -> Result<Self, Failure> {
        let value = &field.value;
        // SAFETY: the caller's promise; of the union, the member that the type names.
        unsafe {
            let value = match field.r#type {
                COATI_FIELD_I64 => Content::Plain(Value::I64(value.i64)),
                COATI_FIELD_U64 => Content::Plain(Value::U64(value.u64)),
                COATI_FIELD_F64 => Content::Plain(Value::F64(value.f64)),
                COATI_FIELD_BOOL => Content::Plain(Value::Bool(boolean(field))),
                COATI_FIELD_STR => Content::Text(text::replaced(value.str.bytes()?, max_string)),
                _ => return Err(Failure::BadArgument),
            };
            let key = match keys::id(field.key.bytes()?) {
                Some(id) => CheckedKey::Id(id),
                None => CheckedKey::Text(text::kept(field.key)?),
            };
            Ok(Self { key, value })
        }
    }

    /// Its key.
    pub(crate) fn key(&self) -> Key<'_> {
        match &self.key {
            CheckedKey::Id(id) => Key::Id(*id),
            CheckedKey::Text(text) => Key::Text(text),
        }
    }

    /// Writes it; whether it fitted.
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>) -> bool {
        match &self.value {
            Content::Plain(value) => encoder.field((self.key(), *value)),
            Content::Text(text) => encoder.str_field(self.key(), text),
        }
    }
}

/// Any fields, looked at closer.
pub(crate) struct Fields<'a>(Vec<Checked<'a>>);

impl<'a> Fields<'a> {
    /// Looks at all of them.
    ///
    /// # Safety
    /// The texts in `fields` are as [`coati_str::bytes`] asks.
    pub(crate) unsafe fn new(
        fields: &'a [coati_field],
        max_string: usize,
    ) -> Result<Self, Failure> {
        // SAFETY: the caller's promise.
        let check = |field| unsafe { Checked::new(field, max_string) };
        fields.iter().map(check).collect::<Result<_, _>>().map(Self)
    }
}

impl AnyFields for Fields<'_> {
    fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        let admitted = self.0.iter().take(limit as usize);
        let written = admitted.filter(|field| field.encode(encoder)).count() as u32;
        (written, self.0.len() as u32 - written)
    }
}

/// A metric's label.
pub(crate) struct Label<'a> {
    key: Cow<'a, str>,
    value: OwnedValue,
}

impl<'a> Label<'a> {
    /// Looks at one field as a label.
    ///
    /// # Safety
    /// As for [`Checked::new`].
    pub(crate) unsafe fn new(field: &coati_field) -> Result<Self, Failure> {
        let value = &field.value;
        // SAFETY: the caller's promise; of the union, the member that the type names.
        unsafe {
            let value = match field.r#type {
                COATI_FIELD_I64 => OwnedValue::Int(value.i64),
                COATI_FIELD_U64 => match i64::try_from(value.u64) {
                    Ok(value) => OwnedValue::Int(value),
                    Err(_) => OwnedValue::Str(value.u64.to_string().into()),
                },
                COATI_FIELD_F64 => OwnedValue::Float(value.f64),
                COATI_FIELD_BOOL => OwnedValue::Bool(boolean(field)),
                COATI_FIELD_STR => OwnedValue::Str(text::kept(value.str)?.into()),
                _ => return Err(Failure::BadArgument),
            };
            Ok(Self { key: text::kept(field.key)?, value })
        }
    }

    /// The same as the metric store takes it.
    pub(crate) fn borrowed(&self) -> (&str, LabelValue<'_>) {
        (&self.key, self.value.borrowed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &[u8]) -> coati_str {
        coati_str { ptr: text.as_ptr().cast(), len: text.len() }
    }

    /// What is written for these fields, and the flags.
    fn written<const CALL: bool>(fields: &[coati_field], room: usize) -> Option<(Vec<u64>, u8)> {
        const MAX_STRING: usize = 48;
        let mut memory = vec![u64::MAX; room + 1];
        let start: *mut u8 = memory.as_mut_ptr().cast();
        // SAFETY: the fields are as they should be, and there are so many words.
        let (end, flags) = unsafe {
            let given = Given::<CALL>::new(fields.as_ptr(), fields.len());
            given.write_plain(start, start.add(8 * room), MAX_STRING)?
        };
        assert_eq!(memory[room], u64::MAX);
        let words = (end.as_ptr() as usize - start as usize) / 8;
        memory.truncate(words);
        Some((memory, flags))
    }

    /// Numbers that look random and are the same every time.
    fn random(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (*state >> 33) as usize % below
    }

    #[test]
    fn fields_are_the_same_with_and_without_calls_and_encoded_with_care() {
        let state = &mut 1;
        let (mut plain, mut refused) = (0, 0);
        for _ in 0..if cfg!(miri) { 50 } else { 5000 } {
            let texts: Vec<Vec<u8>> = (0..12)
                .map(|_| {
                    let mut text = vec![b'a' + random(state, 4) as u8; random(state, 52)];
                    // Anything in its middle, now and then.
                    if !text.is_empty() && random(state, 12) == 0 {
                        let at = random(state, text.len());
                        text[at] = random(state, 256) as u8;
                    }
                    text
                })
                .collect();
            let fields: Vec<coati_field> = texts
                .chunks(2)
                .take(random(state, 7))
                .map(|pair| {
                    let (kind, string) = (random(state, 7) as u32, text(&pair[1]));
                    let value = match kind {
                        COATI_FIELD_STR => crate::types::coati_value { str: string },
                        COATI_FIELD_BOOL => crate::types::coati_value { boolean: kind > 2 },
                        _ => crate::types::coati_value { u64: random(state, 1 << 30) as u64 },
                    };
                    coati_field { key: text(&pair[0]), r#type: kind, value }
                })
                .collect();
            let room = random(state, 60);
            let with_calls = written::<true>(&fields, room);
            for field in &fields {
                // SAFETY: the field is as it should be.
                let (Some(simple), Ok(checked)) =
                    (unsafe { (super::plain(field), Checked::new(field, 1 << 10)) })
                else {
                    continue;
                };
                let [mut one, mut other] = [[0; 16]; 2];
                assert!(Encoder::new(&mut one, 1 << 10).field(simple));
                assert!(checked.encode(&mut Encoder::new(&mut other, 1 << 10)));
                assert_eq!(one, other);
            }
            // By now all keys have been looked up, unless two of them have the same place.
            if let Some(without) = written::<false>(&fields, room) {
                assert_eq!(Some(without), with_calls);
                plain += 1;
            }
            let Some((words, flags)) = with_calls else {
                refused += 1;
                continue;
            };
            let mut memory = vec![0; 1 << 10];
            let mut encoder = Encoder::new(&mut memory, 1 << 10);
            // SAFETY: the fields are as they should be.
            let Ok(checked) = (unsafe { Fields::new(&fields, 1 << 10) }) else { panic!() };
            assert_eq!(checked.encode(&mut encoder, 100), (fields.len() as u32, 0));
            let len = encoder.len() / 8;
            assert_eq!(words, memory[..len]);
            let keys: std::collections::HashSet<&[u8]> =
                fields.iter().zip(texts.chunks(2)).map(|(_, pair)| &*pair[0]).collect();
            assert!(keys.len() == fields.len() || flags == flags::LAYERED);
        }
        assert!(plain > 0 && refused > 0, "{plain} {refused}");
    }
}
