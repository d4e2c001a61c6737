//! Fields from C: the fast way straight into the ring, and the way for all others.

use std::borrow::Cow;

use coati_core::intern::Id;
use coati_core::metrics::{LabelValue, OwnedValue};
use coati_core::record::Tag;
use coati_core::record::value::{Key, Value};
use coati_core::record::write::Encoder;

use crate::keys;
use crate::status::Failure;
use crate::text;
use crate::types::{
    COATI_FIELD_BOOL, COATI_FIELD_F64, COATI_FIELD_I64, COATI_FIELD_STR, COATI_FIELD_U64,
    coati_field, coati_str,
};

/// More fields than these go the other way.
const FEW: usize = 16;

/// A few fields without a flaw, with the ids of their keys. Filled where it stands: a move just
/// after the ids are written would wait for them.
pub(crate) struct Plain<'a> {
    fields: &'a [coati_field],
    ids: [u32; FEW],
    /// Two keys may be the same.
    pub(crate) repeated: bool,
}

impl<'a> Plain<'a> {
    /// Fields not looked at yet.
    #[inline(always)]
    pub(crate) fn new(fields: &'a [coati_field]) -> Self {
        Self { fields, ids: [0; FEW], repeated: false }
    }

    /// Whether all are as they should be; else they need a closer look.
    ///
    /// # Safety
    /// The texts in the fields are as [`coati_str::bytes`] asks.
    #[inline(always)]
    pub(crate) unsafe fn look(&mut self, max_string: usize) -> bool {
        if self.fields.len() > FEW {
            return false;
        }
        let cache = keys::cache();
        let mut seen = 0u64;
        for (field, id) in self.fields.iter().zip(&mut self.ids) {
            // SAFETY: the caller's promise.
            let Ok(key) = (unsafe { field.key.bytes() }) else { return false };
            let Some(found) = cache.id(key) else { return false };
            *id = found.0;
            let bit = 1 << (found.0 & 63);
            self.repeated |= seen & bit != 0;
            seen |= bit;
            match field.r#type {
                COATI_FIELD_I64 | COATI_FIELD_U64 | COATI_FIELD_F64 | COATI_FIELD_BOOL => {}
                COATI_FIELD_STR => {
                    // SAFETY: the type says that the value is a text; the caller's promise.
                    match unsafe { field.value.str.bytes() } {
                        Ok(text) if text::is_plain(text, max_string) => {}
                        _ => return false,
                    }
                }
                _ => return false,
            }
        }
        true
    }

    /// Writes at most `limit` fields; how many were written and how many left out.
    #[inline(always)]
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        let mut written = 0;
        for (field, &id) in self.fields.iter().zip(&self.ids).take(limit as usize) {
            let key = Key::Id(Id(id));
            // SAFETY: every bit pattern is a u64, and the member that the type names was written
            // by the caller; for a text `look` has checked it.
            let fitted = unsafe {
                match field.r#type {
                    COATI_FIELD_STR => {
                        let coati_str { ptr, len } = field.value.str;
                        let bytes: &[u8] = match len {
                            0 => &[],
                            _ => std::slice::from_raw_parts(ptr.cast(), len),
                        };
                        encoder.str_field(key, bytes)
                    }
                    COATI_FIELD_I64 => encoder.word_field(key, Tag::I64, field.value.u64),
                    COATI_FIELD_U64 => encoder.word_field(key, Tag::U64, field.value.u64),
                    COATI_FIELD_F64 => encoder.word_field(key, Tag::F64, field.value.u64),
                    _ => encoder.small_field(key, Tag::Bool, usize::from(boolean(field))),
                }
            };
            written += u32::from(fitted);
        }
        (written, self.fields.len() as u32 - written)
    }
}

/// The boolean of a field: any byte but 0 is true.
fn boolean(field: &coati_field) -> bool {
    // SAFETY: one byte of the union; unlike a bool, a u8 may have any value.
    unsafe { (&raw const field.value).cast::<u8>().read() != 0 }
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
            let key = match keys::cache().id(field.key.bytes()?) {
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

/// Any fields.
pub(crate) enum Fields<'a> {
    /// A few without a flaw.
    Plain(Plain<'a>),
    /// All others.
    Checked(Vec<Checked<'a>>),
}

impl<'a> Fields<'a> {
    /// Looks at all of them.
    ///
    /// # Safety
    /// The texts in `fields` are as [`coati_str::bytes`] asks.
    pub(crate) unsafe fn new(
        fields: &'a [coati_field],
        max_string: usize,
    ) -> Result<Self, Failure> {
        let mut plain = Plain::new(fields);
        // SAFETY: the caller's promise.
        if unsafe { plain.look(max_string) } {
            return Ok(Self::Plain(plain));
        }
        // SAFETY: as above.
        let check = |field| unsafe { Checked::new(field, max_string) };
        fields.iter().map(check).collect::<Result<_, _>>().map(Self::Checked)
    }

    /// Writes at most `limit` of them; how many were written and how many left out.
    pub(crate) fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        match self {
            Self::Plain(plain) => plain.encode(encoder, limit),
            Self::Checked(fields) => {
                let admitted = fields.iter().take(limit as usize);
                let written = admitted.filter(|field| field.encode(encoder)).count() as u32;
                (written, fields.len() as u32 - written)
            }
        }
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
