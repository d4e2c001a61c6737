//! Loggers.

use std::ffi::{CStr, c_void};
use std::sync::Arc;

use coati_core::intern::{Id, reserved};
use coati_core::ledger::Signal;
use coati_core::log::{LogHead, Threshold, encode_log, name_id};
use coati_core::record::details::Details;
use coati_core::record::value::Key;
use coati_core::record::{CallSite, Level, flags};
use coati_core::span::SpanContext;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::current::Current;
use crate::exception::{self, Told};
use crate::fields::{Call, Layer, Layers, Simple};
use crate::hub::hub;
use crate::raw::{self, Args, Class, Raw, Table};
use crate::{call_site, convert, early, filtered, gil, names, text};

/// A named source of log lines, perhaps with fields of its own.
pub struct Logger {
    name: Arc<str>,
    id: Id,
    threshold: Threshold,
    bound: Option<Arc<Layer>>,
}

static CLASS: Class = Class::new();

const LEVELS: [Level; 5] = Level::ALL;
const DEBUG: u8 = Level::Debug as u8;
const INFO: u8 = Level::Info as u8;
const WARNING: u8 = Level::Warning as u8;
const ERROR: u8 = Level::Error as u8;
const CRITICAL: u8 = Level::Critical as u8;

static METHODS: Table<[ffi::PyMethodDef; 12]> = Table([
    raw::fast(c"debug", at::<DEBUG>, c"debug($self, message, /, **fields)\n--\n\nRecord a line at level debug."),
    raw::fast(c"info", at::<INFO>, c"info($self, message, /, **fields)\n--\n\nRecord a line at level info."),
    raw::fast(c"warning", at::<WARNING>, c"warning($self, message, /, **fields)\n--\n\nRecord a line at level warning."),
    raw::fast(c"error", at::<ERROR>, c"error($self, message, /, **fields)\n--\n\nRecord a line at level error."),
    raw::fast(c"critical", at::<CRITICAL>, c"critical($self, message, /, **fields)\n--\n\nRecord a line at level critical."),
    raw::fast(c"exception", with_exception, c"exception($self, message, /, **fields)\n--\n\nRecord a line at level error with the exception being handled."),
    raw::fast(c"log", log, c"log($self, level, message, /, **fields)\n--\n\nRecord a line at the level called `level`."),
    raw::fast(c"bind", bind, c"bind($self, /, **fields)\n--\n\nA logger of the same name whose lines carry these fields too."),
    raw::fast(c"_emit", emit, c"_emit($self, levelno, message, fields=None, exc_info=None, site=None, /)\n--\n\nRecord a line for another library: its level as a number of `logging`, fields in a dict, file and line in a tuple."),
    raw::plain(c"is_enabled", is_enabled, ffi::METH_O, c"is_enabled($self, level, /)\n--\n\nWhether lines at the level called `level` are recorded now."),
    raw::plain(c"__reduce__", reduce, ffi::METH_NOARGS, c"__reduce__($self, /)\n--\n\n"),
    raw::END,
]);

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 2]> =
    Table([raw::getter(c"name", name, c"The name."), raw::NO_MORE]);

impl Raw for Logger {
    const NAME: &'static CStr = c"coati.Logger";
    const DOC: &'static CStr = c"A named source of log lines, made by `coati.get_logger`.";

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
            raw::slot(ffi::Py_tp_repr, repr as *mut c_void),
        ]
    }
}

impl Logger {
    pub fn new(name: &str, bound: Option<Arc<Layer>>) -> Self {
        Self { name: name.into(), id: name_id(name), threshold: Threshold::default(), bound }
    }

    /// Whether lines at `level` are recorded now.
    #[inline(always)]
    pub fn admits(&self, level: Level) -> bool {
        self.threshold.admits(hub(), &self.name, level)
    }

    /// A line while nothing runs.
    #[cold]
    #[inline(never)]
    fn refused(
        &self,
        py: Python<'_>,
        level: Level,
        args: &Args,
        skip: usize,
        handled: Handled,
    ) -> PyResult<()> {
        if level >= Level::Warning && early::applies() {
            let args = Prepared::convert(py, args, skip, handled)?;
            early::print(py, level, &self.name, self.bound.as_deref(), &args)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn record(&self, py: Python<'_>, level: Level, args: &Args, skip: usize) -> PyResult<()> {
        if !self.admits(level) {
            if hub().is_on() {
                filtered::FILTERED.count();
                return Ok(());
            }
            return self.refused(py, level, args, skip, Handled::Named);
        }
        let message = args.positional(skip);
        let mut fields = Simple::new();
        // SAFETY: a live argument.
        if unsafe { ffi::PyUnicode_CheckExact(message) } != 0
            // SAFETY: a `str` that lives over the call.
            && let Some(message) = unsafe { text::utf8(message) }
            && fields.read(args)
            && (args.names.is_null() || !names::of(args.names).special)
        {
            let current = Current::get();
            self.write(py, level, message, &current, Call::Simple(fields.all()), Extra::default());
            return Ok(());
        }
        self.record_converted(py, level, args, skip, Handled::Named)
    }

    #[cold]
    #[inline(never)]
    fn record_converted(
        &self,
        py: Python<'_>,
        level: Level,
        args: &Args,
        skip: usize,
        handled: Handled,
    ) -> PyResult<()> {
        let prepared = Prepared::convert(py, args, skip, handled)?;
        let current = Current::get();
        let call = Call::Converted(&prepared.fields);
        let extra = Extra {
            exception: prepared.exception.as_ref(),
            body: prepared.body.as_ref(),
            repeated: !args.names.is_null() && names::of(args.names).repeated,
            ..Extra::default()
        };
        self.write(py, level, &prepared.message, &current, call, extra);
        Ok(())
    }

    /// Records a line whose message and fields need no conversion.
    #[inline(always)]
    pub fn record_simple(&self, py: Python<'_>, level: Level, message: &str, fields: &Simple<'_>) {
        let current = Current::get();
        self.write(py, level, message, &current, Call::Simple(fields.all()), Extra::default());
    }

    /// Records a line for another library.
    fn emit(&self, py: Python<'_>, args: &Args) -> PyResult<()> {
        // SAFETY: a live argument.
        let at = |index| unsafe { Bound::from_borrowed_ptr(py, args.positional(index)) };
        let given =
            |index| (index < args.count).then(|| at(index)).filter(|object| !object.is_none());
        let level = of_number(at(0).extract().unwrap_or(0));
        if hub().is_on() && !self.admits(level) {
            filtered::FILTERED.count();
            return Ok(());
        }
        let message = at(1);
        if hub().is_on() && given(3).is_none() && given(4).is_none() {
            let mut fields = Simple::new();
            // SAFETY: live arguments; no foreign code runs while they are read.
            let read = unsafe {
                match given(2) {
                    None => true,
                    Some(dict) if ffi::PyDict_CheckExact(dict.as_ptr()) == 0 => false,
                    Some(dict) => fields.read_dict(dict.as_ptr()).is_some(),
                }
            };
            // SAFETY: a live argument, and a `str` that lives over the call.
            if let Some(text) = unsafe { text::exact(message.as_ptr()) }.filter(|_| read) {
                self.record_simple(py, level, text, &fields);
                return Ok(());
            }
        }
        let body = body(&message)?;
        let message = convert::convert_text(&message)?;
        let mut fields = Layer::default();
        for (key, value) in Layer::of_mapping(given(2).as_ref())? {
            fields.push(|encoder| value.encode(encoder, Key::new(&key)));
        }
        let exception = given(3).as_ref().and_then(exception::named).flatten();
        let told = exception.map(|exception| Told::of(&exception)).transpose()?;
        if !hub().is_on() {
            if level >= Level::Warning && early::applies() {
                let exception = told.map(Told::layer);
                let prepared = Prepared { message, fields, exception, body };
                return early::print(py, level, &self.name, self.bound.as_deref(), &prepared);
            }
            return Ok(());
        }
        let exception = told.map(Told::layer);
        let extra = Extra {
            exception: exception.as_ref(),
            body: body.as_ref(),
            // A dict may have a key and another one that is spelt like it once it is text.
            repeated: true,
            site: given(4).and_then(|site| call_site::given(&site)),
            ..Extra::default()
        };
        self.write(py, level, &message, &Current::get(), Call::Converted(&fields), extra);
        Ok(())
    }

    /// Records a line that is wanted.
    #[inline(always)]
    pub fn write(
        &self,
        py: Python<'_>,
        level: Level,
        message: &str,
        current: &Current,
        call: Call<'_>,
        extra: Extra<'_>,
    ) {
        let node = current.node();
        let span = match &extra.span {
            None => node.map(|node| &node.context),
            Some(given) => given.as_ref(),
        };
        let layers = Layers {
            details: extra.details,
            body: extra.body,
            context: node.and_then(|node| node.fields()),
            bound: self.bound.as_deref(),
            call,
            exception: extra.exception,
        };
        let hub = hub();
        let call_site = match hub.live().call_sites() {
            true => extra.site.or_else(|| call_site::of(py)),
            false => None,
        };
        let head = LogHead {
            level,
            logger: self.id,
            flags: u8::from(extra.repeated || layers.is_layered()) * flags::LAYERED
                + u8::from(extra.body.is_some() || extra.details.is_some()) * flags::BODY
                + span.map_or(0, SpanContext::log_flags),
            span: span.and_then(SpanContext::ids),
            call_site,
            message: message.as_bytes(),
        };
        hub.with(|recorder| {
            let Some(recorder) = recorder else { return hub.lose(Signal::Logs) };
            let limit = recorder.pipeline().live().limits().max_fields;
            recorder.record(Signal::Logs, level, |encoder, ticks| {
                encode_log(encoder, ticks, &head, |encoder| layers.encode(encoder, limit));
            });
        });
    }
}

/// What only some lines have.
#[derive(Clone, Copy, Default)]
pub struct Extra<'a> {
    pub exception: Option<&'a Layer>,
    /// The message as a value.
    pub body: Option<&'a Layer>,
    /// Whether keys of the call may be equal.
    pub repeated: bool,
    /// Where the call stands, if that is known.
    pub site: Option<CallSite>,
    /// What OpenTelemetry says of it.
    pub details: Option<&'a Details<'a>>,
    /// The span it belongs to, where that is not what is current.
    pub span: Option<Option<SpanContext>>,
}

/// Which exception a line tells of.
#[derive(Clone, Copy, PartialEq)]
enum Handled {
    /// The one in `exc_info`, if there is one.
    Named,
    /// That, or the one being handled.
    Always,
}

/// The arguments of a call, converted.
pub struct Prepared {
    pub message: text::Text,
    pub fields: Layer,
    pub exception: Option<Layer>,
    /// A message that is a container, as a value.
    pub body: Option<Layer>,
}

impl Prepared {
    fn convert(py: Python<'_>, args: &Args, skip: usize, handled: Handled) -> PyResult<Self> {
        // SAFETY: a live argument.
        let message = unsafe { Bound::from_borrowed_ptr(py, args.positional(skip)) };
        let body = body(&message)?;
        let message = convert::convert_text(&message)?;
        let mut exception = None;
        let mut named = false;
        let mut values = Vec::with_capacity(args.values().len());
        for (index, &value) in args.values().iter().enumerate() {
            // SAFETY: a live argument.
            let value = unsafe { Bound::from_borrowed_ptr(py, value) };
            // SAFETY: a name is a `str` that lives over the call.
            let is_exc_info = unsafe { text::lossy(args.name(index)) } == "exc_info";
            match is_exc_info.then(|| exception::named(&value)).flatten() {
                Some(found) => {
                    named = true;
                    exception = found;
                }
                None => values.push((index, convert::convert(&value)?)),
            }
        }
        if handled == Handled::Always && !named {
            exception = exception::handled(py);
        }
        let told = exception.map(|exception| Told::of(&exception)).transpose()?;
        let mut fields = Layer::default();
        if !values.is_empty() {
            let keys = names::of(args.names).keys();
            for (index, value) in &values {
                fields.push(|encoder| value.encode(encoder, keys[*index]));
            }
        }
        Ok(Self { message, fields, exception: told.map(Told::layer), body })
    }
}

/// A message that is a dict, a list or a tuple, as a value.
fn body(message: &Bound<'_, PyAny>) -> PyResult<Option<Layer>> {
    let container = message.is_instance_of::<PyDict>()
        || message.is_instance_of::<PyList>()
        || message.is_instance_of::<PyTuple>();
    if !container {
        return Ok(None);
    }
    let body = Layer::of(&[(Key::Id(reserved::BODY), convert::convert(message)?)]);
    Ok(Some(body).filter(|body| body.fields().left() == 1))
}

unsafe extern "C" fn at<const LEVEL: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        let level = LEVELS[LEVEL as usize];
        args.expect(level.name(), 1)?;
        // SAFETY: a method of this class.
        unsafe { raw::value::<Logger>(this) }.record(py, level, &args, 0)?;
        Ok(raw::none())
    })
}

unsafe extern "C" fn with_exception(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("exception", 1)?;
        // SAFETY: a method of this class.
        let logger = unsafe { raw::value::<Logger>(this) };
        if logger.admits(Level::Error) {
            logger.record_converted(py, Level::Error, &args, 0, Handled::Always)?;
        } else if hub().is_on() {
            filtered::FILTERED.count();
        } else {
            logger.refused(py, Level::Error, &args, 0, Handled::Always)?;
        }
        Ok(raw::none())
    })
}

unsafe extern "C" fn log(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("log", 2)?;
        let level = level(py, args.positional(0))?;
        // SAFETY: a method of this class.
        unsafe { raw::value::<Logger>(this) }.record(py, level, &args, 1)?;
        Ok(raw::none())
    })
}

unsafe extern "C" fn emit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect_range("_emit", 2, 5)?;
        // SAFETY: a method of this class.
        unsafe { raw::value::<Logger>(this) }.emit(py, &args)?;
        Ok(raw::none())
    })
}

/// The level that stands for a number of the standard library's `logging`.
pub fn of_number(number: i64) -> Level {
    match number {
        ..20 => Level::Debug,
        20..30 => Level::Info,
        30..40 => Level::Warning,
        40..50 => Level::Error,
        50.. => Level::Critical,
    }
}

unsafe extern "C" fn bind(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("bind", 0)?;
        // SAFETY: a method of this class.
        let logger = unsafe { raw::value::<Logger>(this) };
        let fields = Layer::convert(py, &args)?;
        let fields = match &logger.bound {
            Some(below) => fields.over(below),
            None => fields,
        };
        Ok(raw::new(Logger::new(&logger.name, Some(Arc::new(fields)))))
    })
}

unsafe extern "C" fn is_enabled(this: *mut PyObject, of: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        let level = level(py, of)?;
        // SAFETY: a method of this class.
        let enabled = unsafe { raw::value::<Logger>(this) }.admits(level);
        Ok(pyo3::types::PyBool::new(py, enabled).to_owned().into_ptr().cast())
    })
}

/// A logger is found again by its name; bound fields stay behind.
unsafe extern "C" fn reduce(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    raw::method(|py| {
        let get = py.import("coati")?.getattr("get_logger")?;
        // SAFETY: a method of this class.
        let name = &*unsafe { raw::value::<Logger>(this) }.name;
        Ok((get, (name,)).into_pyobject(py)?.into_ptr())
    })
}

unsafe extern "C" fn name(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of this class.
    text::string(&unsafe { raw::value::<Logger>(this) }.name)
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: a method of this class.
    text::string(&format!("<coati.Logger {:?}>", unsafe { raw::value::<Logger>(this) }.name))
}

/// The level that a caller names.
fn level(py: Python<'_>, object: *mut PyObject) -> PyResult<Level> {
    // SAFETY: a live argument.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    let Ok(string) = object.cast::<PyString>() else {
        let found = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!("level must be a str, not {found}")));
    };
    let name = string.to_string_lossy();
    Level::from_name(&name).ok_or_else(|| {
        let accepted = Level::ALL.map(Level::name).join(", ");
        PyValueError::new_err(format!("unknown level {name:?}; accepted: {accepted}"))
    })
}

static LOGGERS: gil::Guarded<Option<Py<PyDict>>> = gil::Guarded::new(None);

/// The logger called `name`, the same one each time.
#[pyfunction]
#[pyo3(signature = (name=text::Name::default(), /), text_signature = "(name='', /)")]
pub fn get_logger<'py>(py: Python<'py>, name: text::Name<'_>) -> PyResult<Bound<'py, PyAny>> {
    crate::registry::named(py, &LOGGERS, &name, || raw::new(Logger::new(&name, None)))
}
