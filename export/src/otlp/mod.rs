//! OTLP: traces, logs and metrics to whoever speaks OpenTelemetry's protocol.
//!
//! Bytes are written straight from redacted records and snapshots by encoders that are pure. The
//! drain hands them on in chunks to a bounded queue; the exporter's thread makes requests of them,
//! sends these one after another for each signal, and settles what became of them.

pub mod compose;
pub mod encoder;
mod endpoint;
mod json;
mod mark;
pub mod point;
mod proto;
pub(crate) mod severity;
pub mod signal;
pub mod split;

#[cfg(feature = "otlp")]
mod backoff;
#[cfg(feature = "otlp")]
mod books;
#[cfg(feature = "otlp")]
mod check;
#[cfg(feature = "otlp")]
mod client;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
mod exporters;
#[cfg(feature = "otlp")]
mod lane;
#[cfg(feature = "otlp")]
mod metrics;
#[cfg(feature = "otlp")]
mod queue;
#[cfg(feature = "otlp")]
mod sink;
#[cfg(feature = "otlp")]
mod spool;

pub use endpoint::Endpoint;

#[cfg(feature = "otlp")]
pub use check::check;
#[cfg(feature = "otlp")]
pub use exporter::Context;
#[cfg(feature = "otlp")]
pub use exporters::Exporters;
#[cfg(not(feature = "otlp"))]
mod without;
#[cfg(not(feature = "otlp"))]
pub use without::{Context, Exporters, check};
