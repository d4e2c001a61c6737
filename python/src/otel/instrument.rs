//! OpenTelemetry's synchronous instruments: attributes come in a dict.

use std::ffi::{CStr, c_void};
use std::sync::Arc;

use coati_core::ids::{SpanId, TraceId};
use coati_core::instrument::{Bound as CoreBound, Instrument as Core};
use coati_core::live::exemplars_wanted;
use coati_core::metrics::{Descriptor, Scope, Series, Shard};
use coati_core::span::SpanContext;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::ffi::{PyObject, PyTypeObject};
use pyo3::prelude::*;

use super::pairs::{OBJECTS, Pairs};
use crate::convert::tolerate;
use crate::gil::Guarded;
use crate::hub::hub;
use crate::metrics::cache::{self, Cache, Place};
use crate::metrics::exemplar::Around;
use crate::metrics::instrument::{Amount, KINDS, handle};
use crate::metrics::label::Labels;
use crate::metrics::{COUNTER, GAUGE, HISTOGRAM, UP_DOWN_COUNTER};
use crate::raw::{self, Args, Class, Raw, Table};
use crate::text::{self, Name};

/// The native half of an instrument.
pub struct Measured<const KIND: u8> {
    core: Core,
    /// The series without attributes.
    plain: CoreBound,
    cache: Guarded<Cache<OBJECTS>>,
}

static CLASSES: [Class; 4] = [const { Class::new() }; 4];
const NAMES: [&CStr; 4] = [
    c"coati._native._OtelCounter",
    c"coati._native._OtelUpDownCounter",
    c"coati._native._OtelGauge",
    c"coati._native._OtelHistogram",
];

static METHODS: Table<[[ffi::PyMethodDef; 2]; 4]> = Table([
    [
        raw::fast(c"add", measure::<COUNTER>, c"add($self, /, amount, attributes=None, context=None)\n--\n\nAdd to the counter."),
        raw::END,
    ],
    [
        raw::fast(c"add", measure::<UP_DOWN_COUNTER>, c"add($self, /, amount, attributes=None, context=None)\n--\n\nAdd to the counter, or take from it."),
        raw::END,
    ],
    [
        raw::fast(c"set", measure::<GAUGE>, c"set($self, /, amount, attributes=None, context=None)\n--\n\nSet the gauge."),
        raw::END,
    ],
    [
        raw::fast(c"record", measure::<HISTOGRAM>, c"record($self, /, amount, attributes=None, context=None)\n--\n\nRecord a value."),
        raw::END,
    ],
]);

static ATTRIBUTES: Table<[ffi::PyGetSetDef; 4]> = Table([
    raw::getter(c"name", name, c"The name."),
    raw::getter(c"unit", unit, c"The unit, empty for none."),
    raw::getter(c"description", description, c"For people."),
    raw::NO_MORE,
]);

impl<const KIND: u8> Raw for Measured<KIND> {
    const NAME: &'static CStr = NAMES[KIND as usize];
    const DOC: &'static CStr = c"The native half of an instrument of coati.otel.";
    const FLAGS: u64 = ffi::Py_TPFLAGS_BASETYPE;

    fn class() -> &'static Class {
        &CLASSES[KIND as usize]
    }

    fn slots() -> Vec<ffi::PyType_Slot> {
        vec![
            raw::slot(ffi::Py_tp_new, construct::<KIND> as *mut c_void),
            raw::slot(ffi::Py_tp_methods, (&raw const METHODS.0[KIND as usize]).cast_mut().cast()),
            raw::slot(ffi::Py_tp_getset, ATTRIBUTES.pointer()),
        ]
    }
}

/// Scope and description of an instrument as Python hands them over: the scope's name, version,
/// schema and copy, then the instrument's name, unit, description and bounds.
pub fn descriptor(kind: u8, given: &Bound<'_, PyAny>) -> PyResult<Descriptor> {
    let text = |of: &Bound<'_, PyAny>, index: usize| -> PyResult<Box<str>> {
        let object = of.get_item(index)?;
        let name: Name<'_> = object.extract()?;
        Ok((*name).into())
    };
    let scope = given.get_item(0)?;
    let scope = Scope {
        name: text(&scope, 0)?,
        version: text(&scope, 1)?,
        schema_url: text(&scope, 2)?,
        copy: scope.get_item(3)?.extract()?,
    };
    let (name, unit, description) = (text(given, 1)?, text(given, 2)?, text(given, 3)?);
    let bounds: Option<Vec<f64>> = given.get_item(4)?.extract()?;
    let descriptor = Descriptor::new(&name, KINDS[usize::from(kind)], &unit, &description);
    let descriptor = descriptor.with_scope(Arc::new(scope));
    Ok(match bounds {
        Some(bounds) => descriptor.with_bounds(&bounds),
        None => descriptor,
    })
}

unsafe extern "C" fn construct<const KIND: u8>(
    class: *mut PyTypeObject,
    args: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        // SAFETY: a tuple, as the interpreter passes.
        let args = unsafe { Bound::from_borrowed_ptr(py, args) };
        let (core, _) = handle(descriptor(KIND, &args)?)?;
        let plain = core.bind(&[]);
        // SAFETY: the class or a subclass of it; the memory is large enough, and the value is
        // written before anything else looks at it.
        unsafe {
            let object = ffi::PyType_GenericAlloc(class, 0);
            if !object.is_null() {
                let value = Measured::<KIND> { core, plain, cache: Guarded::new(Cache::default()) };
                (&raw mut (*object.cast::<raw::Object<Measured<KIND>>>()).value).write(value);
            }
            Ok(object)
        }
    })
}

/// # Safety
/// `this` is an instance, perhaps of a Python subclass, that outlives the result.
#[inline(always)]
unsafe fn of<'a, const KIND: u8>(this: *mut PyObject) -> &'a Measured<KIND> {
    // SAFETY: by the caller's promise; a subclass begins as its base does.
    unsafe { raw::value(this) }
}

/// The arguments of a call, null where they are absent or `None`.
struct Call {
    amount: *mut PyObject,
    attributes: *mut PyObject,
    context: *mut PyObject,
}

impl Call {
    #[inline(always)]
    fn read(args: &Args) -> PyResult<Self> {
        if args.names.is_null() && matches!(args.count, 1..=3) {
            let given = |index| match index < args.count {
                true => present(args.positional(index)),
                false => std::ptr::null_mut(),
            };
            return Ok(Self {
                amount: args.positional(0),
                attributes: given(1),
                context: given(2),
            });
        }
        Self::read_named(args)
    }

    #[inline(never)]
    fn read_named(args: &Args) -> PyResult<Self> {
        const NAMES: [&str; 3] = ["amount", "attributes", "context"];
        args.expect_range("measure", 0, NAMES.len())?;
        let mut all = [std::ptr::null_mut(); NAMES.len()];
        for (index, place) in all.iter_mut().enumerate().take(args.count) {
            *place = args.positional(index);
        }
        for (index, &value) in args.values().iter().enumerate() {
            // SAFETY: names are `str` and live over the call.
            let name = unsafe { text::lossy(args.name(index)) };
            let place = NAMES.iter().position(|known| *known == name);
            match place.filter(|&place| all[place].is_null()) {
                Some(place) => all[place] = value,
                None => {
                    let error = format!("unexpected or repeated argument '{name}'");
                    return Err(PyTypeError::new_err(error));
                }
            }
        }
        let [amount, attributes, context] = all;
        if amount.is_null() {
            return Err(PyTypeError::new_err("missing argument 'amount'"));
        }
        Ok(Self { amount, attributes: present(attributes), context: present(context) })
    }
}

/// Null for `None`.
#[inline(always)]
fn present(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: only compared.
    if object == unsafe { ffi::Py_None() } { std::ptr::null_mut() } else { object }
}

unsafe extern "C" fn measure<const KIND: u8>(
    this: *mut PyObject,
    args: *const *mut PyObject,
    count: isize,
    names: *mut PyObject,
) -> *mut PyObject {
    raw::method(|py| {
        let call = Call::read(&Args::new(args, count, names))?;
        // SAFETY: a method of this class, and live arguments.
        unsafe {
            let amount = Amount::of(py, call.amount)?;
            let this = of::<KIND>(this);
            if !is_taken::<KIND>(amount) {
                this.ignore();
            } else if KIND != GAUGE && exemplars_wanted() {
                let around = around(py, call.context)?;
                this.with(py, call.attributes, |series, shard| {
                    take::<KIND>(amount, series, shard);
                    around.offer(series, amount);
                })?;
            } else {
                this.with(py, call.attributes, |series, shard| {
                    take::<KIND>(amount, series, shard);
                })?;
            }
        }
        Ok(raw::none())
    })
}

/// Whether a measurement is one: what is none makes no series.
#[inline(always)]
fn is_taken<const KIND: u8>(amount: Amount) -> bool {
    let signed = matches!(KIND, UP_DOWN_COUNTER | GAUGE);
    match amount {
        Amount::Int(amount) => signed || amount >= 0,
        Amount::Float(amount) => amount.is_finite() && (signed || amount >= 0.0),
    }
}

#[inline(always)]
fn take<const KIND: u8>(amount: Amount, series: &Series, shard: &Shard) {
    match KIND {
        GAUGE => series.set(amount.as_f64()),
        HISTOGRAM => series.record(shard, amount.as_f64()),
        _ => amount.add_to(series, shard),
    }
}

/// The span around a measurement: that of `context`, where one is given.
#[cold]
#[inline(never)]
fn around(py: Python<'_>, context: *mut PyObject) -> PyResult<Around> {
    if context.is_null() {
        return Ok(Around::now());
    }
    // SAFETY: a live argument.
    let context = unsafe { Bound::from_borrowed_ptr(py, context) };
    match span_of(&context) {
        Ok(span) => Ok(Around::of(span.as_ref())),
        Err(error) => {
            tolerate(py, error)?;
            Ok(Around::of(None))
        }
    }
}

/// The span in one of OpenTelemetry's contexts.
pub fn span_of(context: &Bound<'_, PyAny>) -> PyResult<Option<SpanContext>> {
    let trace = context.py().import("opentelemetry.trace")?;
    let span = trace.call_method1("get_current_span", (context,))?;
    let ids = span.call_method0("get_span_context")?;
    let trace_id: u128 = ids.getattr("trace_id")?.extract()?;
    let span_id: u64 = ids.getattr("span_id")?.extract()?;
    let context = SpanContext {
        trace_id: TraceId(trace_id.to_be_bytes()),
        span_id: SpanId(span_id.to_be_bytes()),
        trace_flags: ids.getattr("trace_flags")?.extract()?,
        remote: false,
    };
    Ok(Some(context).filter(SpanContext::is_valid))
}

impl<const KIND: u8> Measured<KIND> {
    #[cold]
    fn ignore(&self) {
        if let Some(instrument) = self.core.resolve() {
            instrument.ignore();
        }
    }

    /// Calls `f` with the series of these attributes and this thread's cells.
    ///
    /// # Safety
    /// `attributes` is a live object or null.
    #[inline(always)]
    unsafe fn with(
        &self,
        py: Python<'_>,
        attributes: *mut PyObject,
        f: impl Fn(&Series, &Shard),
    ) -> PyResult<()> {
        if attributes.is_null() {
            self.plain.with(f);
            return Ok(());
        }
        if !hub().is_on() {
            return Ok(());
        }
        let mut pairs = Pairs::new();
        // SAFETY: a live object; no other code runs while `pairs` is in use, until `miss` takes
        // references of its own.
        unsafe {
            if ffi::PyDict_CheckExact(attributes) == 0 || !pairs.read(attributes) {
                return self.with_mapping(&Bound::from_borrowed_ptr(py, attributes), &f);
            }
        }
        let key = pairs.key();
        let place = cache::place::<OBJECTS>(key);
        if let Some(place) = place
            && let Some(cache) = self.cache.borrow()
            && cache.with(place, key, &f)
        {
            return Ok(());
        }
        self.miss(py, &pairs, place, &f)
    }

    #[cold]
    #[inline(never)]
    fn miss(
        &self,
        py: Python<'_>,
        pairs: &Pairs,
        place: Option<Place>,
        f: &dyn Fn(&Series, &Shard),
    ) -> PyResult<()> {
        // Other code may change the dict while values are converted.
        let held = pairs.held(py);
        let labels = Labels::of_pairs(&held)?;
        let Some(series) = labels.with(|labels| self.core.series(labels)) else { return Ok(()) };
        give(&series, f);
        if let Some(place) = place {
            // Dropped after the borrow has ended.
            let _released =
                self.cache.borrow().and_then(|mut cache| cache.keep(place, pairs.key(), series));
        }
        Ok(())
    }

    /// The same for any other mapping; what is none counts as no attributes.
    #[cold]
    #[inline(never)]
    fn with_mapping(
        &self,
        attributes: &Bound<'_, PyAny>,
        f: &dyn Fn(&Series, &Shard),
    ) -> PyResult<()> {
        let labels = match Labels::of_mapping(attributes) {
            Ok(labels) => labels,
            Err(error) => {
                tolerate(attributes.py(), error)?;
                Labels::none()
            }
        };
        if let Some(series) = labels.with(|labels| self.core.series(labels)) {
            give(&series, f);
        }
        Ok(())
    }
}

fn give(series: &Series, f: &dyn Fn(&Series, &Shard)) {
    hub().with(|recorder| {
        if let Some(recorder) = recorder {
            f(series, recorder.shard());
        }
    });
}

/// # Safety
/// `this` is an instrument of any kind, all of which have one layout.
unsafe fn described<'a>(this: *mut PyObject) -> &'a Descriptor {
    // SAFETY: by the caller's promise.
    unsafe { of::<COUNTER>(this) }.core.descriptor()
}

unsafe extern "C" fn name(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of these classes.
    text::string(&unsafe { described(this) }.name)
}

unsafe extern "C" fn unit(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of these classes.
    text::string(&unsafe { described(this) }.unit)
}

unsafe extern "C" fn description(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an attribute of these classes.
    text::string(&unsafe { described(this) }.description)
}
