//! What other threads ask of the drain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coati_core::flush::Gate;
use coati_core::pipeline::Pipeline;
use coati_core::thread::registry::Drains;

use super::batch::{Route, signal_of_word};
use crate::redact::Redactor;
use crate::tail::Policy;

/// Between the drain thread and everybody else.
#[derive(Default)]
pub struct Control {
    gate: Gate,
    stop: AtomicBool,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Rules and sinks to take up before the next round.
    routes: Option<(Redactor, Vec<Route>)>,
    /// What tail sampling is to do from the next round on.
    tail: Option<Option<Policy>>,
    /// The rings' reading ends, once the thread has ended.
    leftover: Option<Drains>,
    ended: bool,
}

impl Control {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything recorded before the call is in its sinks; `false` after `timeout`.
    pub fn flush(&self, pipeline: &Pipeline, timeout: Duration) -> bool {
        if pipeline.waker().is_own_thread() {
            return false;
        }
        let ticket = self.gate.request();
        self.wait(pipeline, timeout, |inner| self.gate.is_done(ticket) || inner.ended)
            && self.gate.is_done(ticket)
    }

    /// Asks the thread to drain what there is and to end; `false` if it has not after `timeout`.
    pub fn stop(&self, pipeline: &Pipeline, timeout: Duration) -> bool {
        // Release: pairs with the Acquire in `stopping`; the hub was switched off before.
        self.stop.store(true, Ordering::Release);
        !pipeline.waker().is_own_thread() && self.wait(pipeline, timeout, |inner| inner.ended)
    }

    fn wait(&self, pipeline: &Pipeline, timeout: Duration, done: impl Fn(&Inner) -> bool) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut inner = self.inner();
        while !done(&inner) {
            pipeline.waker().wake_surely();
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(1),
            };
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(inner, left);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The requests to answer.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Whether the thread is to end.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Tells waiting threads to look again.
    pub fn announce(&self) {
        // The lock keeps the news from falling between a waiter's look and its sleep.
        let _inner = self.inner();
        self.changed.notify_all();
    }

    /// The thread has ended and leaves the rings to whoever asks for the books.
    pub fn end(&self, drains: Drains) {
        let mut inner = self.inner();
        inner.leftover = Some(drains);
        inner.ended = true;
        drop(inner);
        self.changed.notify_all();
    }

    /// Replaces rules and sinks before the next round.
    pub fn set_routes(&self, redactor: Redactor, routes: Vec<Route>) {
        self.inner().routes = Some((redactor, routes));
    }

    /// The rules and sinks to take up.
    pub fn take_routes(&self) -> Option<(Redactor, Vec<Route>)> {
        self.inner().routes.take()
    }

    /// Starts, changes or ends tail sampling before the next round.
    pub fn set_tail(&self, policy: Option<Policy>) {
        self.inner().tail = Some(policy);
    }

    /// What tail sampling is to do from now on, if that has changed.
    pub fn take_tail(&self) -> Option<Option<Policy>> {
        self.inner().tail.take()
    }

    /// Counts what was published after the thread's last round as dropped: a caller may have
    /// passed the switch just before it was turned.
    pub fn sweep(&self, pipeline: &Pipeline) {
        let mut inner = self.inner();
        let Some(drains) = &mut inner.leftover else { return };
        drains.sweep(pipeline.registry(), pipeline.drained(), signal_of_word);
    }
}
