//! What a thread remembers between two calls.
//!
//! Two thread-locals: [`Local`] is plain cells without a destructor, so that reading it costs an
//! address; the guard owns the recorders and hands them over when the thread exits. Destructors of
//! other thread-locals may run later and still record: `Local` tells them that it is too late.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use bytemuck::Zeroable;

use super::Recorder;
use super::found::Found;
use crate::pipeline::Pipeline;

/// Cached lookup of this thread's recorder.
#[derive(Zeroable)]
pub(crate) struct Local {
    /// Key of the pipeline whose recorder is cached; 0 means none.
    key: Cell<u64>,
    recorder: Cell<*mut Recorder>,
    exited: Cell<bool>,
    /// How many calls on this thread are using a recorder.
    depth: Cell<u32>,
    /// Where the thread's cells of bound series are.
    numbers: Found<8>,
    histograms: Found<4>,
}

thread_local! {
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

crate::thread_block!(fn address() -> *const Local, as "coati_core_local_0_1");

/// This thread's cells.
#[inline(always)]
fn local<'a>() -> &'a Local {
    // SAFETY: a thread-local without a destructor lives as long as its thread, and a reference to
    // cells cannot leave the thread.
    unsafe { &*address() }
}

/// The cells that bound counters have found on this thread.
#[inline(always)]
pub(crate) fn numbers<'a>() -> &'a Found<8> {
    &local().numbers
}

/// The cells that bound histograms have found on this thread.
#[inline(always)]
pub(crate) fn histograms<'a>() -> &'a Found<4> {
    &local().histograms
}

/// Makes the next call of this thread look its recorder up again.
pub(crate) fn forget_cached() {
    local().cache(0, std::ptr::null_mut());
}

impl Local {
    fn cache(&self, key: u64, recorder: *mut Recorder) {
        self.numbers.clear();
        self.histograms.clear();
        if !recorder.is_null() {
            self.recorder.set(recorder);
        }
        self.key.set(key);
    }
}

/// Whether the calling code interrupted a use of this thread's recorder.
pub(crate) fn is_nested() -> bool {
    local().depth.get() > 1
}

/// A use of this thread's recorder, or an attempt at one from inside it.
pub struct Turn<'a> {
    local: &'a Local,
    /// How many turns it interrupted.
    outer: u32,
    recorder: Option<NonNull<Recorder>>,
}

impl<'a> Turn<'a> {
    /// A turn with this thread's recorder of the pipeline with this key, or with none where `enter`
    /// cannot make one or a signal handler interrupted another turn. No foreign code runs in it.
    // A value, not a function that takes a closure: a closure is not always inlined.
    #[inline(always)]
    pub(crate) fn new(key: u64, enter: impl FnOnce() -> bool) -> Self {
        let mut turn = Self::begin(local());
        turn.recorder = if turn.outer == 0 && turn.local.key.get() == key {
            // SAFETY: `enter` has set the recorder before the key; no pipeline has the key 0.
            Some(unsafe { NonNull::new_unchecked(turn.local.recorder.get()) })
        } else {
            NonNull::new(other(&turn, enter))
        };
        turn
    }

    /// A turn of a thread that has nothing to look up, if none is under way.
    #[inline(always)]
    pub(crate) fn alone() -> Option<Self> {
        let local = local();
        (local.depth.get() == 0).then(|| Self::begin(local))
    }

    /// A turn if that takes no call.
    #[inline(always)]
    pub(crate) fn cached(key: u64) -> Option<Self> {
        let local = local();
        if local.key.get() != key || local.depth.get() != 0 {
            return None;
        }
        let mut turn = Self::begin(local);
        // A signal handler may have changed it just before the turn began; it is some recorder
        // still. SAFETY: no pipeline has the key 0, so a recorder was cached with the key, and none
        // is ever taken out of the cache but for another.
        turn.recorder = Some(unsafe { NonNull::new_unchecked(local.recorder.get()) });
        Some(turn)
    }

    #[inline(always)]
    fn begin(local: &'a Local) -> Self {
        let outer = local.depth.get();
        local.depth.set(outer + 1);
        // The only other observer is a signal handler on this very thread.
        compiler_fence(Ordering::SeqCst);
        Self { local, outer, recorder: None }
    }

    /// The recorder.
    #[inline(always)]
    pub fn recorder(&mut self) -> Option<&mut Recorder> {
        // SAFETY: a recorder that the guard owns. The guard lets go of it at the thread's exit, and
        // in `enter` while nobody is using one, which `depth` tells. There is no other reference:
        // as long as this turn lasts, `depth` is not 0, and only a turn that found 0 has one.
        self.recorder.map(|mut recorder| unsafe { recorder.as_mut() })
    }
}

impl Drop for Turn<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        self.local.depth.set(self.outer);
    }
}

#[cold]
#[inline(never)]
fn other(turn: &Turn<'_>, enter: impl FnOnce() -> bool) -> *mut Recorder {
    if turn.outer > 0 {
        return std::ptr::null_mut();
    }
    // Making a recorder is no use of one.
    turn.local.depth.set(0);
    let entered = enter();
    turn.local.depth.set(1);
    if entered { turn.local.recorder.get() } else { std::ptr::null_mut() }
}

// Boxed: a recorder's address is cached while the list grows.
#[allow(clippy::vec_box)]
struct Guard(RefCell<Vec<Box<Recorder>>>);

/// Finds or makes this thread's recorder for `pipeline` and caches it.
#[cold]
pub(crate) fn enter(pipeline: &Arc<Pipeline>) -> Result<(), Absent> {
    let local = local();
    if local.exited.get() {
        return Err(Absent::Exited);
    }
    let recorder = GUARD
        .try_with(|Guard(recorders)| {
            // Taken only where a signal handler interrupted this very function: it has no recorder.
            let mut recorders = recorders.try_borrow_mut().ok()?;
            forget_inherited(&mut recorders);
            if local.depth.get() == 0 {
                recorders.retain(|recorder| !recorder.pipeline().is_stopped());
            }
            let known = recorders.iter().position(|r| Arc::ptr_eq(r.pipeline(), pipeline));
            let index = known.unwrap_or_else(|| {
                recorders.push(Box::new(Recorder::attach(pipeline.clone())));
                recorders.len() - 1
            });
            Some(std::ptr::from_mut::<Recorder>(&mut recorders[index]))
        })
        .map_err(|_| Absent::Exited)?
        .ok_or(Absent::Interrupted)?;
    local.cache(pipeline.key(), recorder);
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
        let local = local();
        local.exited.set(true);
        forget_cached();
        let mut recorders = self.0.borrow_mut();
        forget_inherited(&mut recorders);
        recorders.clear();
    }
}
