//! What is recorded and not yet written when the program ends without a shutdown.

use std::sync::{Arc, Mutex, Once, Weak};
use std::time::{Duration, Instant};

use crate::engine::Shared;
use crate::entry::guard;

/// All engines.
static ENGINES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// How long `exit` may take longer.
const LIMIT: Duration = Duration::from_secs(5);

/// Has the engine flushed by `exit`. It keeps running after that: destructors of statics may
/// still record.
pub(crate) fn flush_at_exit(shared: &Arc<Shared>) {
    static REGISTER: Once = Once::new();
    // SAFETY: `flush_all` stays mapped (build.rs: nodelete) and never unwinds.
    REGISTER.call_once(|| _ = unsafe { libc::atexit(flush_all) });
    let mut engines = ENGINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    engines.retain(|engine| engine.strong_count() > 0);
    engines.push(Arc::downgrade(shared));
}

extern "C" fn flush_all() {
    guard(|| {
        // A thread of the parent may have held it at the fork.
        let Ok(engines) = ENGINES.try_lock() else { return };
        let deadline = Instant::now() + LIMIT;
        for engine in engines.iter().filter_map(Weak::upgrade) {
            // A forked child that has recorded nothing has nothing to flush.
            if let Some(own) = engine.own().filter(|_| !engine.hub.is_inherited()) {
                own.flush(deadline.saturating_duration_since(Instant::now()));
            }
            // The last handle may just have been freed by another thread: leave the engine be.
            std::mem::forget(engine);
        }
    });
}
