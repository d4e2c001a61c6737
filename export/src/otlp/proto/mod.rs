//! Protobuf: items of a request, appended one after another.

mod log;
mod metric;
mod span;
mod value;

pub use metric::metric;
pub use span::{ABANDONED, link_flags, span_flags};
pub use value::{Keys, attribute, owned};
