//! Where headers are written: mappings, objects with items, lists of pairs, environments.

use coati_core::propagate::{Context, Formats};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::headers::string;

/// Something that takes headers.
pub struct Carrier<'a, 'py> {
    pub headers: &'a Bound<'py, PyAny>,
    /// Names are those of environment variables.
    environ: bool,
}

impl<'a, 'py> Carrier<'a, 'py> {
    /// `headers`, an environment where it says so or is that of this process.
    pub fn of(headers: &'a Bound<'py, PyAny>, environ: Option<bool>) -> PyResult<Self> {
        let environ = match environ {
            Some(environ) => environ,
            None => is_environ(headers)?,
        };
        Ok(Self { headers, environ })
    }

    /// Writes the headers of a context.
    pub fn inject(&self, formats: Formats, context: &Context) -> PyResult<()> {
        let mut all = Vec::new();
        formats.inject(context, &mut |name, value| all.push((name.to_owned(), value.to_owned())));
        all.iter().try_for_each(|(name, value)| self.set(name, value))
    }

    fn set(&self, name: &str, value: &str) -> PyResult<()> {
        match self.headers.cast::<PyList>() {
            Ok(list) => replace(list, name, value),
            Err(_) if self.environ => {
                self.headers.set_item(name.to_ascii_uppercase().replace('-', "_"), value)
            }
            Err(_) => self.headers.set_item(name, value),
        }
    }
}

fn is_environ(headers: &Bound<'_, PyAny>) -> PyResult<bool> {
    let environ = headers.py().import("os")?.getattr("environ")?;
    Ok(headers.is(&environ) || headers.is(headers.py().import("os")?.getattr("environb")?))
}

/// Sets a header in a list of pairs, which are bytes where the first one is (ASGI).
fn replace(list: &Bound<'_, PyList>, name: &str, value: &str) -> PyResult<()> {
    fn name_of<'py>(pair: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        pair.get_item(0).ok()
    }
    let is_bytes = list.iter().next().and_then(|first| name_of(&first));
    let is_bytes = is_bytes.is_some_and(|name| name.is_instance_of::<PyBytes>());
    for index in (0..list.len()).rev() {
        let other = name_of(&list.get_item(index)?);
        let same = other.as_ref().and_then(string).is_some_and(|n| n.eq_ignore_ascii_case(name));
        if same {
            list.del_item(index)?;
        }
    }
    match is_bytes {
        true => list.append((
            PyBytes::new(list.py(), name.as_bytes()),
            PyBytes::new(list.py(), value.as_bytes()),
        )),
        false => list.append((name, value)),
    }
}
