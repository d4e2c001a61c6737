//! What has been recorded, as Python has it.

use coati_core::intern;
use coati_core::record::read::Value;
use coati_core::record::value::Key;
use coati_core::span::Body;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyTuple};

use crate::convert::Owned;

/// The attributes of a span: copied, so that objects can be made of them while the span is free.
pub fn attributes(body: &Body) -> Vec<(String, Owned)> {
    let name = |key: Key<'_>| match key {
        Key::Id(id) => intern::text(id).unwrap_or_default().to_owned(),
        Key::Text(text) => text.to_owned(),
    };
    body.attributes().map(|(key, value)| (name(key), owned(value))).collect()
}

fn owned(value: Value<'_>) -> Owned {
    match value {
        Value::Null => Owned::Null,
        Value::Bool(value) => Owned::Bool(value),
        Value::I64(value) => Owned::I64(value),
        Value::U64(value) => Owned::U64(value),
        Value::F64(value) => Owned::F64(value),
        Value::Str(text, 0) => Owned::Str(text.to_owned().into()),
        Value::Str(text, more) => Owned::Str(format!("{text}…[+{more} bytes]").into()),
        Value::BigInt(digits) => Owned::Digits(digits.to_owned()),
        Value::Bytes(bytes) => Owned::Bytes(bytes.to_owned()),
        Value::List(list) => Owned::List(list.map(owned).collect()),
        Value::Map(map) => Owned::Map(map.map(|(name, v)| (name.to_owned(), owned(v))).collect()),
    }
}

/// A dict of attributes.
pub fn dict<'py>(py: Python<'py>, pairs: &[(String, Owned)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in pairs {
        dict.set_item(name, object(py, value)?)?;
    }
    Ok(dict)
}

fn object<'py>(py: Python<'py>, value: &Owned) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Owned::Null => py.None().into_bound(py),
        Owned::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Owned::I64(value) => value.into_pyobject(py)?.into_any(),
        Owned::U64(value) => value.into_pyobject(py)?.into_any(),
        Owned::F64(value) => value.into_pyobject(py)?.into_any(),
        Owned::Str(text) => (**text).into_pyobject(py)?.into_any(),
        Owned::Digits(digits) => py.get_type::<PyInt>().call1((digits,))?,
        Owned::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Owned::List(values) => {
            let items = values.iter().map(|value| object(py, value));
            PyTuple::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Owned::Map(pairs) => dict(py, pairs)?.into_any(),
    })
}
