//! OTLP's JSON: items of a request, appended one after another, each with a comma behind it.

mod log;
mod metric;
mod span;
mod value;

pub use log::log;
pub use metric::metric;
pub use span::span;
pub use value::{Member, attribute, attributes};
