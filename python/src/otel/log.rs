//! OpenTelemetry's loggers.

use std::ffi::{CStr, c_void};
use std::sync::LazyLock;

use coati_core::ids::{SpanId, TraceId};
use coati_core::intern::{Id, intern, reserved};
use coati_core::record::Level;
use coati_core::record::details::Details;
use coati_core::record::value::Key;
use coati_core::span::SpanContext;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::ffi::{PyObject, PyTypeObject};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::instrument::span_of;
use crate::convert::{self, Owned, tolerate};
use crate::current::Current;
use crate::exception::{self, Told};
use crate::fields::{Call, Layer, Simple};
use crate::filtered::FILTERED;
use crate::hub::hub;
use crate::logger::{Extra, Logger};
use crate::raw::{self, Args, Class, Raw, Table};
use crate::text::{self, Name};

/// The native half of a logger.
pub struct Emitter(Logger);

static CLASS: Class = Class::new();

static METHODS: Table<[ffi::PyMethodDef; 3]> = Table([
    raw::fast(c"emit", emit, c"emit($self, /, record=None, *, timestamp=None, observed_timestamp=None, context=None, severity_number=None, severity_text=None, body=None, attributes=None, event_name=None, exception=None)\n--\n\nRecord a line."),
    raw::fast(c"enabled", enabled, c"enabled($self, /, *, context=None, severity_number=None, event_name=None)\n--\n\nWhether a line would be recorded."),
    raw::END,
]);

impl Raw for Emitter {
    const NAME: &'static CStr = c"coati._native._OtelLogger";
    const DOC: &'static CStr = c"The native half of a logger of coati.otel.";
    const FLAGS: u64 = ffi::Py_TPFLAGS_BASETYPE;

    fn class() -> &'static Class {
        &CLASS
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_new, construct as *mut c_void),
            raw::slot(ffi::Py_tp_methods, METHODS.pointer()),
        ]
    }
}

unsafe extern "C" fn construct(
    class: *mut PyTypeObject,
    args: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a tuple, as the interpreter passes.
        let name = unsafe { Bound::from_borrowed_ptr(py, args) }.get_item(0)?;
        let name: Name<'_> = name.extract()?;
        // SAFETY: the class or a subclass of it; the memory is large enough, and the value is
        // written before anything else looks at it.
        unsafe {
            let object = ffi::PyType_GenericAlloc(class, 0);
            if !object.is_null() {
                let value = Emitter(Logger::new(&name, None));
                (&raw mut (*object.cast::<raw::Object<Emitter>>()).value).write(value);
            }
            Ok(object)
        }
    })
}

/// What a record may be made of, in the order of [`NAMES`].
#[derive(Default)]
struct Given<'py> {
    timestamp: Option<Bound<'py, PyAny>>,
    observed: Option<Bound<'py, PyAny>>,
    context: Option<Bound<'py, PyAny>>,
    number: Option<Bound<'py, PyAny>>,
    text: Option<Bound<'py, PyAny>>,
    body: Option<Bound<'py, PyAny>>,
    attributes: Option<Bound<'py, PyAny>>,
    event: Option<Bound<'py, PyAny>>,
    exception: Option<Bound<'py, PyAny>>,
}

const NAMES: [&CStr; 9] = [
    c"timestamp",
    c"observed_timestamp",
    c"context",
    c"severity_number",
    c"severity_text",
    c"body",
    c"attributes",
    c"event_name",
    c"exception",
];

impl<'py> Given<'py> {
    #[inline(always)]
    fn place(&mut self, name: &str) -> Option<&mut Option<Bound<'py, PyAny>>> {
        Some(match name {
            "timestamp" => &mut self.timestamp,
            "observed_timestamp" => &mut self.observed,
            "context" => &mut self.context,
            "severity_number" => &mut self.number,
            "severity_text" => &mut self.text,
            "body" => &mut self.body,
            "attributes" => &mut self.attributes,
            "event_name" => &mut self.event,
            "exception" => &mut self.exception,
            _ => return None,
        })
    }

    /// The keyword arguments of a call, and the record, which may be the one argument without.
    fn read(py: Python<'py>, args: &Args) -> PyResult<(Self, Option<Bound<'py, PyAny>>)> {
        args.expect_range("emit", 0, 1)?;
        let mut given = Self::default();
        // SAFETY: live arguments.
        let object = |object: *mut PyObject| unsafe {
            Some(Bound::from_borrowed_ptr(py, object)).filter(|object| !object.is_none())
        };
        let mut record = (args.count == 1).then(|| object(args.positional(0))).flatten();
        for (index, &value) in args.values().iter().enumerate() {
            // SAFETY: names are `str` and live over the call.
            let name = unsafe { text::lossy(args.name(index)) };
            match given.place(&name) {
                Some(place) => *place = object(value),
                None if name == "record" => record = object(value),
                None => {
                    let error = format!("emit() got an unexpected keyword argument '{name}'");
                    return Err(PyTypeError::new_err(error));
                }
            }
        }
        Ok((given, record))
    }

    /// What a `LogRecord` has, and the span it belongs to.
    fn of_record(record: &Bound<'py, PyAny>) -> PyResult<(Self, Option<SpanContext>)> {
        let inner = record.getattr_opt("log_record")?;
        let record = inner.as_ref().unwrap_or(record);
        let mut given = Self::default();
        for name in NAMES {
            let name = name.to_str().unwrap_or_default();
            let value = record.getattr_opt(name)?.filter(|value| !value.is_none());
            if let Some(place) = given.place(name) {
                *place = value;
            }
        }
        let number = |name: &str| -> PyResult<u128> {
            let value = record.getattr_opt(name)?.filter(|value| !value.is_none());
            value.map_or(Ok(0), |value| value.extract())
        };
        let span = SpanContext {
            trace_id: TraceId(number("trace_id")?.to_be_bytes()),
            span_id: SpanId((number("span_id")? as u64).to_be_bytes()),
            trace_flags: number("trace_flags")? as u8,
            remote: false,
        };
        Ok((given, Some(span).filter(SpanContext::is_valid)))
    }
}

/// A `SeverityNumber` or an integer as a number, 0 for none.
fn severity(given: Option<&Bound<'_, PyAny>>) -> PyResult<u8> {
    let Some(given) = given else { return Ok(0) };
    // An enum's member has its value there, without a descriptor's detour.
    let value = given.getattr_opt("_value_")?;
    Ok(value.as_ref().unwrap_or(given).extract::<i64>().unwrap_or(0).clamp(0, 24) as u8)
}

/// The level of a severity; what has none is information.
fn level(severity: u8) -> Level {
    match severity {
        1..=8 => Level::Debug,
        0 | 9..=12 => Level::Info,
        13..=16 => Level::Warning,
        17..=20 => Level::Error,
        21.. => Level::Critical,
    }
}

/// What the severity of a level is by itself.
fn plain(level: Level) -> (u8, &'static str) {
    match level {
        Level::Debug => (5, "DEBUG"),
        Level::Info => (9, "INFO"),
        Level::Warning => (13, "WARN"),
        Level::Error => (17, "ERROR"),
        Level::Critical => (21, "CRITICAL"),
    }
}

unsafe extern "C" fn emit(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        if hub().is_on() {
            let (given, record) = Given::read(py, &Args::new(args, count, names))?;
            // SAFETY: a method of this class, or of a Python subclass, which begins as it does.
            let logger = unsafe { &raw::value::<Emitter>(this).0 };
            if let Err(error) = record_line(py, logger, given, record) {
                tolerate(py, error)?;
            }
        }
        Ok(raw::none())
    })
}

fn record_line<'py>(
    py: Python<'py>,
    logger: &Logger,
    given: Given<'py>,
    record: Option<Bound<'py, PyAny>>,
) -> PyResult<()> {
    let (given, span) = match record {
        None => {
            let span = given.context.as_ref().map(span_of).transpose()?;
            (given, span)
        }
        Some(record) => {
            let (given, span) = Given::of_record(&record)?;
            (given, Some(span))
        }
    };
    let number = severity(given.number.as_ref())?;
    let level = level(number);
    if !logger.admits(level) {
        FILTERED.count();
        return Ok(());
    }
    let (severity_text, event) = (text_of(given.text.as_ref())?, text_of(given.event.as_ref())?);
    let own = plain(level);
    let nanoseconds = |given: Option<&Bound<'_, PyAny>>| {
        given.and_then(|given| given.extract::<u64>().ok()).unwrap_or(0)
    };
    let details = Details {
        severity: number,
        text: severity_text.as_deref().filter(|text| *text != own.1),
        event: event.as_deref(),
        time: nanoseconds(given.timestamp.as_ref()),
        observed: nanoseconds(given.observed.as_ref()),
    };
    let bare = Details { severity: own.0, text: None, event: None, time: 0, observed: 0 };
    let extra = Extra { details: (details != bare).then_some(&details), span, ..Extra::default() };
    let is_text = given.body.as_ref().is_some_and(|body| body.is_exact_instance_of::<PyString>());
    if is_text
        && given.exception.is_none()
        && let Some(body) = &given.body
        // SAFETY: a live `str`.
        && let Some(message) = unsafe { text::utf8(body.as_ptr()) }
    {
        let mut fields = Simple::new();
        let read = match &given.attributes {
            None => true,
            // SAFETY: an exact dict, which nobody changes: no foreign code runs until the line is
            // written.
            Some(dict) => unsafe {
                ffi::PyDict_CheckExact(dict.as_ptr()) != 0
                    && fields.read_dict(dict.as_ptr()).is_some()
            },
        };
        if read && !fields.all().iter().any(|(key, _)| own_key(*key).is_some()) {
            let call = Call::Simple(fields.all());
            logger.write(py, level, message, &Current::get(), call, extra);
            return Ok(());
        }
    }
    converted(py, logger, level, &given, extra)
}

fn converted(
    py: Python<'_>,
    logger: &Logger,
    level: Level,
    given: &Given<'_>,
    extra: Extra<'_>,
) -> PyResult<()> {
    let event = extra.details.and_then(|details| details.event);
    let (message, body) = match &given.body {
        // A line needs some message.
        None => (event.unwrap_or_default().to_owned().into(), Some(Owned::Null)),
        Some(body) => {
            let value = convert::convert(body)?;
            (convert::convert_text(body)?, Some(value))
        }
    };
    let body = body.filter(|body| !matches!(body, Owned::Str(_)));
    let body = body.map(|body| Layer::of(&[(Key::Id(reserved::BODY), body)]));
    let mut fields = Layer::default();
    for (name, value) in Layer::of_mapping(given.attributes.as_ref())? {
        let key = Key::new(&name);
        fields.push(|encoder| value.encode(encoder, own_key(key).unwrap_or(key)));
    }
    let exception = given.exception.as_ref().and_then(exception::named).flatten();
    let told = exception.map(|exception| Told::of(&exception)).transpose()?.map(Told::layer);
    let extra = Extra {
        exception: told.as_ref(),
        body: body.as_ref().filter(|body| body.fields().left() == 1),
        repeated: true,
        ..extra
    };
    logger.write(py, level, &message, &Current::get(), Call::Converted(&fields), extra);
    Ok(())
}

/// The engine's own key for what handlers tell of an exception in attributes.
#[inline(always)]
fn own_key(key: Key<'_>) -> Option<Key<'static>> {
    static TAKEN: LazyLock<[(Option<Id>, Id); 3]> = LazyLock::new(|| {
        let own =
            [reserved::EXCEPTION_TYPE, reserved::EXCEPTION_MESSAGE, reserved::EXCEPTION_STACKTRACE];
        own.map(|id| (reserved::text(id).and_then(intern), id))
    });
    let Key::Id(id) = key else { return None };
    TAKEN.iter().find(|(taken, _)| *taken == Some(id)).map(|(_, own)| Key::Id(*own))
}

fn text_of(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    let text = given.map(|given| convert::convert_text(given).map(text::Text::into_name));
    Ok(text.transpose()?.filter(|text| !text.is_empty()))
}

unsafe extern "C" fn enabled(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let args = Args::new(args, count, names);
        args.expect("enabled", 0)?;
        args.only("enabled", &["context", "severity_number", "event_name"])?;
        let number = args.keyword(py, "severity_number").filter(|given| !given.is_none());
        let level = level(severity(number.as_ref())?);
        // SAFETY: a method of this class.
        let admitted = hub().is_on() && unsafe { &raw::value::<Emitter>(this).0 }.admits(level);
        Ok(pyo3::types::PyBool::new(py, admitted).to_owned().into_ptr().cast())
    })
}
