//! Loggers.

use std::sync::Arc;

use coati_core::clock;
use coati_core::hub::Hub;
use coati_core::intern::Id;
use coati_core::ledger::Signal;
use coati_core::log::{LogHead, Threshold, name_id};
use coati_core::record::{Level, SpanIds, flags};

use crate::current;
use crate::engine::{Shared, coati_engine, shared};
use crate::entry::{self, entry, guard};
use crate::fields::{Fields, Given};
use crate::handle::{self, borrow, slice};
use crate::status::{COATI_OK, Failure, Outcome, coati_status};
use crate::text;
use crate::types::{COATI_CRITICAL, coati_field, coati_level, coati_str};

/// A named source of log lines.
pub struct coati_logger {
    hub: Arc<Hub>,
    /// Whether the engine is a host's.
    hosted: bool,
    shared: Arc<Shared>,
    name: Box<str>,
    id: Id,
    threshold: Threshold,
}

impl coati_logger {
    fn hub(&self) -> &Hub {
        &self.hub
    }

    #[inline(always)]
    fn enabled(&self, level: Level) -> bool {
        self.threshold.admits(self.hub(), &self.name, level)
    }

    /// Records a line that is plain, on a thread that has recorded before: nothing is to be cut or
    /// replaced, and the ring has room. True when done; false when nothing happened. Without
    /// `CALL` it calls nothing, see [`Given`], and cannot panic.
    ///
    /// # Safety
    /// As for [`coati_log`].
    #[inline(always)]
    unsafe fn try_log<const CALL: bool>(
        &self,
        span: Option<SpanIds>,
        level: Level,
        message: coati_str,
        (fields, n): (*const coati_field, usize),
    ) -> bool {
        let Some((admitted, epoch)) = self.threshold.known(&self.hub, level) else { return false };
        if message.ptr.is_null()
            || message.len > isize::MAX as usize
            || (n > 0 && (fields.is_null() || !fields.is_aligned()))
        {
            return false;
        }
        let Some(mut turn) = Hub::cached_turn(self.hub.key()) else { return false };
        let Some(recorder) = turn.recorder() else { return false };
        if !admitted {
            recorder.count_filtered();
            return true;
        }
        let ticks = clock::now();
        if CALL {
            recorder.keep_limits();
        }
        let Some(limits) = recorder.kept_limits(epoch) else { return false };
        // SAFETY: the caller's promise.
        let (given, message) = unsafe {
            let text = std::slice::from_raw_parts(message.ptr.cast(), message.len);
            (Given::<CALL>::new(fields, n), text)
        };
        recorder.log_plain(ticks, &self.head(level, message, 0, span), &given, limits)
    }

    /// # Safety
    /// As for [`coati_log`].
    unsafe fn log(
        &self,
        level: coati_level,
        text: coati_str,
        fields: *const coati_field,
        n: usize,
    ) -> Outcome {
        let level = self::level(level)?;
        // SAFETY: the caller's promise.
        let (message, slice) = unsafe { (text.bytes()?, slice(fields, n)?) };
        if !self.enabled(level) {
            return self.filtered();
        }
        // Before the recorder is taken: a host may look at objects of its own.
        let span = self.shared.host().map_or_else(current::ids, current::ids_for);
        // SAFETY: the caller's promise.
        unsafe {
            if self.try_log::<true>(span, level, text, (fields, n)) {
                return Ok(());
            }
            self.log_with_care(span, level, message, slice)
        }
    }

    /// # Safety
    /// As for `log`.
    #[cold]
    #[inline(never)]
    unsafe fn log_with_care(
        &self,
        span: Option<SpanIds>,
        level: Level,
        message: &[u8],
        fields: &[coati_field],
    ) -> Outcome {
        let max_string = self.hub().live().max_string() as usize;
        // SAFETY: the caller's promise.
        let fields = unsafe { Fields::new(fields, max_string) }?;
        let message = text::replaced(message, max_string);
        // Two keys may be the same.
        let head = self.head(level, &message, flags::LAYERED, span);
        self.hub().with(|recorder| match recorder {
            Some(recorder) => {
                recorder.log_with_care(&head, &fields);
                Ok(())
            }
            None => {
                self.hub().lose(Signal::Logs);
                self.shared.off()
            }
        })
    }

    #[inline(always)]
    fn head<'a>(
        &self,
        level: Level,
        message: &'a [u8],
        flags: u8,
        span: Option<SpanIds>,
    ) -> LogHead<'a> {
        LogHead { level, logger: self.id, flags, span, call_site: None, message }
    }

    fn filtered(&self) -> Outcome {
        self.hub().with(|recorder| match recorder {
            Some(recorder) => {
                recorder.count_filtered();
                Ok(())
            }
            None => self.shared.off(),
        })
    }
}

fn level(level: coati_level) -> Result<Level, Failure> {
    if level > COATI_CRITICAL {
        return Err(Failure::BadArgument);
    }
    Ok(Level::from_u8(level))
}

/// The logger called `name`. Cheap, but meant to be kept.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_logger_new(
    engine: *mut coati_engine,
    name: coati_str,
    out: *mut *mut coati_logger,
) -> coati_status {
    entry(|| {
        // SAFETY: handle, text and `out` are what the header asks for.
        unsafe {
            handle::give(out, shared(engine), |shared| {
                let name = text::kept(name)?;
                Ok(coati_logger {
                    hub: shared.hub.clone(),
                    hosted: shared.host().is_some(),
                    shared: shared.clone(),
                    id: name_id(&name),
                    name: name.into(),
                    threshold: Threshold::default(),
                })
            })
        }
    })
}

/// Frees the handle.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_logger_free(logger: *mut coati_logger) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(logger) };
}

/// Whether lines of this level are recorded now.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_logger_enabled(
    logger: *const coati_logger,
    level: coati_level,
) -> bool {
    let enabled = guard(|| {
        // SAFETY: null or a live handle.
        let logger = unsafe { borrow(logger) }.ok()?;
        Some(logger.enabled(self::level(level).ok()?))
    });
    enabled.flatten().unwrap_or(false)
}

/// Records a log line with `n` fields, with the ids of the thread's current span. COATI_OK also
/// where the level is not recorded.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_log(
    logger: *const coati_logger,
    level: coati_level,
    message: coati_str,
    fields: *const coati_field,
    n: usize,
) -> coati_status {
    // SAFETY: handle, texts and fields are what the header asks for.
    unsafe {
        if let Some(known) = logger.as_ref()
            && level <= COATI_CRITICAL
            && !known.hosted
            && entry::is_calm()
            && let level = Level::from_u8(level)
            && match current::is_any() {
                Some(false) => known.try_log::<false>(None, level, message, (fields, n)),
                Some(true) => log_in_span(known, level, message, fields, n),
                None => false,
            }
        {
            return COATI_OK;
        }
        log_slow(logger, level, message, fields, n)
    }
}

/// # Safety
/// As for [`coati_log`].
#[inline(never)]
unsafe fn log_in_span(
    logger: &coati_logger,
    level: Level,
    message: coati_str,
    fields: *const coati_field,
    n: usize,
) -> bool {
    // SAFETY: the caller's promise.
    unsafe { logger.try_log::<false>(current::top_ids(), level, message, (fields, n)) }
}

/// # Safety
/// As for [`coati_log`].
#[cold]
#[inline(never)]
unsafe fn log_slow(
    logger: *const coati_logger,
    level: coati_level,
    message: coati_str,
    fields: *const coati_field,
    n: usize,
) -> coati_status {
    // SAFETY: the caller's promise.
    entry(|| unsafe { borrow(logger)?.log(level, message, fields, n) })
}
