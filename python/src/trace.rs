//! `coati.trace`: a span around each call of a function.

mod asyncgen;
mod driver;
mod function;
mod routine;

use std::ffi::{CStr, c_int, c_void};

use coati_core::record::value::Key;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::PyString;

pub use routine::{attribute_of, call};

use crate::convert::Owned;
use crate::fields::{Layer, pairs};
use crate::raw::{self, Args, Class, Raw};
use crate::text;
use crate::tracer::Tracer;

/// How a function's span is to be.
struct Plan {
    name: Option<String>,
    attributes: Vec<(String, Owned)>,
}

/// What `coati.trace("name", agent="a1")` gives: a decorator.
struct Decorator(Plan);

static CLASS: Class = Class::new();

impl Raw for Decorator {
    const NAME: &'static CStr = c"coati._native.Decorator";
    const DOC: &'static CStr = c"Decorates a function, made by `coati.trace`.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![raw::slot(ffi::Py_tp_call, apply as *mut c_void)]
    }
}

/// Makes the classes.
pub fn make(py: Python<'_>) -> PyResult<()> {
    raw::make::<Decorator>(py)?;
    raw::make::<function::Traced>(py)?;
    raw::make::<routine::Routine<{ routine::COROUTINE }>>(py)?;
    raw::make::<routine::Routine<{ routine::GENERATOR }>>(py)?;
    raw::make::<asyncgen::AsyncGenerator>(py)?;
    raw::make::<asyncgen::Step>(py)?;
    Ok(())
}

/// `trace(function_or_name=None, /, **attributes)`
pub unsafe extern "C" fn trace(
    _: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect_range("trace", 0, 1)?;
        let given = args.find(py, 0, "").filter(|given| !given.is_none());
        let attributes = pairs(py, None, &args, &[])?;
        let plan = |name| Plan { name, attributes };
        match given {
            Some(given) => match given.cast::<PyString>() {
                Ok(name) => {
                    // SAFETY: a `str` that lives over the call.
                    let name = unsafe { text::name(name.as_ptr()) };
                    Ok(raw::new(Decorator(plan(Some(name)))))
                }
                Err(_) => Ok(decorate(&given, &plan(None))?.into_ptr()),
            },
            None => Ok(raw::new(Decorator(plan(None)))),
        }
    })
}

unsafe extern "C" fn apply(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a method of this class, with a tuple and, or null, a dict.
        unsafe {
            if ffi::PyTuple_GET_SIZE(args) != 1 || !kwargs.is_null() {
                return Err(PyTypeError::new_err("the decorator takes one function"));
            }
            let function = Bound::from_borrowed_ptr(py, ffi::PyTuple_GET_ITEM(args, 0));
            Ok(decorate(&function, &raw::value::<Decorator>(this).0)?.into_ptr())
        }
    })
}

fn decorate<'py>(function: &Bound<'py, PyAny>, plan: &Plan) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    let builtins = py.import("builtins")?;
    for wrapper in ["staticmethod", "classmethod"] {
        let wrapper = builtins.getattr(wrapper)?;
        if function.is_instance(&wrapper)? {
            return wrapper.call1((decorate(&function.getattr("__func__")?, plan)?,));
        }
    }
    if !function.is_callable() {
        let found = function.get_type().name()?;
        return Err(PyTypeError::new_err(format!("trace needs a function or a name, not {found}")));
    }
    let part = |attribute| -> PyResult<Option<String>> {
        let value = function.getattr_opt(attribute)?;
        Ok(value.and_then(|value| value.extract().ok()))
    };
    let module = part("__module__")?.unwrap_or_default();
    let name = match &plan.name {
        Some(name) => name.clone(),
        None => {
            let own = match part("__qualname__")? {
                Some(name) => name,
                None => function.get_type().qualname()?.to_string(),
            };
            if module.is_empty() { own } else { format!("{module}.{own}") }
        }
    };
    let mut attributes = Layer::default();
    for (key, value) in &plan.attributes {
        attributes.push(|encoder| value.encode(encoder, Key::new(key)));
    }
    let tracer = Tracer::new(&module);
    function::Traced::object(function, kind(function)?, tracer, name, attributes)
}

/// What calling a function gives.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Value,
    Coroutine,
    Generator,
    AsyncGenerator,
}

/// Bits of a code object's flags.
const GENERATOR: c_int = 0x20;
const COROUTINE: c_int = 0x80;
const ITERABLE_COROUTINE: c_int = 0x100;
const ASYNC_GENERATOR: c_int = 0x200;

fn kind(function: &Bound<'_, PyAny>) -> PyResult<Kind> {
    let mut function = function.clone();
    // `functools.partial` and bound methods have the function inside.
    let code = loop {
        if let Some(code) = function.getattr_opt("__code__")? {
            break code;
        }
        let inside = match function.getattr_opt("__func__")? {
            Some(inside) => Some(inside),
            None => function.getattr_opt("func")?,
        };
        match inside.filter(|inside| inside.is_callable()) {
            Some(inside) => function = inside,
            None => return Ok(Kind::Value),
        }
    };
    let flags = code.getattr_opt("co_flags")?.and_then(|flags| flags.extract().ok()).unwrap_or(0);
    Ok(if flags & (COROUTINE | ITERABLE_COROUTINE) != 0 {
        Kind::Coroutine
    } else if flags & ASYNC_GENERATOR != 0 {
        Kind::AsyncGenerator
    } else if flags & GENERATOR != 0 {
        Kind::Generator
    } else {
        Kind::Value
    })
}
