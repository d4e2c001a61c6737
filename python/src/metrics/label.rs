//! Labels as Python hands them over.

use coati_core::metrics::{Label, OwnedValue};
use pyo3::prelude::*;

use crate::convert::{Owned, convert, printed};
use crate::raw::Args;
use crate::text;

/// Labels that own their texts where they have to.
pub struct Labels(Vec<(String, OwnedValue)>);

impl Labels {
    /// The keyword arguments of a call.
    pub fn read(py: Python<'_>, args: &Args) -> PyResult<Self> {
        let pairs = args.values().iter().enumerate().map(|(index, &object)| {
            // SAFETY: names are `str`; they and the values live over the call.
            unsafe {
                let name = text::name(args.name(index));
                Ok((name, label_value(&Bound::from_borrowed_ptr(py, object))?))
            }
        });
        pairs.collect::<PyResult<_>>().map(Self)
    }

    /// The pairs of a mapping.
    pub fn of_mapping(mapping: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut labels = Vec::new();
        for item in mapping.call_method0("items")?.try_iter()? {
            let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item?.extract()?;
            labels.push((printed(&name)?.into_name(), label_value(&value)?));
        }
        Ok(Self(labels))
    }

    /// Names and values by turns.
    pub fn of_pairs(pairs: &[Bound<'_, PyAny>]) -> PyResult<Self> {
        let pairs = pairs.chunks_exact(2).map(|pair| {
            let name = printed(&pair[0])?.into_name();
            Ok((name, label_value(&pair[1])?))
        });
        pairs.collect::<PyResult<_>>().map(Self)
    }

    /// No labels.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Calls `f` with the labels as the store takes them.
    pub fn with<R>(&self, f: impl FnOnce(&[Label<'_>]) -> R) -> R {
        let borrowed: Vec<Label<'_>> =
            self.0.iter().map(|(name, value)| (&**name, value.borrowed())).collect();
        f(&borrowed)
    }
}

fn label_value(object: &Bound<'_, PyAny>) -> PyResult<OwnedValue> {
    Ok(match convert(object)? {
        Owned::Str(text) => OwnedValue::Str(text.into_name().into()),
        Owned::Digits(text) => OwnedValue::Str(text.into()),
        Owned::I64(value) => OwnedValue::Int(value),
        Owned::U64(value) => OwnedValue::Str(value.to_string().into()),
        Owned::F64(value) => OwnedValue::Float(value),
        Owned::Bool(value) => OwnedValue::Bool(value),
        _ => OwnedValue::Str(printed(object)?.into_name().into()),
    })
}
