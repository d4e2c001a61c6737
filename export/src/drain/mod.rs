//! The drain thread: merge by time, redact, route, release.

mod batch;
mod beats;
mod control;
mod merge;
mod run;

pub use batch::Route;
pub use control::Control;
pub(crate) use run::block_signals;
pub use run::{Drain, Settings};
