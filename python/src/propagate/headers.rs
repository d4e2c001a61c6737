//! Headers as frameworks have them: mappings, objects with `get` or `items`, lists of pairs; text
//! or bytes, one value or several.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::text;

/// The values found, in order.
#[derive(Default)]
pub struct Found {
    pub traceparent: Vec<String>,
    pub tracestate: Vec<String>,
}

impl Found {
    fn add(&mut self, name: &str, value: &Bound<'_, PyAny>) {
        let place = if name.eq_ignore_ascii_case("traceparent") {
            &mut self.traceparent
        } else if name.eq_ignore_ascii_case("tracestate") {
            &mut self.tracestate
        } else {
            return;
        };
        if let Some(value) = string(value) {
            place.push(value);
        } else if let Ok(values) = value.cast::<PyList>() {
            place.extend(values.iter().filter_map(|value| string(&value)));
        } else if let Ok(values) = value.cast::<PyTuple>() {
            place.extend(values.iter().filter_map(|value| string(&value)));
        }
    }
}

/// What `headers` say. Whatever cannot be read says nothing.
pub fn find(headers: &Bound<'_, PyAny>) -> PyResult<Found> {
    let mut found = Found::default();
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

fn read(found: &mut Found, pairs: &Bound<'_, PyAny>) -> PyResult<()> {
    for pair in pairs.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        if let Some(name) = string(&name) {
            found.add(&name, &value);
        }
    }
    Ok(())
}

fn ask(found: &mut Found, get: &Bound<'_, PyAny>) -> PyResult<()> {
    for name in ["traceparent", "tracestate"] {
        let value = get.call1((name,))?;
        if !value.is_none() {
            found.add(name, &value);
        }
    }
    Ok(())
}

fn string(object: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(string) = object.cast::<PyString>() {
        // SAFETY: a `str` that lives over the call.
        return unsafe { text::utf8(string.as_ptr()) }.map(str::to_owned);
    }
    let bytes = object.cast::<PyBytes>().ok()?;
    std::str::from_utf8(bytes.as_bytes()).ok().map(str::to_owned)
}
