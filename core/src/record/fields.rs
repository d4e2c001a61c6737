//! The fields of one record, measured before they are written.
//!
//! Most records are plain: keys have ids, texts are short enough. Their size is known beforehand,
//! one comparison finds room for all, and where the compiler knows how many fields of which types
//! there are, a handful of stores is left.

use std::hint::unreachable_unchecked;

use super::value::{Field, Key, Value};
use super::write::{Encoder, copy_padded};
use super::{Tag, field_word, padded};
use crate::intern::Id;

/// The size of what is not plain: no ring has room for it.
pub const NOT_PLAIN: usize = 1 << 40;

/// Fields on their way into a record.
///
/// # Safety
/// When `plain_size` returns less than [`NOT_PLAIN`], `write_plain` writes just as many bytes.
pub unsafe trait PlainFields {
    /// What [`PlainFields::keep`] makes.
    type Kept<'a>: AnyFields
    where
        Self: 'a;

    /// How many there are.
    fn count(&self) -> usize;

    /// How many bytes they take as they are; at least [`NOT_PLAIN`] when one has to be looked at
    /// closer.
    fn plain_size(&self, max_string: usize) -> usize;

    /// Writes them as they are; where the next byte goes.
    ///
    /// # Safety
    /// `plain_size` returned less than [`NOT_PLAIN`], and so many bytes at `to`, aligned to 8, are
    /// writable.
    unsafe fn write_plain(&self, to: *mut u8) -> *mut u8;

    /// The same for the slow way, copied where they are an array: an array whose address goes to
    /// a function would have to be in memory, and all the compiler knows of it would be lost.
    fn keep(&self) -> Self::Kept<'_>;
}

/// Fields of which nothing is known.
pub trait AnyFields {
    /// Writes at most `limit` of them; how many were written and how many left out.
    fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32);
}

/// As [`PlainFields::plain_size`], of one field.
#[inline(always)]
pub(crate) fn plain_size(&(key, ref value): &Field<'_>, max_string: usize) -> usize {
    let value = match *value {
        Value::I64(_) | Value::U64(_) | Value::F64(_) => 16,
        Value::Bool(_) | Value::Null => 8,
        Value::Str(text) if text.len() <= max_string => 8 + padded(text.len()),
        Value::Str(_) | Value::Bytes(_) => NOT_PLAIN,
    };
    if let Key::Id(_) = key { value } else { NOT_PLAIN }
}

/// As [`PlainFields::write_plain`], of one field.
///
/// # Safety
/// The same.
#[inline(always)]
pub(crate) unsafe fn write_plain(&(key, ref value): &Field<'_>, to: *mut u8) -> *mut u8 {
    let words = to.cast::<u64>();
    // SAFETY: the bytes of `plain_size` are the caller's to write, and each branch stays in them.
    // What is not plain does not come here.
    unsafe {
        let Key::Id(Id(key)) = key else { unreachable_unchecked() };
        let word = |tag, payload: u64| {
            words.write(field_word(key, tag, 0));
            words.add(1).write(payload);
            to.add(16)
        };
        match *value {
            Value::I64(value) => word(Tag::I64, value as u64),
            Value::U64(value) => word(Tag::U64, value),
            Value::F64(value) => word(Tag::F64, value.to_bits()),
            Value::Bool(value) => {
                words.write(field_word(key, Tag::Bool, usize::from(value)));
                to.add(8)
            }
            Value::Bytes(_) => unreachable_unchecked(),
            Value::Null => {
                words.write(field_word(key, Tag::Null, 0));
                to.add(8)
            }
            Value::Str(text) => {
                words.write(field_word(key, Tag::Str, text.len()));
                copy_padded(text.as_ptr(), to.add(8), text.len());
                to.add(8 + padded(text.len()))
            }
        }
    }
}

// SAFETY: `write_plain` writes for each field what `plain_size` counts for it.
unsafe impl<'f> PlainFields for [Field<'f>] {
    type Kept<'a>
        = &'a [Field<'f>]
    where
        Self: 'a;

    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn plain_size(&self, max_string: usize) -> usize {
        self.iter().map(|field| plain_size(field, max_string)).sum()
    }

    #[inline(always)]
    unsafe fn write_plain(&self, to: *mut u8) -> *mut u8 {
        // SAFETY: the caller's promise, one field after the other.
        self.iter().fold(to, |to, field| unsafe { write_plain(field, to) })
    }

    #[inline(always)]
    fn keep(&self) -> &Self {
        self
    }
}

impl AnyFields for &[Field<'_>] {
    fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        encode_fields(encoder, self, limit)
    }
}

impl<const N: usize> AnyFields for [Field<'_>; N] {
    fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        encode_fields(encoder, self, limit)
    }
}

/// Writes at most `limit` of `fields`; how many were written and how many left out.
#[inline(always)]
pub fn encode_fields(encoder: &mut Encoder<'_>, fields: &[Field<'_>], limit: u32) -> (u32, u32) {
    let admitted = &fields[..fields.len().min(limit as usize)];
    let written = admitted.iter().filter(|field| encoder.field_at(field)).count();
    (written as u32, (fields.len() - written) as u32)
}

/// Calls `$each` with each of the first eight items of an array, one after the other without a
/// loop: the compiler then sees what is in each.
macro_rules! unrolled {
    ($array:expr, $each:expr) => {
        unrolled!(@ $array, $each, 0 1 2 3 4 5 6 7)
    };
    (@ $array:expr, $each:expr, $($at:literal)*) => {
        $(if N > $at { $each(&$array[$at]); })*
        for item in $array.iter().skip(8) { $each(item); }
    };
}

// SAFETY: as for slices.
unsafe impl<'f, const N: usize> PlainFields for [Field<'f>; N] {
    type Kept<'a>
        = Self
    where
        Self: 'a;

    #[inline(always)]
    fn count(&self) -> usize {
        N
    }

    #[inline(always)]
    fn plain_size(&self, max_string: usize) -> usize {
        let mut size = 0;
        let mut add = |field| size += plain_size(field, max_string);
        unrolled!(self, add);
        size
    }

    #[inline(always)]
    unsafe fn write_plain(&self, mut to: *mut u8) -> *mut u8 {
        // SAFETY: the caller's promise, one field after the other.
        let mut write = |field| to = unsafe { write_plain(field, to) };
        unrolled!(self, write);
        to
    }

    #[inline(always)]
    fn keep(&self) -> Self {
        *self
    }
}
