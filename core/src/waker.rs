//! Wakes the drain thread, and only when it sleeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// The drain thread's bed and its alarm.
#[derive(Debug, Default)]
pub struct Waker {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Waker {
    /// A waker whose thread has not come yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The calling thread is the one to wake.
    pub fn adopt(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// Whether the calling thread is the one to wake.
    pub fn is_own_thread(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == std::thread::current().id())
    }

    /// Sleeps until woken, at most for `limit`. What was asked for before a wake is seen after it,
    /// as both ends exchange the flag.
    pub fn sleep(&self, limit: Duration) {
        self.asleep.store(true, Ordering::SeqCst);
        std::thread::park_timeout(limit);
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes the thread. Costs one load when it is awake; a wake that comes between its last look
    /// and its sleep can be missed, which the limit of the sleep makes good.
    pub fn wake(&self) {
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake_surely();
        }
    }

    /// Wakes the thread even if it only is about to sleep: a parked token stays.
    pub fn wake_surely(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
