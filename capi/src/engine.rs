//! The engine's handle.

use std::sync::Arc;
use std::time::Duration;

use coati_core::hub::Hub;
use coati_core::ledger::Signal;
use coati_export::config::{Sources, process_env};
use coati_export::{Config, Engine, Options};
use serde_json::Value;

use crate::buffer;
use crate::entry::entry;
use crate::exit;
use crate::handle;
use crate::host::Host;
use crate::last_error::because;
use crate::status::{Failure, Outcome, coati_status};
use crate::types::{COATI_LOGS, COATI_SPANS, coati_buffer, coati_ledger, coati_str};

/// What the engine's handle and all its children share. The last of them to go drops the engine,
/// which flushes and stops.
pub(crate) struct Shared {
    pub(crate) hub: Arc<Hub>,
    owner: Owner,
}

enum Owner {
    Handles { engine: Arc<Engine>, enabled: bool },
    Host(&'static dyn Host),
}

impl Shared {
    /// What a call says that finds recording off: nothing is wrong where it was never on.
    pub(crate) fn off(&self) -> Outcome {
        let enabled = match &self.owner {
            Owner::Handles { enabled, .. } => *enabled,
            Owner::Host(host) => host.engine().is_none_or(|engine| engine.config().enabled),
        };
        if enabled { Err(Failure::Stopped) } else { Ok(()) }
    }

    /// [`Shared::off`] unless recording is on.
    #[inline]
    pub(crate) fn on(&self) -> Outcome {
        if self.hub.is_on() { Ok(()) } else { self.off() }
    }

    /// The engine; a host may have none yet.
    fn engine(&self) -> Result<Arc<Engine>, Failure> {
        match &self.owner {
            Owner::Handles { engine, .. } => Ok(engine.clone()),
            Owner::Host(host) => host.engine().ok_or(Failure::Stopped),
        }
    }

    /// The engine that belongs to the handles.
    pub(crate) fn own(&self) -> Option<&Arc<Engine>> {
        match &self.owner {
            Owner::Handles { engine, .. } => Some(engine),
            Owner::Host(_) => None,
        }
    }

    /// Whose engine it is, where it is not the handles' own.
    #[inline(always)]
    pub(crate) fn host(&self) -> Option<&'static dyn Host> {
        match self.owner {
            Owner::Handles { .. } => None,
            Owner::Host(host) => Some(host),
        }
    }
}

/// An engine: rings, metrics, a thread that writes. Made by coati_init. Loggers, tracers, spans
/// and instruments made from it keep it alive; when the last handle is freed it is flushed and
/// shut down.
pub struct coati_engine {
    shared: Arc<Shared>,
}

/// The engine behind a handle.
///
/// # Safety
/// As for [`handle::borrow`].
pub(crate) unsafe fn shared<'a>(engine: *const coati_engine) -> Result<&'a Arc<Shared>, Failure> {
    // SAFETY: the caller's promise.
    unsafe { handle::borrow(engine) }.map(|engine| &engine.shared)
}

/// A time-out in milliseconds that no clock overflows at: at most some fifty days.
fn timeout(ms: u64) -> Duration {
    Duration::from_millis(ms.min(u32::MAX.into()))
}

/// Starts an engine with a configuration as JSON: the sections and keys of the documentation,
/// beside them `preset` and `config_file`. An empty text means the defaults; the environment
/// (COATI_*, OTEL_*) counts below it. Each call makes an engine of its own.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_init(
    config_json: coati_str,
    out: *mut *mut coati_engine,
) -> coati_status {
    entry(|| {
        // SAFETY: `config_json` and `out` are what the header asks for.
        unsafe {
            handle::give(out, config_json.bytes(), |json| {
                start(json).map(|shared| coati_engine { shared })
            })
        }
    })
}

fn start(json: &[u8]) -> Result<Arc<Shared>, Failure> {
    let bad = |reason: &dyn std::fmt::Display| because(Failure::BadConfig, reason);
    let mut dict: Option<Value> = match json.trim_ascii() {
        [] => None,
        json => Some(serde_json::from_slice(json).map_err(|error| bad(&error))?),
    };
    let mut argument = |name: &str| match dict.as_mut()?.as_object_mut()?.shift_remove(name)? {
        Value::String(text) => Some(Ok(text)),
        other => Some(Err(bad(&format!("{name} = {other}: accepted: a string")))),
    };
    let preset = argument("preset").transpose()?;
    let file = argument("config_file").transpose()?;
    let sources = Sources {
        preset: preset.as_deref(),
        env: process_env(),
        file: file.as_deref().map(std::path::Path::new),
        dict,
        service: None,
    };
    let config = Config::load(sources).map_err(|error| bad(&error))?;
    let enabled = config.enabled;
    let hub = Hub::new();
    let engine =
        Engine::start(hub.clone(), config, Options { language: "cpp", ..Options::default() })
            .map_err(|error| because(Failure::Io, &error))?;
    let shared = Arc::new(Shared { hub, owner: Owner::Handles { engine, enabled } });
    exit::flush_at_exit(&shared);
    Ok(shared)
}

/// As [`coati_init`] for the extension modules of a host: a handle of the host's engine, which it
/// starts, configures and stops itself. A configuration is refused.
///
/// # Safety
/// `config_json` and `out` are what the header asks for.
pub unsafe fn lend(
    host: &'static dyn Host,
    config_json: coati_str,
    out: *mut *mut coati_engine,
) -> coati_status {
    entry(|| {
        // SAFETY: the caller's promise.
        unsafe {
            handle::give(out, config_json.bytes(), |json| {
                if !json.trim_ascii().is_empty() {
                    let reason = "the engine belongs to the program, which configures it";
                    return Err(because(Failure::BadConfig, &reason));
                }
                let shared = Shared { hub: host.hub().clone(), owner: Owner::Host(host) };
                Ok(coati_engine { shared: Arc::new(shared) })
            })
        }
    })
}

/// Frees the handle. Its children go on; without any the engine is flushed and shut down.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_engine_free(engine: *mut coati_engine) {
    // SAFETY: null or the caller's own.
    unsafe { handle::free(engine) };
}

/// Waits until everything that any thread recorded before the call is in its sinks.
/// COATI_TIMEOUT: not in time.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_flush(engine: *mut coati_engine, timeout_ms: u64) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle.
        let shared = unsafe { shared(engine) }?;
        shared.on()?;
        let flushed = match &shared.owner {
            Owner::Handles { engine, .. } => engine.flush(timeout(timeout_ms)),
            Owner::Host(host) => host.flush(timeout(timeout_ms)),
        };
        if flushed { Ok(()) } else { Err(Failure::Timeout) }
    })
}

/// Flushes and stops; later calls record nothing. Once more is no error. COATI_TIMEOUT: stopped,
/// but not everything is in its sinks.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_shutdown(
    engine: *mut coati_engine,
    timeout_ms: u64,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle.
        let shared = unsafe { shared(engine) }?;
        let ledger = match &shared.owner {
            Owner::Handles { engine, .. } => engine.shutdown(timeout(timeout_ms)),
            Owner::Host(host) => host.shutdown(timeout(timeout_ms)),
        };
        let left = Signal::ALL.iter().any(|&signal| ledger.account(signal).in_flight > 0);
        if left { Err(Failure::Timeout) } else { Ok(()) }
    })
}

/// The books of COATI_LOGS or COATI_SPANS, also after a shutdown.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_get_ledger(
    engine: *mut coati_engine,
    signal: u32,
    out: *mut coati_ledger,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            handle::fill(out, coati_ledger::default(), shared(engine), |shared| {
                let signal = match signal {
                    COATI_LOGS => Signal::Logs,
                    COATI_SPANS => Signal::Spans,
                    _ => return Err(Failure::BadArgument),
                };
                let ledger = shared.engine()?.ledger();
                let account = ledger.account(signal);
                Ok(coati_ledger {
                    recorded: account.recorded,
                    delivered: account.delivered,
                    dropped: account.dropped_total(),
                    in_flight: account.in_flight,
                })
            })
        }
    })
}

/// How the engine is, as JSON: `ok`, `problems`, `sinks`, `uptime_s`, `memory_bytes` and more.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_health_json(
    engine: *mut coati_engine,
    out: *mut coati_buffer,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            buffer::give(out, shared(engine), |shared| {
                Ok(shared.engine()?.health().to_string().into_bytes())
            })
        }
    })
}

/// All metrics in the Prometheus text format.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub unsafe extern "C" fn coati_prometheus_text(
    engine: *mut coati_engine,
    out: *mut coati_buffer,
) -> coati_status {
    entry(|| {
        // SAFETY: null or a live handle; `out` null or the caller's to write.
        unsafe {
            buffer::give(out, shared(engine), |shared| {
                Ok(shared.engine()?.prometheus_text().into_bytes())
            })
        }
    })
}
