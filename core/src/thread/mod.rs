//! A recording thread: its channel to the drain, its registration, its exit.

pub mod registry;

#[cfg(not(coati_loom))]
mod local;
#[cfg(not(coati_loom))]
mod recorder;

#[cfg(not(coati_loom))]
pub(crate) use local::{Turn, enter, forget_cached, is_nested};
#[cfg(not(coati_loom))]
pub use recorder::Recorder;
