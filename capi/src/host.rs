//! A program that lends its engine: an interpreter whose extension modules record into what it
//! runs, where the handles of other programs have an engine of their own.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use coati_core::hub::Hub;
use coati_core::ledger::Ledger;
use coati_core::span::SpanContext;
use coati_export::Engine;

use crate::context::Carried;

/// What it has to offer. All of it may be asked on any thread.
pub trait Host: Sync {
    /// The place of its pipeline.
    fn hub(&self) -> &Arc<Hub>;

    /// The engine that it runs, or ran last.
    fn engine(&self) -> Option<Arc<Engine>>;

    /// Whether everything recorded so far, by any thread, is in its sinks in time.
    fn flush(&self, timeout: Duration) -> bool;

    /// Stops the engine; the books at its end.
    fn shutdown(&self, timeout: Duration) -> Ledger;

    /// What is current for the calling thread there, if that can be told; what a thread has
    /// attached is asked for otherwise.
    fn current(&self) -> Option<SpanContext>;

    /// What goes with what is current there.
    fn carried(&self) -> Carried;

    /// Makes a span current there too; what undoes it, or null.
    fn attach(&self, context: &SpanContext) -> *mut c_void;

    /// Undoes it.
    ///
    /// # Safety
    /// `attached` is from [`Host::attach`], not null, and not used again.
    unsafe fn detach(&self, attached: *mut c_void);
}
