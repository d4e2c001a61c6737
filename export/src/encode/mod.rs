//! Formats: a redacted record in, bytes out, nothing else touched.

pub(crate) mod escape;
pub mod json;
pub(crate) mod line;
pub mod metric;
pub(crate) mod number;
pub mod pretty;
mod texts;
pub(crate) mod time;

pub use time::{Clock, rfc3339};
