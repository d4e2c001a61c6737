//! What a thread remembers between two calls.
//!
//! Two thread-locals: [`Local`] is plain cells without a destructor, so that reading it costs an
//! address; the guard owns the recorders and hands them over when the thread exits. Destructors of
//! other thread-locals may run later and still record: `Local` tells them that it is too late.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::Recorder;
use crate::pipeline::Pipeline;

/// Cached lookup of this thread's recorder.
pub(crate) struct Local {
    /// Key of the pipeline whose recorder is cached; 0 means none.
    key: Cell<u64>,
    recorder: Cell<*const Recorder>,
    exited: Cell<bool>,
    /// How many calls on this thread are using a recorder.
    depth: Cell<u32>,
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            key: Cell::new(0),
            recorder: Cell::new(std::ptr::null()),
            exited: Cell::new(false),
            depth: Cell::new(0),
        }
    };
    static GUARD: Guard = const { Guard(RefCell::new(Vec::new())) };
}

/// Why a thread has no recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Its guard is gone.
    Exited,
    /// It is being made, further up this stack.
    Interrupted,
}

/// Makes the next call of this thread look its recorder up again.
pub(crate) fn forget_cached() {
    let _ = LOCAL.try_with(|local| local.key.set(0));
}

/// Whether this thread has cached the recorder of the pipeline with this key.
#[inline(always)]
pub(crate) fn is_cached(key: u64) -> bool {
    LOCAL.with(|local| local.key.get() == key)
}

/// Calls `f` with the cached recorder, or with none unless `here`, which `is_cached` or `enter`
/// said. `f` runs no foreign code.
#[inline(always)]
pub(crate) fn cached<R>(here: bool, f: impl FnOnce(Option<&Recorder>) -> R) -> R {
    // Taken out first: `LocalKey::with` is inlined around little code only.
    let recorder = LOCAL.with(|local| {
        local.depth.set(local.depth.get() + 1);
        local.recorder.get()
    });
    let recorder = if here { recorder } else { std::ptr::null() };
    // SAFETY: null, or a recorder that the guard owns. The guard lets go of it at the thread's
    // exit, and in `enter` while no call is using one, which `depth` tells.
    let result = f(unsafe { recorder.as_ref() });
    // A panic of `f` leaves the depth raised: stopped recorders then stay until the thread's exit.
    LOCAL.with(|local| local.depth.set(local.depth.get() - 1));
    result
}

// Boxed: a recorder's address is cached while the list grows.
#[allow(clippy::vec_box)]
struct Guard(RefCell<Vec<Box<Recorder>>>);

/// Finds or makes this thread's recorder for `pipeline` and caches it.
#[cold]
pub(crate) fn enter(pipeline: &Arc<Pipeline>) -> Result<(), Absent> {
    if LOCAL.with(|local| local.exited.get()) {
        return Err(Absent::Exited);
    }
    let recorder = GUARD
        .try_with(|Guard(recorders)| {
            // Taken only where a signal handler interrupted this very function: it has no recorder.
            let mut recorders = recorders.try_borrow_mut().ok()?;
            forget_inherited(&mut recorders);
            if LOCAL.with(|local| local.depth.get()) == 0 {
                recorders.retain(|recorder| !recorder.pipeline().is_stopped());
            }
            let known = recorders.iter().position(|r| Arc::ptr_eq(r.pipeline(), pipeline));
            let index = known.unwrap_or_else(|| {
                recorders.push(Box::new(Recorder::attach(pipeline.clone())));
                recorders.len() - 1
            });
            Some(std::ptr::from_ref::<Recorder>(&recorders[index]))
        })
        .map_err(|_| Absent::Exited)?
        .ok_or(Absent::Interrupted)?;
    LOCAL.with(|local| {
        local.recorder.set(recorder);
        local.key.set(pipeline.key());
    });
    Ok(())
}

/// Recorders of the parent process: their locks may be held for ever, so they are leaked.
#[allow(clippy::vec_box)]
fn forget_inherited(recorders: &mut Vec<Box<Recorder>>) {
    let generation = crate::fork::generation();
    let mut index = 0;
    while index < recorders.len() {
        if recorders[index].pipeline().fork_generation() == generation {
            index += 1;
        } else {
            std::mem::forget(recorders.swap_remove(index));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        LOCAL.with(|local| {
            local.exited.set(true);
            local.key.set(0);
        });
        let mut recorders = self.0.borrow_mut();
        forget_inherited(&mut recorders);
        recorders.clear();
    }
}
