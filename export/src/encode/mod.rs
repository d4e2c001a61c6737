//! Formats: a redacted record in, bytes out, nothing else touched.

pub(crate) mod escape;
pub mod json;
pub mod pretty;
pub(crate) mod time;

pub use time::{Clock, rfc3339};
