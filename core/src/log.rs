//! Loggers: level check, then one record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::hub::Hub;
use crate::intern::{self, Id};
use crate::ledger::Signal;
use crate::live::NEVER;
pub use crate::record::fields::encode_fields;
use crate::record::fields::{KnownFields, PlainFields};
use crate::record::write::{Encoder, cut};
use crate::record::{CallSite, Header, Kind, Level, LogFixed, SpanIds, flags, halves, padded};

/// A logger's threshold, cached until the levels change.
#[derive(Debug, Default)]
pub struct Threshold(AtomicU64);

impl Threshold {
    /// Whether the logger records `level`, and the generation of the settings in which it is known.
    #[inline(always)]
    pub fn known(&self, hub: &Hub, level: Level) -> Option<(bool, u64)> {
        // Relaxed: as in `admits`.
        let cached = self.0.load(Ordering::Relaxed);
        let epoch = hub.live().epoch();
        (cached >> 8 == epoch).then_some((level as u8 >= cached as u8, epoch))
    }

    /// Whether the logger called `name` records `level` now.
    #[inline(always)]
    pub fn admits(&self, hub: &Hub, name: &str, level: Level) -> bool {
        // Relaxed: epoch and threshold travel in one word, and a caller may see the old one for a
        // moment.
        let mut cached = self.0.load(Ordering::Relaxed);
        if cached >> 8 != hub.live().epoch() {
            cached = self.look_up(hub, name);
        }
        level as u8 >= cached as u8
    }

    #[cold]
    fn look_up(&self, hub: &Hub, name: &str) -> u64 {
        let epoch = hub.live().epoch();
        let threshold = if hub.is_on() { hub.live().levels().threshold(name) } else { NEVER };
        let cached = epoch << 8 | u64::from(threshold);
        self.0.store(cached, Ordering::Relaxed);
        cached
    }
}

/// What a log line begins with.
#[derive(Debug, Clone, Copy)]
pub struct LogHead<'a> {
    /// Severity.
    pub level: Level,
    /// Id of the logger's name.
    pub logger: Id,
    /// [`flags::LAYERED`], [`flags::INTERNAL`] and [`flags::TRACE_FLAGS`]; the others follow from
    /// the options.
    pub flags: u8,
    /// The span it is made in.
    pub span: Option<SpanIds>,
    /// Where the call stands.
    pub call_site: Option<CallSite>,
    /// The message, UTF-8.
    pub message: &'a [u8],
}

impl LogHead<'_> {
    #[inline(always)]
    fn flags(&self) -> u8 {
        self.flags
            + u8::from(self.span.is_some()) * flags::IN_SPAN
            + u8::from(self.call_site.is_some()) * flags::CALL_SITE
    }

    /// Writes the record into `[start, end)` if it is plain and fits; where it ends.
    ///
    /// # Safety
    /// The range is writable, both ends are aligned to 8.
    #[inline(always)]
    pub(crate) unsafe fn write_plain(
        &self,
        start: *mut u8,
        end: *mut u8,
        ticks: u64,
        fields: &(impl PlainFields + ?Sized),
        (limit, max_string): (usize, usize),
    ) -> Option<usize> {
        let (count, length) = (fields.count(), self.message.len());
        let optional = self.span.map_or(0, |_| size_of::<SpanIds>())
            + self.call_site.map_or(0, |_| size_of::<CallSite>());
        let ahead = size_of::<LogFixed>() + optional;
        if count > limit
            || length > max_string
            || ahead + padded(length) > end as usize - start as usize
        {
            return None;
        }
        // SAFETY: there is room for what comes ahead of the fields, which look after themselves.
        unsafe {
            // The words of `LogFixed`, the first one last: what it needs is known at the end.
            start.add(8).cast::<[u64; 4]>().write([
                ticks,
                halves(self.logger.0, length as u32),
                0,
                count as u64,
            ]);
            let mut to = start.add(size_of::<LogFixed>());
            if let Some(ids) = self.span {
                to.cast::<SpanIds>().write(ids);
                to = to.add(size_of::<SpanIds>());
            }
            if let Some(site) = self.call_site {
                to.cast::<CallSite>().write(site);
                to = to.add(size_of::<CallSite>());
            }
            if !fields.write_text(self.message, to) {
                return None;
            }
            let (end, flags) = fields.write_plain(to.add(padded(length)), end, max_string)?;
            let size = end.as_ptr() as usize - start as usize;
            let first = Header::word(Kind::Log, self.level, self.flags() | flags) | size as u64;
            start.cast::<u64>().write(first);
            Some(size)
        }
    }
}

/// Encodes a log line. `fields` writes its fields and tells how many it wrote and how many it left
/// out.
#[inline(always)]
pub fn encode_log(
    encoder: &mut Encoder<'_>,
    ticks: u64,
    head: &LogHead<'_>,
    fields: impl Fn(&mut Encoder<'_>) -> (u32, u32),
) {
    let message = cut(head.message, encoder.max_string());
    let begin = encoder.len();
    // The words of `LogFixed`.
    let whole = encoder.words([
        Header::word(Kind::Log, head.level, head.flags()),
        ticks,
        halves(head.logger.0, message.len() as u32),
        (head.message.len() - message.len()) as u64,
        0,
    ]) && head.span.is_none_or(|ids| encoder.fixed(&ids))
        && head.call_site.is_none_or(|site| encoder.fixed(&site))
        && encoder.text(message);
    if !whole {
        return encoder.truncate(begin);
    }
    let (written, left_out) = fields(encoder);
    let counts = begin + std::mem::offset_of!(LogFixed, fields);
    encoder.patch(counts, &halves(written, left_out));
}

/// A named source of log lines.
#[derive(Debug)]
pub struct Logger {
    hub: Arc<Hub>,
    name: Box<str>,
    id: Id,
    threshold: Threshold,
}

impl Logger {
    /// The logger called `name`. Cheap, but meant to be kept.
    pub fn new(hub: Arc<Hub>, name: &str) -> Self {
        Self { hub, name: name.into(), id: name_id(name), threshold: Threshold::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `level` is recorded now.
    #[inline(always)]
    pub fn enabled(&self, level: Level) -> bool {
        self.threshold.admits(&self.hub, &self.name, level)
    }

    /// Records a line outside any span.
    #[inline(always)]
    pub fn log(&self, level: Level, message: &str, fields: &(impl KnownFields + ?Sized)) {
        self.log_in(None, level, message, fields);
    }

    /// Records a line with the ids of `span`. `fields`: an array or slice of [`crate::record::value::Field`]s.
    #[inline(always)]
    pub fn log_in(
        &self,
        span: Option<SpanIds>,
        level: Level,
        message: &str,
        fields: &(impl KnownFields + ?Sized),
    ) {
        if !self.enabled(level) {
            return self.filtered();
        }
        let head = LogHead {
            level,
            logger: self.id,
            flags: 0,
            span,
            call_site: None,
            message: message.as_bytes(),
        };
        match self.hub.turn().recorder() {
            Some(recorder) => recorder.log(&head, fields),
            None => self.hub.lose(Signal::Logs),
        }
    }

    fn filtered(&self) {
        self.hub.with(|recorder| {
            if let Some(recorder) = recorder {
                recorder.count_filtered();
            }
        });
    }
}

/// The id of a logger's or tracer's name, of which only the beginning counts where it is long; names
/// beyond the table's room share one id.
pub fn name_id(name: &str) -> Id {
    let name = &name[..name.floor_char_boundary(intern::MAX_LEN)];
    intern::intern(name).or_else(|| intern::intern("(other)")).unwrap_or(Id(0))
}
