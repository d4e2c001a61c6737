//! The short way of a call of the standard library's `logging`: where nobody but coati listens, no
//! `LogRecord` is made.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyList, PyType};

use crate::fields::Simple;
use crate::gil::Guarded;
use crate::hub::hub;
use crate::logger::{self, Logger};
use crate::raw::{self, Args};
use crate::{filtered, text};

/// What the short way has to know of a logger.
struct Known {
    /// A strong reference: its address cannot be given to another object.
    logger: Py<PyAny>,
    /// Raised whenever a logger or our handler changed; see [`changed`].
    epoch: u64,
    /// Lists of handlers and filters, of the logger and those above it, that must be empty.
    lists: Vec<Py<PyList>>,
    /// The logger of the same name.
    ours: Py<PyAny>,
    /// Our handler's level.
    level: i64,
}

const SLOTS: usize = 256;

static KNOWN: Guarded<[Option<Box<Known>>; SLOTS]> = Guarded::new([const { None }; SLOTS]);
static EPOCH: AtomicU64 = AtomicU64::new(1);

/// What `logging` has that is looked at in each call.
struct Library {
    namespace: Py<PyAny>,
    factory_name: Py<PyAny>,
    factory: Py<PyAny>,
    logger: Py<PyType>,
    root: Py<PyType>,
}

static LIBRARY: PyOnceLock<Library> = PyOnceLock::new();

fn library(py: Python<'_>) -> PyResult<&'static Library> {
    LIBRARY.get_or_try_init(py, || {
        let module = py.import("logging")?;
        let class = |name| Ok::<_, PyErr>(module.getattr(name)?.cast_into::<PyType>()?.unbind());
        Ok(Library {
            namespace: module.dict().into_any().unbind(),
            factory_name: pyo3::types::PyString::intern(py, "_logRecordFactory")
                .into_any()
                .unbind(),
            factory: module.getattr("LogRecord")?.unbind(),
            logger: class("Logger")?,
            root: class("RootLogger")?,
        })
    })
}

/// Forgets what was known of all loggers.
#[pyfunction]
pub fn _logging_changed() {
    // Relaxed: under the interpreter's lock.
    EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// `_logging_short(logger, levelno, msg, args, extra, handler, only)`: whether the call has been
/// recorded; if not, it has to go the long way. With `only`, other handlers count for nothing.
pub unsafe extern "C" fn short(
    _: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("_logging_short", 7)?;
        let done = record(py, &args)?;
        Ok(PyBool::new(py, done).to_owned().into_ptr())
    })
}

fn record(py: Python<'_>, args: &Args) -> PyResult<bool> {
    let hub = hub();
    let [logger, level, message, arguments, extra, handler, only] =
        [0, 1, 2, 3, 4, 5, 6].map(|index| args.positional(index));
    let library = library(py)?;
    // SAFETY: live objects; a dict, which is not changed meanwhile.
    let plain = unsafe {
        ffi::PyDict_GetItem(library.namespace.as_ptr(), library.factory_name.as_ptr())
            == library.factory.as_ptr()
    };
    if !plain || !hub.is_on() || hub.live().call_sites() {
        return Ok(false);
    }
    // SAFETY: an `int` or of a subclass; anything else is an error, which is cleared.
    let number = unsafe { ffi::PyLong_AsLongLong(level) };
    if number == -1 {
        // SAFETY: the interpreter is attached.
        unsafe { ffi::PyErr_Clear() };
        return Ok(false);
    }
    let Some(ours) = listener(py, library, logger, number, handler, only)? else {
        return Ok(false);
    };
    // SAFETY: `get_logger` makes nothing else.
    let ours = unsafe { raw::value::<Logger>(ours.as_ptr()) };
    let level = logger::of_number(number);
    if !ours.admits(level) {
        filtered::FILTERED.count();
        return Ok(true);
    }
    let formatted;
    let message = match formatted_message(py, message, arguments)? {
        Some(text) => {
            formatted = text;
            formatted.as_ptr()
        }
        None => return Ok(false),
    };
    // SAFETY: a `str` that lives until the end of this function.
    let Some(message) = (unsafe { text::utf8(message) }) else { return Ok(false) };
    let mut fields = Simple::new();
    // SAFETY: compared, and checked to be a dict; foreign code does not run from here on.
    unsafe {
        if extra != ffi::Py_None() {
            if ffi::PyDict_CheckExact(extra) == 0 {
                return Ok(false);
            }
            match fields.read_dict(extra) {
                Some(false) => {}
                // Names that records have: the long way refuses them.
                Some(true) | None => return Ok(false),
            }
        }
    }
    ours.record_simple(py, level, message, &fields);
    Ok(true)
}

/// Our logger of the same name, if nobody but our handler listens to this one.
fn listener<'py>(
    py: Python<'py>,
    library: &Library,
    logger: *mut PyObject,
    number: i64,
    handler: *mut PyObject,
    only: *mut PyObject,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let slot = (logger as usize >> 4 ^ logger as usize >> 12) % SLOTS;
    let epoch = EPOCH.load(Ordering::Relaxed);
    if let Some(known) = KNOWN.borrow()
        && let Some(known) = &known[slot]
        && known.logger.as_ptr() == logger
        && known.epoch == epoch
    {
        // SAFETY: lists, to which there are references.
        let alone =
            known.lists.iter().all(|list| unsafe { ffi::PyList_GET_SIZE(list.as_ptr()) } == 0);
        return Ok((alone && number >= known.level).then(|| known.ours.bind(py).clone()));
    }
    // SAFETY: a live argument.
    let object = unsafe { Bound::from_borrowed_ptr(py, logger) };
    // SAFETY: a live argument.
    let handler = unsafe { Bound::from_borrowed_ptr(py, handler) };
    // SAFETY: compared only.
    let only = only == unsafe { ffi::Py_True() };
    let Some(fresh) = study(py, library, &object, &handler, only, epoch)? else { return Ok(None) };
    let before = match KNOWN.borrow() {
        Some(mut known) => known[slot].replace(Box::new(fresh)),
        None => None,
    };
    drop(before);
    // What is known now is looked at by the next call.
    Ok(None)
}

/// Reads a logger and those above it.
fn study(
    py: Python<'_>,
    library: &Library,
    logger: &Bound<'_, PyAny>,
    handler: &Bound<'_, PyAny>,
    only: bool,
    epoch: u64,
) -> PyResult<Option<Known>> {
    let class = logger.get_type();
    // A class of the program's own may do anything.
    if !class.is(&library.logger) && !class.is(&library.root) {
        return Ok(None);
    }
    let list = |of: &Bound<'_, PyAny>, name: &str| -> PyResult<Py<PyList>> {
        Ok(of.getattr(name)?.cast_into::<PyList>()?.unbind())
    };
    let mut lists = vec![list(logger, "filters")?, list(handler, "filters")?];
    let mut above = logger.clone();
    while !only && !above.is_none() {
        lists.push(list(&above, "handlers")?);
        if !above.getattr("propagate")?.is_truthy()? {
            break;
        }
        above = above.getattr("parent")?;
    }
    let ours = py.import("coati")?.getattr("get_logger")?.call1((logger.getattr("name")?,))?;
    Ok(Some(Known {
        logger: logger.clone().unbind(),
        epoch,
        lists,
        ours: ours.unbind(),
        level: handler.getattr("level")?.extract()?,
    }))
}

/// `msg % args`, as `LogRecord.getMessage` has it; `None` where the long way has to do it.
fn formatted_message<'py>(
    py: Python<'py>,
    message: *mut PyObject,
    arguments: *mut PyObject,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: live arguments; a new reference or null with an error set.
    unsafe {
        if ffi::PyUnicode_CheckExact(message) == 0 || ffi::PyTuple_CheckExact(arguments) == 0 {
            return Ok(None);
        }
        let count = ffi::PyTuple_GET_SIZE(arguments);
        if count == 0 {
            return Ok(Some(Bound::from_borrowed_ptr(py, message)));
        }
        // A single mapping stands for its items.
        let single = ffi::PyTuple_GET_ITEM(arguments, 0);
        if count == 1 && ffi::PyMapping_Check(single) != 0 && ffi::PyUnicode_Check(single) == 0 {
            return Ok(None);
        }
        let text = ffi::PyUnicode_Format(message, arguments);
        if text.is_null() {
            // The long way fails alike and tells of it as the program is used to.
            let error = PyErr::fetch(py);
            if error.is_instance_of::<pyo3::exceptions::PyException>(py) {
                return Ok(None);
            }
            return Err(error);
        }
        Ok(Some(Bound::from_owned_ptr(py, text)))
    }
}
