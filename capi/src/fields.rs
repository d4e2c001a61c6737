//! Fields from C: the fast way straight into the ring, and the way for all others.

use std::borrow::Cow;
use std::ptr::NonNull;

use coati_core::intern::Id;
use coati_core::metrics::{LabelValue, OwnedValue};
use coati_core::record::fields::{AnyFields, PlainFields, write_number, write_small};
use coati_core::record::value::{Key, Value};
use coati_core::record::write::Encoder;
use coati_core::record::{Tag, flags, padded};

use crate::keys;
use crate::status::Failure;
use crate::text;
use crate::types::{
    COATI_FIELD_BOOL, COATI_FIELD_F64, COATI_FIELD_I64, COATI_FIELD_STR, COATI_FIELD_U64,
    coati_field, coati_str,
};

/// Fields as they come from C.
pub(crate) struct Given<'a>(&'a [coati_field]);

impl<'a> Given<'a> {
    /// Fields nobody has looked at.
    ///
    /// # Safety
    /// Their texts are as [`coati_str::bytes`] asks.
    #[inline(always)]
    pub(crate) unsafe fn new(fields: &'a [coati_field]) -> Self {
        Self(fields)
    }
}

// SAFETY: each field is written where there is room for it.
unsafe impl PlainFields for Given<'_> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.0.len()
    }

    // Not inlined: alone it has registers enough.
    #[inline(never)]
    unsafe fn write_plain(
        &self,
        mut to: *mut u8,
        end: *mut u8,
        max_string: usize,
    ) -> Option<(NonNull<u8>, u8)> {
        let room = end as usize - to as usize;
        // With so much kept back only texts have to ask for room.
        let kept_back = 16 * self.0.len();
        if room < kept_back {
            return None;
        }
        let last = end as usize - kept_back;
        let cache = keys::cache()?;
        let (mut seen, mut repeated) = (0u64, 0);
        for field in self.0 {
            // SAFETY: `new` was promised so.
            let id = unsafe { cache.id_at(field.key.ptr.cast(), field.key.len) }?.0;
            let bit = 1 << (id & 63);
            repeated |= seen & bit;
            seen |= bit;
            // SAFETY: there is room, as said above; the member that the type names was written by
            // the caller, and every bit pattern is a u64.
            to = unsafe {
                match field.r#type {
                    COATI_FIELD_STR => {
                        let coati_str { ptr, len } = field.value.str;
                        if len > max_string
                            || ptr.is_null()
                            || to as usize + 8 + padded(len) > last
                            || !text::copy_utf8(ptr.cast(), len, to.add(8))
                        {
                            return None;
                        }
                        write_small(to, id, Tag::Str, len);
                        to.add(8 + padded(len))
                    }
                    number @ COATI_FIELD_I64..=COATI_FIELD_F64 => {
                        write_number(to, id, number_tag(number), field.value.u64)
                    }
                    COATI_FIELD_BOOL => write_small(to, id, Tag::Bool, usize::from(boolean(field))),
                    _ => return None,
                }
            };
        }
        // Two keys may be the same: the reader looks closer.
        let flags = if repeated == 0 { 0 } else { flags::LAYERED };
        NonNull::new(to).map(|end| (end, flags))
    }
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
