//! Keyword names to interned keys, by the identity of the tuple the interpreter passes.
//!
//! A call site passes the same constant tuple each time. The cache holds a strong reference, so an
//! address it knows cannot have been given to another tuple.

use std::borrow::Cow;
use std::collections::HashSet;

use coati_core::intern::Id;
use coati_core::record::value::Key;
use pyo3::ffi;
use pyo3::ffi::PyObject;

use crate::gil::Guarded;
use crate::text;

/// What the names of one call mean.
pub struct Names {
    tuple: *mut PyObject,
    keys: Box<[Key<'static>]>,
    /// Texts of keys that the table of names has no room for.
    _texts: Vec<Box<str>>,
    /// Two of them came out the same: lone surrogates are all replaced by one character.
    pub repeated: bool,
    /// `exc_info` is among them, or some are repeated.
    pub special: bool,
    /// A parameter of `Tracer.span` is among them.
    pub span_parameter: bool,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Names {}

/// Parameters of `Tracer.span` and `Tracer.start_span`.
pub const SPAN_PARAMETERS: [&str; 6] =
    ["parent", "kind", "links", "start_time", "timeout", "attributes"];

const SLOTS: usize = 512;
/// Longer tuples come from dicts and are hardly ever met again: they all have one slot, so that the
/// cache keeps few names alive.
const LONG: usize = SLOTS;
const LONGEST: isize = 64;

static CACHE: Guarded<[Option<Box<Names>>; SLOTS + 1]> = Guarded::new([const { None }; SLOTS + 1]);

impl Names {
    /// The keys, one for each name. Valid until other Python code runs.
    #[inline(always)]
    pub fn keys(&self) -> &[Key<'static>] {
        &self.keys
    }

    fn read(tuple: *mut PyObject) -> Self {
        let mut texts = Vec::new();
        let (mut exc_info, mut span_parameter, mut replaced) = (false, false, false);
        // SAFETY: a tuple of `str`, as the convention says.
        let count = unsafe { ffi::PyTuple_GET_SIZE(tuple) };
        let keys: Box<[_]> = (0..count)
            .map(|index| {
                // SAFETY: inside the tuple.
                let name = unsafe { text::lossy(ffi::PyTuple_GET_ITEM(tuple, index)) };
                replaced |= matches!(name, Cow::Owned(_));
                exc_info |= name == "exc_info";
                span_parameter |= SPAN_PARAMETERS.contains(&&*name);
                key(&name, &mut texts)
            })
            .collect();
        // SAFETY: a live object.
        unsafe { ffi::Py_INCREF(tuple) };
        let mut seen = HashSet::new();
        let repeated = replaced && !keys.iter().all(|key| seen.insert(*key));
        let special = exc_info || repeated;
        Self { tuple, keys, _texts: texts, repeated, special, span_parameter }
    }
}

fn key(name: &str, texts: &mut Vec<Box<str>>) -> Key<'static> {
    match Key::new(name) {
        Key::Id(id) => Key::Id(id),
        Key::Text(_) => {
            texts.push(name.into());
            // SAFETY: the box lives, unmoved, as long as the keys beside it.
            Key::Text(unsafe { &*std::ptr::from_ref::<str>(&texts[texts.len() - 1]) })
        }
    }
}

/// What the names in `tuple` mean. The reference is good until other Python code runs, which may
/// put another tuple into the same slot: look it up after all values are converted.
#[inline(always)]
pub fn of<'a>(tuple: *mut PyObject) -> &'a Names {
    let slot = slot(tuple);
    if let Some(cache) = CACHE.borrow()
        && let Some(known) = &cache[slot]
        && known.tuple == tuple
    {
        // SAFETY: the box stays where it is until `remember` replaces it, which only other Python
        // code brings about.
        return unsafe { &*std::ptr::from_ref::<Names>(&**known) };
    }
    remember(tuple, slot)
}

#[inline(always)]
fn slot(tuple: *mut PyObject) -> usize {
    let address = tuple as usize;
    (address >> 4 ^ address >> 13) % SLOTS
}

#[cold]
#[inline(never)]
fn remember<'a>(tuple: *mut PyObject, slot: usize) -> &'a Names {
    let fresh = Box::new(Names::read(tuple));
    // SAFETY: a tuple, as the convention says.
    let slot = if unsafe { ffi::PyTuple_GET_SIZE(tuple) } > LONGEST { LONG } else { slot };
    let fresh_at = std::ptr::from_ref::<Names>(&*fresh);
    let before = match CACHE.borrow() {
        Some(mut cache) => cache[slot].replace(fresh),
        None => unreachable!("no Python code runs while the cache is borrowed"),
    };
    if let Some(before) = before {
        // A name of a subclass of `str` may run code when it goes; later, and not from here.
        // SAFETY: our reference.
        unsafe { let_go(before.tuple) };
    }
    // SAFETY: in the cache since the line above; see `of`.
    unsafe { &*fresh_at }
}

/// A name that came alone, out of a dict.
#[derive(Clone, Copy)]
struct Single {
    name: *mut PyObject,
    id: Id,
    /// What the standard library's `logging` does not take as a field of the program.
    taken: bool,
}

// SAFETY: touched under the interpreter's lock only.
unsafe impl Send for Single {}

static SINGLES: Guarded<[Single; SLOTS]> =
    Guarded::new([const { Single { name: std::ptr::null_mut(), id: Id(0), taken: false } }; SLOTS]);

/// The attributes of a `logging.LogRecord`, of every release.
const RECORD_ATTRIBUTES: [&str; 24] = [
    "name",
    "msg",
    "args",
    "levelname",
    "levelno",
    "pathname",
    "filename",
    "module",
    "exc_info",
    "exc_text",
    "stack_info",
    "lineno",
    "funcName",
    "created",
    "msecs",
    "relativeCreated",
    "thread",
    "threadName",
    "processName",
    "process",
    "taskName",
    "message",
    "asctime",
    "",
];

/// The key that one name stands for, and whether it is an attribute of log records; `None` where it
/// takes longer to say.
///
/// # Safety
/// `name` is a live object.
#[inline(always)]
pub unsafe fn single(name: *mut PyObject) -> Option<(Key<'static>, bool)> {
    let slot = slot(name);
    if let Some(singles) = SINGLES.borrow()
        && singles[slot].name == name
    {
        return Some((Key::Id(singles[slot].id), singles[slot].taken));
    }
    // SAFETY: by the caller's promise.
    unsafe { remember_single(name, slot) }
}

/// # Safety
/// `name` is a live object.
#[cold]
#[inline(never)]
unsafe fn remember_single(name: *mut PyObject, slot: usize) -> Option<(Key<'static>, bool)> {
    // SAFETY: by the caller's promise; of an exact `str` nothing runs when it goes.
    let text = unsafe {
        if ffi::PyUnicode_CheckExact(name) == 0 {
            return None;
        }
        text::utf8(name)?
    };
    let Key::Id(id) = Key::new(text) else { return None };
    let taken = RECORD_ATTRIBUTES.contains(&text);
    // SAFETY: a live object.
    let fresh = Single { name: unsafe { ffi::Py_NewRef(name) }, id, taken };
    let before = SINGLES.borrow().map(|mut singles| std::mem::replace(&mut singles[slot], fresh));
    if let Some(before) = before {
        // SAFETY: our reference to an exact `str`, or null.
        unsafe { ffi::Py_XDECREF(before.name) };
    }
    Some((Key::Id(id), taken))
}

/// # Safety
/// Gives up one reference to a live tuple.
unsafe fn let_go(tuple: *mut PyObject) {
    // SAFETY: by the caller's promise.
    unsafe {
        let exact = (0..ffi::PyTuple_GET_SIZE(tuple))
            .all(|index| ffi::PyUnicode_CheckExact(ffi::PyTuple_GET_ITEM(tuple, index)) != 0);
        if exact {
            ffi::Py_DECREF(tuple);
        } else {
            // Foreign code must not run here: the interpreter drops it at its next safe point.
            ffi::Py_AddPendingCall(Some(drop_later), tuple.cast());
        }
    }
}

extern "C" fn drop_later(tuple: *mut std::ffi::c_void) -> std::ffi::c_int {
    // SAFETY: the reference that `let_go` gave up.
    unsafe { ffi::Py_DECREF(tuple.cast()) };
    0
}
