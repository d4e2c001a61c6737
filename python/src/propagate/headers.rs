//! Headers as frameworks have them: mappings, objects with `get` or `items`, lists of pairs; text
//! or bytes, one value or several.

use coati_core::propagate::{Format, Headers};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::text;

/// What `headers` say. Whatever cannot be read says nothing.
pub fn find(headers: &Bound<'_, PyAny>) -> PyResult<Headers> {
    let mut found = Headers::default();
    if headers.is_none() {
        return Ok(found);
    }
    let read = match headers.getattr_opt("items") {
        Ok(Some(items)) => items.call0().and_then(|pairs| read(&mut found, &pairs)),
        Ok(None) => match headers.getattr_opt("get") {
            Ok(Some(get)) => ask(&mut found, &get),
            _ => read(&mut found, headers),
        },
        Err(error) => Err(error),
    };
    read.or_else(|error| crate::convert::tolerate(headers.py(), error))?;
    Ok(found)
}

fn read(found: &mut Headers, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
    for pair in pairs.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        if let Some(name) = string(&name) {
            add(found, name, &value);
        }
    }
    Ok(())
}

fn ask(found: &mut Headers, get: &Bound<'_, PyAny>) -> PyResult<()> {
    let names = Format::ALL.into_iter().flat_map(Format::fields);
    for name in names.chain(&["x-b3-flags"]) {
        let value = get.call1((*name,))?;
        if !value.is_none() {
            add(found, name, &value);
        }
    }
    Ok(())
}

fn add(found: &mut Headers, name: &str, value: &Bound<'_, PyAny>) {
    let mut one = |value: &Bound<'_, PyAny>| {
        if let Some(value) = string(value) {
            found.add(name, value);
        }
    };
    if let Ok(values) = value.cast::<PyList>() {
        values.iter().for_each(|value| one(&value));
    } else if let Ok(values) = value.cast::<PyTuple>() {
        values.iter().for_each(|value| one(&value));
    } else {
        one(value);
    }
}

/// The text of a `str` or of bytes.
pub fn string<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a str> {
    if let Ok(string) = object.cast::<PyString>() {
        // SAFETY: a `str` that is borrowed for as long as its text.
        return unsafe { text::utf8(string.as_ptr()) };
    }
    std::str::from_utf8(object.cast::<PyBytes>().ok()?.as_bytes()).ok()
}
