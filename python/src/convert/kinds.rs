//! Types of the standard library that stand for something else than their text. A module that the
//! program has not imported cannot have made a value, so none is imported for this.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// What such a value is recorded as.
pub enum Known<'py> {
    Text(String),
    /// As this value.
    Stands(Bound<'py, PyAny>),
}

/// A class that is looked up once its module is there.
struct Lazy {
    module: &'static str,
    name: &'static str,
    class: PyOnceLock<Py<PyType>>,
}

impl Lazy {
    const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, class: PyOnceLock::new() }
    }

    fn holds(&self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = object.py();
        if self.class.get(py).is_none() {
            // SAFETY: a borrowed reference to the dict of modules, which always exists.
            let modules = unsafe { Bound::from_borrowed_ptr(py, ffi::PyImport_GetModuleDict()) };
            let Some(module) = modules.cast::<PyDict>()?.get_item(self.module)? else {
                return Ok(false);
            };
            // A module in the middle of its own import may not have it yet.
            let Some(class) = module.getattr_opt(self.name)? else { return Ok(false) };
            let _ = self.class.set(py, class.cast_into::<PyType>()?.unbind());
        }
        self.class.get(py).map_or(Ok(false), |class| object.is_instance(class.bind(py)))
    }
}

static ENUM: Lazy = Lazy::new("enum", "Enum");
static DATETIME: Lazy = Lazy::new("datetime", "datetime");
static UUID: Lazy = Lazy::new("uuid", "UUID");
static PATH: Lazy = Lazy::new("pathlib", "PurePath");

/// What `object` is recorded as, if it is of one of these types.
pub fn of_library<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
) -> PyResult<Option<Known<'py>>> {
    if ENUM.holds(object)? {
        return object.getattr("value").map(|value| Some(Known::Stands(value)));
    }
    if DATETIME.holds(object)? {
        return rfc3339(py, object).map(|text| Some(Known::Text(text)));
    }
    if UUID.holds(object)? || PATH.holds(object)? {
        return super::printed(object).map(|text| Some(Known::Text(text.into_name())));
    }
    Ok(None)
}

/// RFC 3339; one without a time zone is local time, as everywhere in Python.
fn rfc3339(py: Python<'_>, datetime: &Bound<'_, PyAny>) -> PyResult<String> {
    let zoned = if datetime.call_method0("utcoffset")?.is_none() {
        match datetime.call_method0("astimezone") {
            Ok(zoned) => zoned,
            Err(error) => {
                // Years that the operating system knows no local time for.
                super::tolerate(py, error)?;
                datetime.clone()
            }
        }
    } else {
        datetime.clone()
    };
    zoned.call_method0("isoformat")?.extract()
}

/// The name of the type of `object`.
pub fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string())
}
