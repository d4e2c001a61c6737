//! Formats: a redacted record in, bytes out, nothing else touched.

mod escape;
pub mod json;
pub mod pretty;
mod time;

pub use time::{Clock, rfc3339};
