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
use crate::entry::{entry, guard};
use crate::fields::{Fields, Given};
use crate::handle::{self, borrow, slice};
use crate::host::Host;
use crate::status::{Failure, Outcome, coati_status};
use crate::text;
use crate::types::{COATI_CRITICAL, coati_field, coati_level, coati_str};

/// A named source of log lines.
pub struct coati_logger {
    shared: Arc<Shared>,
    name: Box<str>,
    id: Id,
    threshold: Threshold,
}

impl coati_logger {
    fn hub(&self) -> &Hub {
        &self.shared.hub
    }

    #[inline(always)]
    fn enabled(&self, level: Level) -> bool {
        self.threshold.admits(self.hub(), &self.name, level)
    }

    /// # Safety
    /// The texts in `fields` are as [`coati_str::bytes`] asks.
    #[inline(always)]
    unsafe fn log(&self, level: Level, message: &[u8], fields: &[coati_field]) -> Outcome {
        if !self.enabled(level) {
            return self.filtered();
        }
        // SAFETY: the caller's promise.
        unsafe {
            match self.shared.host() {
                None => self.log_under(current::ids, level, message, fields),
                Some(host) => self.log_for(host, level, message, fields),
            }
        }
    }

    /// # Safety
    /// As for `log`.
    #[inline(never)]
    unsafe fn log_for(
        &self,
        host: &'static dyn Host,
        level: Level,
        message: &[u8],
        fields: &[coati_field],
    ) -> Outcome {
        // Before the recorder is taken: the host may look at objects of its own.
        let span = current::ids_for(host);
        // SAFETY: the caller's promise.
        unsafe { self.log_under(|| span, level, message, fields) }
    }

    /// # Safety
    /// As for `log`.
    #[inline(always)]
    unsafe fn log_under(
        &self,
        span: impl Fn() -> Option<SpanIds>,
        level: Level,
        message: &[u8],
        fields: &[coati_field],
    ) -> Outcome {
        let done = self.hub().with(|recorder| {
            let ticks = clock::now();
            // SAFETY: the caller's promise.
            let given = unsafe { Given::new(fields) };
            recorder.is_some_and(|recorder| {
                text::is_utf8(message)
                    && recorder.log_plain(ticks, &self.head(level, message, 0, span()), &given)
            })
        });
        // SAFETY: the caller's promise.
        if done { Ok(()) } else { unsafe { self.log_with_care(level, message, fields) } }
    }

    /// # Safety
    /// As for `log`.
    #[cold]
    #[inline(never)]
    unsafe fn log_with_care(
        &self,
        level: Level,
        message: &[u8],
        fields: &[coati_field],
    ) -> Outcome {
        let max_string = self.hub().live().max_string() as usize;
        // SAFETY: the caller's promise.
        let fields = unsafe { Fields::new(fields, max_string) }?;
        let message = text::replaced(message, max_string);
        let span = self.shared.host().map_or_else(current::ids, current::ids_for);
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
    entry(|| {
        // SAFETY: handle, texts and fields are what the header asks for.
        unsafe {
            let logger = borrow(logger)?;
            logger.log(self::level(level)?, message.bytes()?, slice(fields, n)?)
        }
    })
}
