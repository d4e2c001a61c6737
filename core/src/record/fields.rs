//! The fields of one record, written as they are wherever that is possible.
//!
//! Most records are plain: keys have ids, texts are short enough, and there is room. Where the
//! compiler knows how many fields of which types there are, one comparison finds room for all, and
//! a handful of stores is left.

use std::hint::unreachable_unchecked;
use std::ptr::NonNull;

use super::value::{Field, Key, Value};
use super::write::{Encoder, copy_padded};
use super::{Tag, field_word, padded};
use crate::intern::Id;

/// The size of what is not plain: no memory has room for it.
pub const NOT_PLAIN: usize = 1 << 40;

/// Fields on their way into a record.
///
/// # Safety
/// `write_plain` returns where what it has written ends, between `to` and `end` and aligned to 8.
pub unsafe trait PlainFields {
    /// How many there are.
    fn count(&self) -> usize;

    /// Writes a text that belongs to them and fills its last word up with zeros; `false`, and it
    /// does not matter what was written, when it is not UTF-8.
    ///
    /// # Safety
    /// `to` is aligned to 8 and writable for as many bytes, rounded up to whole words.
    #[inline(always)]
    unsafe fn write_text(&self, text: &[u8], to: *mut u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { copy_padded(text.as_ptr(), to, text.len()) };
        true
    }

    /// Writes them as they are into `[to, end)`. Tells where they end and which flags the record
    /// gets, or nothing when there is no room or one has to be looked at closer; then it does not
    /// matter what was written.
    ///
    /// # Safety
    /// The range is writable, both ends are aligned to 8.
    unsafe fn write_plain(
        &self,
        to: *mut u8,
        end: *mut u8,
        max_string: usize,
    ) -> Option<(NonNull<u8>, u8)>;
}

/// Fields whose compiler may know what they are, until their address is taken.
pub trait KnownFields: PlainFields {
    /// What [`KnownFields::keep`] makes.
    type Kept<'a>: AnyFields
    where
        Self: 'a;

    /// The same for the slow way, copied where they are an array: an array whose address goes to
    /// a function would have to be in memory, and all the compiler knows of it would be lost.
    fn keep(&self) -> Self::Kept<'_>;
}

/// Fields of which nothing is known.
pub trait AnyFields {
    /// Writes at most `limit` of them; how many were written and how many left out.
    fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32);
}

/// How many bytes a field takes as it is; [`NOT_PLAIN`] when it has to be looked at closer.
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

/// Writes a field as it is; where the next byte goes.
///
/// # Safety
/// `plain_size` returned less than [`NOT_PLAIN`], and so many bytes at `to`, aligned to 8, are
/// writable.
#[inline(always)]
pub(crate) unsafe fn write_plain(&(key, ref value): &Field<'_>, to: *mut u8) -> *mut u8 {
    // SAFETY: the bytes of `plain_size` are the caller's to write, and each branch writes as many.
    // What is not plain does not come here.
    unsafe {
        let Key::Id(Id(key)) = key else { unreachable_unchecked() };
        match *value {
            Value::I64(value) => write_number(to, key, Tag::I64, value as u64),
            Value::U64(value) => write_number(to, key, Tag::U64, value),
            Value::F64(value) => write_number(to, key, Tag::F64, value.to_bits()),
            Value::Bool(value) => write_small(to, key, Tag::Bool, usize::from(value)),
            Value::Null => write_small(to, key, Tag::Null, 0),
            Value::Str(text) => write_text(to, key, text.as_bytes()),
            Value::Bytes(_) => unreachable_unchecked(),
        }
    }
}

/// Writes a field with one word of payload, 16 bytes; where the next byte goes.
///
/// # Safety
/// So many bytes at `to`, aligned to 8, are writable.
#[inline(always)]
pub unsafe fn write_number(to: *mut u8, key: u32, tag: Tag, payload: u64) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        to.cast::<[u64; 2]>().write([field_word(key, tag, 0), payload]);
        to.add(16)
    }
}

/// Writes a field whose value is in its word, 8 bytes; where the next byte goes.
///
/// # Safety
/// So many bytes at `to`, aligned to 8, are writable.
#[inline(always)]
pub unsafe fn write_small(to: *mut u8, key: u32, tag: Tag, small: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        to.cast::<u64>().write(field_word(key, tag, small));
        to.add(8)
    }
}

/// Writes a text field, `8 + padded(text.len())` bytes; where the next byte goes.
///
/// # Safety
/// So many bytes at `to`, aligned to 8, are writable, and `text` is no longer than
/// [`super::MAX_LENGTH`].
#[inline(always)]
pub unsafe fn write_text(to: *mut u8, key: u32, text: &[u8]) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe {
        to.cast::<u64>().write(field_word(key, Tag::Str, text.len()));
        copy_padded(text.as_ptr(), to.add(8), text.len());
        to.add(8 + padded(text.len()))
    }
}

// SAFETY: `write_plain` writes for each field what `plain_size` counts for it, and that fits.
unsafe impl PlainFields for [Field<'_>] {
    #[inline(always)]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    unsafe fn write_plain(
        &self,
        to: *mut u8,
        end: *mut u8,
        max_string: usize,
    ) -> Option<(NonNull<u8>, u8)> {
        let size: usize = self.iter().map(|field| plain_size(field, max_string)).sum();
        if size > end as usize - to as usize {
            return None;
        }
        // SAFETY: there is room for all of them, one after the other.
        let end = self.iter().fold(to, |to, field| unsafe { write_plain(field, to) });
        NonNull::new(end).map(|end| (end, 0))
    }
}

impl<'f> KnownFields for [Field<'f>] {
    type Kept<'a>
        = &'a [Field<'f>]
    where
        Self: 'a;

    #[inline(always)]
    fn keep(&self) -> &Self {
        self
    }
}

impl AnyFields for [Field<'_>] {
    fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        encode_fields(encoder, self, limit)
    }
}

impl<T: AnyFields + ?Sized> AnyFields for &T {
    fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        (**self).encode(encoder, limit)
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

/// Runs `$body` with each of the items of an array of `N`, the first eight one after the other
/// without a loop and without a closure: the compiler then sees what is in each.
macro_rules! unrolled {
    ($item:ident of $array:expr => $body:expr) => {
        unrolled!(@ $item $array, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $item:ident $array:expr, $body:expr, $($at:literal)*) => {
        $(if N > $at { let $item = &$array[$at]; $body; })*
        for $item in $array.iter().skip(8) { $body; }
    };
}

// SAFETY: as for slices.
unsafe impl<const N: usize> PlainFields for [Field<'_>; N] {
    #[inline(always)]
    fn count(&self) -> usize {
        N
    }

    #[inline(always)]
    unsafe fn write_plain(
        &self,
        mut to: *mut u8,
        end: *mut u8,
        max_string: usize,
    ) -> Option<(NonNull<u8>, u8)> {
        let mut size = 0;
        unrolled!(field of self => size += plain_size(field, max_string));
        if size > end as usize - to as usize {
            return None;
        }
        // SAFETY: there is room for all of them, one after the other.
        unrolled!(field of self => to = unsafe { write_plain(field, to) });
        NonNull::new(to).map(|end| (end, 0))
    }
}

impl<const N: usize> KnownFields for [Field<'_>; N] {
    type Kept<'a>
        = Self
    where
        Self: 'a;

    #[inline(always)]
    fn keep(&self) -> Self {
        *self
    }
}
