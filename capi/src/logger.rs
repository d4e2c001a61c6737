//! Loggers.

use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::intern::Id;
use coati_core::ledger::Signal;
use coati_core::log::{LogHead, Threshold, encode_log, name_id};
use coati_core::record::write::Encoder;
use coati_core::record::{Level, flags};

use crate::current;
use crate::engine::{Shared, coati_engine, shared};
use crate::entry::{entry, guard};
use crate::fields::{Fields, Plain};
use crate::handle::{self, borrow, slice};
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
        let max_string = self.hub().live().limits().max_string as usize;
        let mut plain = Plain::new(fields);
        // SAFETY: the caller's promise.
        if unsafe { plain.look(max_string) } && text::is_plain(message, max_string) {
            return self.record(level, message, plain.repeated, |encoder, limit| {
                plain.encode(encoder, limit)
            });
        }
        // SAFETY: the caller's promise.
        unsafe { self.log_checked(level, message, fields, max_string) }
    }

    /// # Safety
    /// As for `log`.
    #[cold]
    #[inline(never)]
    unsafe fn log_checked(
        &self,
        level: Level,
        message: &[u8],
        fields: &[coati_field],
        max_string: usize,
    ) -> Outcome {
        // SAFETY: the caller's promise.
        let fields = unsafe { Fields::new(fields, max_string) }?;
        let message = text::replaced(message, max_string);
        self.record(level, &message, true, |encoder, limit| fields.encode(encoder, limit))
    }

    #[inline(always)]
    fn record(
        &self,
        level: Level,
        message: &[u8],
        repeated: bool,
        fields: impl Fn(&mut Encoder<'_>, u32) -> (u32, u32),
    ) -> Outcome {
        let head = LogHead {
            level,
            logger: self.id,
            flags: u8::from(repeated) * flags::LAYERED,
            span: current::ids(),
            call_site: None,
            message,
        };
        self.hub().with(|recorder| {
            let Some(recorder) = recorder else { return self.lost() };
            let limit = recorder.pipeline().live().limits().max_fields;
            recorder.record(Signal::Logs, level, |encoder, ticks| {
                encode_log(encoder, ticks, &head, |encoder| fields(encoder, limit));
            });
            Ok(())
        })
    }

    #[cold]
    fn lost(&self) -> Outcome {
        self.hub().lose(Signal::Logs);
        self.shared.off()
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
