//! Lock-free recording core of coati.
//!
//! A caller's record is: level check, clock read, encode into this thread's ring. This crate holds
//! everything on that path and nothing that does I/O; `coati-export` drains what it records.
//!
//! A [`hub::Hub`] is the place that loggers, tracers and instruments hold on to. A
//! [`pipeline::Pipeline`] is installed there for as long as the engine runs.

pub mod flush;
pub mod ids;
pub mod ledger;
pub mod metrics;
pub mod ring;
pub mod sync;
pub mod thread;

// What follows is not modelled under loom: it holds no ordering of its own, or types loom cannot
// see (arc-swap, operating-system clocks).
#[cfg(not(coati_loom))]
pub mod clock;
#[cfg(not(coati_loom))]
pub mod fork;
#[cfg(not(coati_loom))]
pub mod hub;
#[cfg(not(coati_loom))]
pub mod instrument;
#[cfg(not(coati_loom))]
pub mod intern;
#[cfg(not(coati_loom))]
pub mod live;
#[cfg(not(coati_loom))]
pub mod log;
#[cfg(not(coati_loom))]
pub mod os;
#[cfg(not(coati_loom))]
mod per_pipeline;
#[cfg(not(coati_loom))]
pub mod pipeline;
#[cfg(not(coati_loom))]
pub mod propagate;
#[cfg(not(coati_loom))]
pub mod record;
#[cfg(not(coati_loom))]
pub mod scope;
#[cfg(not(coati_loom))]
pub mod span;
#[cfg(not(coati_loom))]
pub mod waker;
