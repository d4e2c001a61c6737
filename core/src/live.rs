//! Settings that change while threads record: each a plain load where it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::propagate::Formats;
use crate::record::Level;
use crate::span::SpanContext;
use crate::span::sampler::Head;

/// Thresholds by logger name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    /// For loggers that nothing else fits.
    pub default: Level,
    /// By name; holds for dotted children too, the longest name wins.
    pub by_name: Vec<(String, Level)>,
    /// Loggers and tracers that are switched off, with their dotted children.
    pub disabled: Vec<String>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { default: Level::Info, by_name: Vec::new(), disabled: Vec::new() }
    }
}

/// A threshold that no level reaches.
pub const NEVER: u8 = u8::MAX;

impl Levels {
    /// The lowest level that the logger called `name` records, or [`NEVER`].
    pub fn threshold(&self, name: &str) -> u8 {
        if self.is_disabled(name) {
            return NEVER;
        }
        let fitting = self.by_name.iter().filter(|(parent, _)| is_within(name, parent));
        let level = fitting.max_by_key(|(parent, _)| parent.len()).map_or(self.default, |l| l.1);
        level as u8
    }

    /// Whether `name` is switched off.
    pub fn is_disabled(&self, name: &str) -> bool {
        self.disabled.iter().any(|parent| is_within(name, parent))
    }
}

fn is_within(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Bounds on what one record holds, as in OpenTelemetry's span limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one string of a log line.
    pub max_string: u32,
    /// Bytes of one string of a span.
    pub max_span_string: u32,
    /// Fields of a log line.
    pub max_fields: u32,
    /// Attributes of a span.
    pub max_attributes: u32,
    /// Attributes of an event of a span.
    pub max_event_attributes: u32,
    /// Attributes of a link.
    pub max_link_attributes: u32,
    /// Events of a span.
    pub max_events: u32,
    /// Links of a span.
    pub max_links: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let (bytes, n) = (16384, 128);
        Self {
            max_string: bytes,
            max_span_string: bytes,
            max_fields: n,
            max_attributes: n,
            max_event_attributes: n,
            max_link_attributes: n,
            max_events: n,
            max_links: n,
        }
    }
}

/// Which measurements are offered as exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExemplarFilter {
    /// Those made inside a sampled span.
    #[default]
    TraceBased,
    /// All.
    AlwaysOn,
    /// None.
    AlwaysOff,
}

/// No measurement is an exemplar.
const OFF: u8 = 0;
/// None is as long as no sampled span is open.
const ASLEEP: u8 = 1;
/// Sampled spans may be open: those inside are.
const AWAKE: u8 = 2;
/// All are.
const ALL: u8 = 3;

/// How many settings there are with which measurements may be exemplars.
static AWAKE_SETTINGS: AtomicU32 = AtomicU32::new(0);

/// Whether a measurement may be an exemplar. A caller that has made one looks for its span then, and
/// asks [`crate::hub::Hub::takes_exemplar`]. One look at a static, so that it costs no more than that while no
/// sampled span is open.
#[inline(always)]
pub fn exemplars_wanted() -> bool {
    AWAKE_SETTINGS.load(Ordering::Relaxed) != 0
}

/// A state has been replaced by another one.
fn count_awake(before: u8, after: u8) {
    match (before >= AWAKE, after >= AWAKE) {
        (false, true) => AWAKE_SETTINGS.fetch_add(1, Ordering::Relaxed),
        (true, false) => AWAKE_SETTINGS.fetch_sub(1, Ordering::Relaxed),
        _ => 0,
    };
}

impl Drop for Live {
    fn drop(&mut self) {
        count_awake(*self.exemplars.get_mut(), OFF);
    }
}

/// The settings in force.
#[derive(Debug)]
pub struct Live {
    /// Raised whenever a cached threshold or limit may be wrong.
    epoch: AtomicU64,
    levels: ArcSwap<Levels>,
    some_disabled: AtomicBool,
    max_string: AtomicU32,
    max_span_string: AtomicU32,
    max_fields: AtomicU32,
    max_attributes: AtomicU32,
    max_event_attributes: AtomicU32,
    max_link_attributes: AtomicU32,
    max_events: AtomicU32,
    max_links: AtomicU32,
    call_sites: AtomicBool,
    /// Which measurements are exemplars now.
    exemplars: AtomicU8,
    exemplar_misses: AtomicU32,
    propagators: AtomicU32,
    baggage_fields: ArcSwap<Vec<String>>,
    watching: AtomicBool,
    heartbeat_ns: AtomicU64,
    timeout_ns: AtomicU64,
    head: Head,
}

// Relaxed throughout: each setting is read alone, and a caller may see the old value for a moment.
impl Live {
    /// The defaults.
    pub fn new() -> Arc<Self> {
        let live = Self {
            epoch: AtomicU64::new(1),
            levels: ArcSwap::from_pointee(Levels::default()),
            some_disabled: AtomicBool::new(false),
            max_string: AtomicU32::new(0),
            max_span_string: AtomicU32::new(0),
            max_fields: AtomicU32::new(0),
            max_attributes: AtomicU32::new(0),
            max_event_attributes: AtomicU32::new(0),
            max_link_attributes: AtomicU32::new(0),
            max_events: AtomicU32::new(0),
            max_links: AtomicU32::new(0),
            call_sites: AtomicBool::new(false),
            exemplars: AtomicU8::new(ASLEEP),
            exemplar_misses: AtomicU32::new(0),
            propagators: AtomicU32::new(Formats::default().pack()),
            baggage_fields: ArcSwap::default(),
            watching: AtomicBool::new(false),
            heartbeat_ns: AtomicU64::new(0),
            timeout_ns: AtomicU64::new(0),
            head: Head::default(),
        };
        live.set_limits(Limits::default());
        Arc::new(live)
    }

    /// Which generation of levels and limits is in force.
    #[inline(always)]
    pub fn epoch(&self) -> u64 {
        // Acquire: pairs with the Release in `bump`.
        self.epoch.load(Ordering::Acquire)
    }

    /// Makes every cached threshold and limit be looked up again.
    pub fn bump(&self) {
        // Release: who sees the new generation and looks up what is in force sees no older one.
        self.epoch.fetch_add(1, Ordering::Release);
    }

    /// The levels in force.
    pub fn levels(&self) -> Arc<Levels> {
        self.levels.load_full()
    }

    /// Whether the logger or tracer called `name` is switched off.
    #[inline]
    pub fn is_disabled(&self, name: &str) -> bool {
        self.some_disabled.load(Ordering::Relaxed) && self.levels.load().is_disabled(name)
    }

    /// Replaces the levels.
    pub fn set_levels(&self, levels: Levels) {
        self.some_disabled.store(!levels.disabled.is_empty(), Ordering::Relaxed);
        self.levels.store(Arc::new(levels));
        self.bump();
    }

    /// The limits in force.
    #[inline]
    pub fn limits(&self) -> Limits {
        Limits {
            max_string: self.max_string.load(Ordering::Relaxed),
            max_span_string: self.max_span_string.load(Ordering::Relaxed),
            max_fields: self.max_fields.load(Ordering::Relaxed),
            max_attributes: self.max_attributes.load(Ordering::Relaxed),
            max_event_attributes: self.max_event_attributes.load(Ordering::Relaxed),
            max_link_attributes: self.max_link_attributes.load(Ordering::Relaxed),
            max_events: self.max_events.load(Ordering::Relaxed),
            max_links: self.max_links.load(Ordering::Relaxed),
        }
    }

    /// Bytes of one string of a log line.
    #[inline(always)]
    pub fn max_string(&self) -> u32 {
        self.max_string.load(Ordering::Relaxed)
    }

    /// Bytes of one string of a span.
    #[inline(always)]
    pub fn max_span_string(&self) -> u32 {
        self.max_span_string.load(Ordering::Relaxed)
    }

    /// Fields of a log line.
    #[inline(always)]
    pub fn max_fields(&self) -> u32 {
        self.max_fields.load(Ordering::Relaxed)
    }

    /// Replaces the limits.
    pub fn set_limits(&self, limits: Limits) {
        self.max_string.store(limits.max_string, Ordering::Relaxed);
        self.max_span_string.store(limits.max_span_string, Ordering::Relaxed);
        self.max_fields.store(limits.max_fields, Ordering::Relaxed);
        self.max_attributes.store(limits.max_attributes, Ordering::Relaxed);
        self.max_event_attributes.store(limits.max_event_attributes, Ordering::Relaxed);
        self.max_link_attributes.store(limits.max_link_attributes, Ordering::Relaxed);
        self.max_events.store(limits.max_events, Ordering::Relaxed);
        self.max_links.store(limits.max_links, Ordering::Relaxed);
        self.bump();
    }

    /// Whether log calls record where they stand.
    #[inline(always)]
    pub fn call_sites(&self) -> bool {
        self.call_sites.load(Ordering::Relaxed)
    }

    /// Switches call sites on or off.
    pub fn set_call_sites(&self, on: bool) {
        self.call_sites.store(on, Ordering::Relaxed);
    }

    /// What decides on new traces.
    #[inline(always)]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whether so many measurements in a row were made outside sampled spans that it is worth a look
    /// whether any is open.
    pub(crate) fn missed_exemplar(&self) -> bool {
        const MANY: u32 = 64;
        // Loaded and stored: a miss that two threads count once does no harm.
        let misses = self.exemplar_misses.load(Ordering::Relaxed).wrapping_add(1);
        self.exemplar_misses.store(misses, Ordering::Relaxed);
        misses.is_multiple_of(MANY)
    }

    /// Whether a measurement is offered that was made inside this span, or outside any.
    pub(crate) fn takes_exemplar(&self, span: Option<&SpanContext>) -> bool {
        match self.exemplars.load(Ordering::Relaxed) {
            ALL => true,
            AWAKE => span.is_some_and(|span| span.is_sampled() && span.is_valid()),
            _ => false,
        }
    }

    /// Chooses which measurements are offered as exemplars.
    pub fn set_exemplars(&self, filter: ExemplarFilter) {
        let state = match (filter, self.exemplars.load(Ordering::Relaxed)) {
            (ExemplarFilter::TraceBased, ASLEEP | AWAKE) => return,
            // A sampled span may be open.
            (ExemplarFilter::TraceBased, _) => AWAKE,
            (ExemplarFilter::AlwaysOn, _) => ALL,
            (ExemplarFilter::AlwaysOff, _) => OFF,
        };
        let before = self.exemplars.swap(state, Ordering::Relaxed);
        count_awake(before, state);
    }

    /// A sampled span has been opened.
    #[inline(always)]
    pub(crate) fn wake_exemplars(&self) {
        if self.exemplars.load(Ordering::Relaxed) == ASLEEP {
            self.change_exemplars(ASLEEP, AWAKE);
        }
    }

    /// Spares callers the look for their span until the next sampled span is opened, if `open` says
    /// that none is. Where one is opened at this very moment, exemplars may sleep over it.
    pub(crate) fn rest_exemplars(&self, open: impl Fn() -> bool) {
        if self.exemplars.load(Ordering::Relaxed) == AWAKE && !open() {
            self.change_exemplars(AWAKE, ASLEEP);
            if open() {
                self.change_exemplars(ASLEEP, AWAKE);
            }
        }
    }

    #[cold]
    fn change_exemplars(&self, from: u8, to: u8) {
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.exemplars.compare_exchange(from, to, success, failure).is_ok() {
            count_awake(from, to);
        }
    }

    /// The headers that carry a context.
    #[inline(always)]
    pub fn propagators(&self) -> Formats {
        Formats::unpack(self.propagators.load(Ordering::Relaxed))
    }

    /// Replaces the headers that carry a context.
    pub fn set_propagators(&self, formats: Formats) {
        self.propagators.store(formats.pack(), Ordering::Relaxed);
    }

    /// Whether spans that begin are watched.
    #[inline(always)]
    pub fn is_watching(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
    }

    /// Nanoseconds between two heartbeats of an open span, 0 for none.
    pub fn heartbeat_ns(&self) -> u64 {
        self.heartbeat_ns.load(Ordering::Relaxed)
    }

    /// Nanoseconds after which an open span is late, 0 for never.
    pub fn timeout_ns(&self) -> u64 {
        self.timeout_ns.load(Ordering::Relaxed)
    }

    /// Sets both; spans that begin from now on are watched for them.
    pub fn set_watching(&self, heartbeat_ns: u64, timeout_ns: u64) {
        self.heartbeat_ns.store(heartbeat_ns, Ordering::Relaxed);
        self.timeout_ns.store(timeout_ns, Ordering::Relaxed);
        self.watching.store(heartbeat_ns > 0 || timeout_ns > 0, Ordering::Relaxed);
    }

    /// Names of baggage that are copied onto spans and log lines.
    pub fn baggage_fields(&self) -> Arc<Vec<String>> {
        self.baggage_fields.load_full()
    }

    /// Replaces the names of baggage that are copied.
    pub fn set_baggage_fields(&self, names: Vec<String>) {
        self.baggage_fields.store(Arc::new(names));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_dotted_parent_decides() {
        let levels = Levels {
            default: Level::Info,
            by_name: vec![("a".into(), Level::Error), ("a.b".into(), Level::Debug)],
            disabled: vec!["noisy".into()],
        };
        assert_eq!(levels.threshold("a"), Level::Error as u8);
        assert_eq!(levels.threshold("a.b.c"), Level::Debug as u8);
        assert_eq!(levels.threshold("ab"), Level::Info as u8);
        assert_eq!(levels.threshold("noisy.part"), NEVER);
        assert_eq!(levels.threshold("noisier"), Level::Info as u8);
    }
}
