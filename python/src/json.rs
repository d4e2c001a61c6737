//! JSON values to Python and back.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::Value;

use crate::convert::{Owned, convert};

/// `value` as Python has it.
pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => value.into_pyobject(py)?.into_any(),
            (None, Some(value)) => value.into_pyobject(py)?.into_any(),
            (None, None) => number.as_f64().into_pyobject(py)?.into_any(),
        },
        Value::String(text) => text.into_pyobject(py)?.into_any(),
        Value::Array(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(to_python(py, value)?)?;
            }
            list.into_any()
        }
        Value::Object(pairs) => {
            let dict = PyDict::new(py);
            for (name, value) in pairs {
                dict.set_item(name, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// A Python value as JSON, converted as a field would be.
pub fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    convert(object).map(Value::from)
}

impl From<Owned> for Value {
    fn from(value: Owned) -> Self {
        match value {
            Owned::Null => Self::Null,
            Owned::Bool(value) => value.into(),
            Owned::I64(value) => value.into(),
            Owned::U64(value) => value.into(),
            Owned::F64(value) => value.into(),
            Owned::Str(text) => text.into_name().into(),
            Owned::Digits(text) => text.into(),
            Owned::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
            Owned::List(values) => values.into_iter().map(Self::from).collect(),
            Owned::Map(pairs) => {
                pairs.into_iter().map(|(name, value)| (name, Self::from(value))).collect()
            }
        }
    }
}
