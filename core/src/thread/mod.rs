//! A recording thread: its channel to the drain, its registration, its exit.

pub mod registry;

#[cfg(not(coati_loom))]
pub(crate) mod found;
#[cfg(not(coati_loom))]
mod local;
#[cfg(not(coati_loom))]
mod recorder;

#[cfg(not(coati_loom))]
pub use local::Turn;
#[cfg(not(coati_loom))]
pub(crate) use local::{enter, forget_cached, histograms, is_nested, numbers};
#[cfg(not(coati_loom))]
pub use recorder::{Limits, Recorder};
