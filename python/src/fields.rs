//! Fields of a call: keyword names and values, in the form that can be recorded.

use std::mem::MaybeUninit;

use coati_core::intern::Id;
use coati_core::log::encode_fields;
use coati_core::record::details::Details;
use coati_core::record::read::Fields;
use coati_core::record::value::{Field, Key};
use coati_core::record::words::Words;
use coati_core::record::write::Encoder;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{Owned, convert, printed, tolerate, unprintable};
use crate::raw::Args;
use crate::{hub, names, text, value};

/// Calls with more fields take the long way.
const INLINE: usize = 16;

/// The fields of a call whose values need no conversion, on the stack.
pub struct Simple<'a> {
    fields: [MaybeUninit<Field<'a>>; INLINE],
    len: usize,
}

impl<'a> Simple<'a> {
    /// No fields yet.
    #[inline(always)]
    pub fn new() -> Self {
        Self { fields: [const { MaybeUninit::uninit() }; INLINE], len: 0 }
    }

    /// Reads the fields of `args`; `false` where one needs conversion or they are too many. In
    /// place: moving them would cost more than reading them.
    #[inline(always)]
    pub fn read(&mut self, args: &'a Args) -> bool {
        let values = args.values();
        if values.is_empty() {
            return true;
        }
        if values.len() > INLINE {
            return false;
        }
        for (place, &object) in self.fields.iter_mut().zip(values) {
            // SAFETY: the caller of the method holds its arguments until it returns.
            let Some(value) = (unsafe { value::simple(object) }) else { return false };
            place.write((UNKNOWN, value));
        }
        for (place, &key) in self.fields.iter_mut().zip(names::of(args.names).keys()) {
            // SAFETY: written above: there are as many names as values.
            unsafe { place.assume_init_mut() }.0 = key;
        }
        self.len = values.len();
        true
    }

    /// Reads the pairs of a dict; `None` where one needs conversion or they are too many, `Some` of
    /// whether a key is an attribute of the standard library's log records.
    ///
    /// # Safety
    /// `dict` is an exact `dict` that nobody changes while `self` is in use.
    #[inline(always)]
    pub unsafe fn read_dict(&mut self, dict: *mut ffi::PyObject) -> Option<bool> {
        let (mut position, mut some_taken) = (0, false);
        let (mut name, mut object) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a dict; names and values are borrowed from it, and no foreign code runs.
        while unsafe { ffi::PyDict_Next(dict, &mut position, &mut name, &mut object) } != 0 {
            let place = self.fields.get_mut(self.len)?;
            // SAFETY: live objects, as above.
            let ((key, taken), value) = unsafe { (names::single(name)?, value::simple(object)?) };
            place.write((key, value));
            some_taken |= taken;
            self.len += 1;
        }
        Some(some_taken)
    }

    /// The fields.
    #[inline(always)]
    pub fn all(&self) -> &[Field<'a>] {
        // SAFETY: the first `len` places have been written.
        unsafe { std::slice::from_raw_parts(self.fields.as_ptr().cast(), self.len) }
    }
}

const UNKNOWN: Key<'static> = Key::Id(Id(0));

/// Fields encoded once and copied into each record.
#[derive(Debug, Default)]
pub struct Layer {
    words: Words,
    count: u32,
    /// Fields that found no room.
    dropped: u32,
}

impl Layer {
    /// Fields whose values have been converted.
    pub fn of(fields: &[(Key<'_>, Owned)]) -> Self {
        let mut layer = Self::default();
        for (key, value) in fields {
            layer.push(|encoder| value.encode(encoder, *key));
        }
        layer
    }

    /// The fields of a call, whatever their values.
    pub fn convert(py: Python<'_>, args: &Args) -> PyResult<Self> {
        let values = args
            .values()
            .iter()
            // SAFETY: the caller of the method holds its arguments until it returns.
            .map(|&object| convert(&unsafe { Bound::from_borrowed_ptr(py, object) }))
            .collect::<PyResult<Vec<_>>>()?;
        if values.is_empty() {
            return Ok(Self::default());
        }
        let mut layer = Self::default();
        for (key, value) in names::of(args.names).keys().iter().zip(&values) {
            layer.push(|encoder| value.encode(encoder, *key));
        }
        Ok(layer)
    }

    /// The pairs of a mapping given as `attributes`, nothing for `None`.
    pub fn of_mapping(mapping: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(String, Owned)>> {
        let Some(mapping) = mapping.filter(|mapping| !mapping.is_none()) else {
            return Ok(Vec::new());
        };
        let mut pairs = Vec::new();
        if let Err(error) = read_mapping(mapping, &mut pairs) {
            tolerate(mapping.py(), error)?;
            pairs.push(("…".into(), Owned::Str(unprintable(mapping))));
        }
        Ok(pairs)
    }

    /// The attributes of an event or link: those of a mapping, then those of the call but for the
    /// keyword `except`.
    pub fn gather(
        py: Python<'_>,
        mapping: Option<&Bound<'_, PyAny>>,
        args: &Args,
        except: &[&str],
    ) -> PyResult<Self> {
        let mut layer = Self::default();
        for (key, value) in pairs(py, mapping, args, except)? {
            layer.push(|encoder| value.encode(encoder, Key::new(&key)));
        }
        Ok(layer)
    }

    /// Adds the field that `encode` writes.
    pub fn push(&mut self, encode: impl Fn(&mut Encoder<'_>) -> bool) {
        let bounds = hub::bounds();
        match self.words.append(bounds.record, bounds.string, encode) {
            Some(_) => self.count += 1,
            None => self.dropped += 1,
        }
    }

    /// The fields of `below`, then those of `self`.
    pub fn over(&self, below: &Self) -> Self {
        let mut both = Self::default();
        for layer in [below, self] {
            let bounds = hub::bounds();
            let bytes = layer.words.bytes();
            match both.words.append(bounds.record, bounds.string, |encoder| encoder.copy(bytes)) {
                Some(_) => both.count += layer.count,
                None => both.dropped += layer.count,
            }
            both.dropped += layer.dropped;
        }
        both
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count + self.dropped == 0
    }

    /// The fields.
    pub fn fields(&self) -> Fields<'_> {
        Fields::over(self.words.bytes(), self.count)
    }

    /// Copies the first `limit` fields; how many were written and how many left out.
    #[inline]
    pub fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        if self.count > limit {
            return self.encode_some(encoder, limit);
        }
        if encoder.copy(self.words.bytes()) {
            (self.count, self.dropped)
        } else {
            (0, self.count + self.dropped)
        }
    }

    #[cold]
    fn encode_some(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        let bytes = self.words.bytes();
        let mut fields = self.fields();
        let kept = fields.by_ref().take(limit as usize).count() as u32;
        let left_out = self.count - kept + self.dropped;
        if encoder.copy(&bytes[..bytes.len() - fields.bytes_left()]) {
            (kept, left_out)
        } else {
            (0, self.count + self.dropped)
        }
    }
}

/// Reads pairs as far as that goes.
fn read_mapping(mapping: &Bound<'_, PyAny>, pairs: &mut Vec<(String, Owned)>) -> PyResult<()> {
    let items = match mapping.cast_exact::<PyDict>() {
        Ok(dict) => dict.items().into_any(),
        Err(_) => mapping.call_method0("items")?,
    };
    for item in items.try_iter()? {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
        pairs.push((printed(&key)?.into_name(), convert(&value)?));
    }
    Ok(())
}

/// Attributes by name: those of a mapping, then those of the call but for the keywords `except`.
pub fn pairs(
    py: Python<'_>,
    mapping: Option<&Bound<'_, PyAny>>,
    args: &Args,
    except: &[&str],
) -> PyResult<Vec<(String, Owned)>> {
    let mut pairs = Layer::of_mapping(mapping)?;
    for (index, &value) in args.values().iter().enumerate() {
        // SAFETY: names are `str`; they and the values live over the call.
        let (name, value) =
            unsafe { (text::name(args.name(index)), Bound::from_borrowed_ptr(py, value)) };
        if !except.contains(&&*name) {
            pairs.push((name, convert(&value)?));
        }
    }
    // Of equal names the last counts.
    let mut seen = std::collections::HashSet::new();
    let mut unique: Vec<_> =
        pairs.into_iter().rev().filter(|(name, _)| seen.insert(name.clone())).collect();
    unique.reverse();
    Ok(unique)
}

/// Fields of several layers, one after another, within one limit.
pub struct Layers<'a> {
    /// What OpenTelemetry says of the line; it stands first and is not counted against the limit.
    pub details: Option<&'a Details<'a>>,
    /// The message as a value; it stands next and is not counted either.
    pub body: Option<&'a Layer>,
    pub context: Option<&'a Layer>,
    pub bound: Option<&'a Layer>,
    pub call: Call<'a>,
    pub exception: Option<&'a Layer>,
}

/// The fields of the call itself.
pub enum Call<'a> {
    Simple(&'a [Field<'a>]),
    Converted(&'a Layer),
}

impl Layers<'_> {
    /// Whether equal keys may stand in it.
    #[inline(always)]
    pub fn is_layered(&self) -> bool {
        self.context.is_some() || self.bound.is_some()
    }

    /// Writes all; how many were written and how many left out.
    #[inline(always)]
    pub fn encode(&self, encoder: &mut Encoder<'_>, limit: u32) -> (u32, u32) {
        let details = self.details.map_or(0, |details| u32::from(details.encode(encoder)));
        let body = details + self.body.map_or(0, |body| body.encode(encoder, u32::MAX).0);
        let (mut written, mut dropped) = (0, 0);
        let mut add = |(more, fewer): (u32, u32)| {
            written += more;
            dropped += fewer;
            limit.saturating_sub(written)
        };
        let mut left = limit;
        for layer in [self.context, self.bound].into_iter().flatten() {
            left = add(layer.encode(encoder, left));
        }
        left = match self.call {
            Call::Simple(fields) => add(encode_fields(encoder, fields, left)),
            Call::Converted(layer) => add(layer.encode(encoder, left)),
        };
        if let Some(exception) = self.exception {
            // What went wrong is not counted against the caller's own fields.
            let _ = left;
            add(exception.encode(encoder, u32::MAX));
        }
        (body + written, dropped)
    }
}
