//! Python values that need conversion. Foreign code runs here and nowhere later: what comes out is
//! plain data that can be encoded as often as need be.

mod integer;
mod kinds;

use std::collections::HashSet;

use coati_core::intern::Id;
use coati_core::record::Tag;
use coati_core::record::value::{Key, Value};
use coati_core::record::write::Encoder;
use coati_export::encode::json::base64;
use pyo3::exceptions::PyException;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple,
};

use crate::text::{self, Text};
use crate::{hub, value};

/// A converted value.
#[derive(Debug)]
pub enum Owned {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(Text),
    Digits(String),
    Bytes(Vec<u8>),
    List(Vec<Owned>),
    Map(Vec<(String, Owned)>),
}

/// How deep containers may stand in each other.
const MAX_DEPTH: usize = 16;
/// How many values one field may hold. A few such fields fit into a record.
const MAX_VALUES: usize = 1 << 12;

/// Converts `object`. The only errors are exceptions that are no `Exception`: they are the
/// program's own affair.
pub fn convert(object: &Bound<'_, PyAny>) -> PyResult<Owned> {
    Converter::default().convert(object)
}

/// Converts `object` to text.
pub fn convert_text(object: &Bound<'_, PyAny>) -> PyResult<Text> {
    Ok(match convert(object)? {
        Owned::Str(text) => text,
        Owned::Digits(text) => text.into(),
        Owned::I64(number) => number.to_string().into(),
        Owned::U64(number) => number.to_string().into(),
        _ => printed(object)?,
    })
}

/// The text of `object`, what `str` makes of it where it is none.
pub fn printed(object: &Bound<'_, PyAny>) -> PyResult<Text> {
    match object.str() {
        Ok(string) => Ok(Text::of(&string)),
        Err(error) => {
            tolerate(object.py(), error)?;
            Ok(unprintable(object))
        }
    }
}

/// What stands for a value that does not let itself be read.
pub fn unprintable(object: &Bound<'_, PyAny>) -> Text {
    format!("<unprintable {}>", kinds::type_name(object)).into()
}

/// Lets an `Exception` pass as nothing, and any other one on to the caller.
pub fn tolerate(py: Python<'_>, error: PyErr) -> PyResult<()> {
    if error.is_instance_of::<PyException>(py) { Ok(()) } else { Err(error) }
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::I64(value) => Self::I64(value),
            Value::U64(value) => Self::U64(value),
            Value::F64(value) => Self::F64(value),
            Value::Str(value) => Self::Str(value.to_owned().into()),
            Value::Bytes(value) => Self::Bytes(value.into()),
        }
    }
}

#[derive(Default)]
struct Converter {
    /// The containers around the value at hand.
    around: Vec<*mut PyObject>,
    values: usize,
}

impl Converter {
    fn convert(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Owned> {
        if let Ok(string) = object.cast_exact::<PyString>() {
            return Ok(Owned::Str(Text::of(string)));
        }
        // SAFETY: a live object.
        if let Some(simple) = unsafe { value::simple(object.as_ptr()) } {
            return Ok(simple.into());
        }
        match self.known(object) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => printed(object).map(Owned::Str),
            Err(error) => {
                tolerate(object.py(), error)?;
                Ok(Owned::Str(unprintable(object)))
            }
        }
    }

    /// Values of the types that are more than their text.
    fn known(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Option<Owned>> {
        let py = object.py();
        if let Some(value) = kinds::of_library(py, object)? {
            return match value {
                kinds::Known::Text(text) => Ok(Some(Owned::Str(text.into()))),
                kinds::Known::Stands(inner) => self.inside(object, |this| this.convert(&inner)),
            };
        }
        if object.is_instance_of::<PyBool>() {
            return Ok(Some(Owned::Bool(object.is_truthy()?)));
        }
        if let Ok(int) = object.cast::<PyInt>() {
            // SAFETY: an `int`.
            return Ok(Some(match unsafe { value::integer(int.as_ptr()) } {
                Some(value) => value.into(),
                None => integer::decimal(int)?,
            }));
        }
        if let Ok(string) = object.cast::<PyString>() {
            return Ok(Some(Owned::Str(Text::of(string))));
        }
        if let Ok(float) = object.cast::<PyFloat>() {
            return Ok(Some(Owned::F64(float.value())));
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Some(binary(bytes.as_bytes())));
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            // SAFETY: no other code runs while the slice is used.
            return Ok(Some(binary(unsafe { bytes.as_bytes() })));
        }
        if let Ok(list) = object.cast::<PyList>() {
            // Conversion may run code that changes the list.
            let len = list.len();
            return self.list(object, &list.get_slice(0, MAX_VALUES + 1).to_tuple(), len);
        }
        if let Ok(tuple) = object.cast::<PyTuple>() {
            return self.list(object, tuple, tuple.len());
        }
        if let Ok(dict) = object.cast::<PyDict>() {
            return self.map(object, dict);
        }
        Ok(None)
    }

    fn list(
        &mut self,
        of: &Bound<'_, PyAny>,
        items: &Bound<'_, PyTuple>,
        len: usize,
    ) -> PyResult<Option<Owned>> {
        self.inside(of, |this| {
            let mut list = Vec::with_capacity(len.min(MAX_VALUES));
            for item in items.iter_borrowed() {
                if !this.has_room() {
                    let left_out = len - list.len();
                    list.push(Owned::Str(format!("…[+{left_out} items]").into()));
                    break;
                }
                list.push(this.convert(&item)?);
            }
            Ok(Owned::List(list))
        })
    }

    fn map(&mut self, of: &Bound<'_, PyAny>, dict: &Bound<'_, PyDict>) -> PyResult<Option<Owned>> {
        // Conversion may run code that changes the dict.
        let len = dict.len();
        let pairs: Vec<_> = dict.iter().take(MAX_VALUES + 1).collect();
        self.inside(of, |this| {
            let mut map: Vec<(String, Owned)> = Vec::with_capacity(pairs.len().min(MAX_VALUES));
            let mut odd = false;
            for (key, value) in &pairs {
                if !this.has_room() {
                    let left_out = len - map.len();
                    map.push(("…".into(), Owned::Str(format!("…[+{left_out} items]").into())));
                    break;
                }
                let (name, value) = (printed(key)?.into_name(), this.convert(value)?);
                odd |= !is_plain(key);
                map.push((name, value));
            }
            if odd {
                // Keys that differ may have one text; the last counts, as for a dict.
                let mut seen = HashSet::new();
                map.reverse();
                map.retain(|(name, _)| seen.insert(name.clone()));
                map.reverse();
            }
            Ok(Owned::Map(map))
        })
    }

    fn has_room(&mut self) -> bool {
        self.values += 1;
        self.values <= MAX_VALUES
    }

    /// Converts what is inside `container`, unless it is inside itself or too deep.
    fn inside(
        &mut self,
        container: &Bound<'_, PyAny>,
        convert: impl FnOnce(&mut Self) -> PyResult<Owned>,
    ) -> PyResult<Option<Owned>> {
        if self.around.contains(&container.as_ptr()) {
            return Ok(Some(Owned::Str("<cycle>".to_owned().into())));
        }
        if self.around.len() >= MAX_DEPTH {
            return Ok(Some(Owned::Str("<too deep>".to_owned().into())));
        }
        self.around.push(container.as_ptr());
        let converted = convert(self);
        self.around.pop();
        converted.map(Some)
    }
}

/// Bytes, of which only what can be kept is copied; cut ones say so as text does.
fn binary(bytes: &[u8]) -> Owned {
    /// More than the mark is long.
    const MARK: usize = 64;
    let limit = hub::bounds().string;
    if bytes.len().div_ceil(3) * 4 <= limit {
        return Owned::Bytes(bytes.to_vec());
    }
    let (kept, left_out) = bytes.split_at(limit.saturating_sub(MARK) / 4 * 3);
    let mut quoted = Vec::new();
    base64(kept, &mut quoted);
    let quoted = String::from_utf8_lossy(&quoted);
    Owned::Str(format!("{}…[+{} bytes]", quoted.trim_matches('"'), left_out.len()).into())
}

/// Whether a key of a dict is recorded as it is, so that no other one comes out the same.
fn is_plain(key: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a `str` that lives over the call.
    key.is_exact_instance_of::<PyString>() && unsafe { text::utf8(key.as_ptr()) }.is_some()
}

const UNNAMED: Key<'static> = Key::Id(Id(0));

impl Owned {
    /// Writes the value under `key`; `false` where there is no room.
    pub fn encode(&self, encoder: &mut Encoder<'_>, key: Key<'_>) -> bool {
        let simple = match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::I64(value) => Value::I64(*value),
            Self::U64(value) => Value::U64(*value),
            Self::F64(value) => Value::F64(*value),
            Self::Str(value) => Value::Str(value),
            Self::Bytes(value) => Value::Bytes(value),
            Self::Digits(value) => {
                return encoder.bytes_field(key, Tag::BigInt, value.as_bytes());
            }
            Self::List(values) => {
                return encoder.nested(key, Tag::List, |encoder| {
                    for value in values {
                        value.encode(encoder, UNNAMED);
                    }
                });
            }
            Self::Map(pairs) => {
                return encoder.nested(key, Tag::Map, |encoder| {
                    for (name, value) in pairs {
                        encoder.field((UNNAMED, Value::Str(name)));
                        value.encode(encoder, UNNAMED);
                    }
                });
            }
        };
        encoder.field((key, simple))
    }
}
