//! OTLP: traces, logs and metrics to whoever speaks OpenTelemetry's protocol.
//!
//! Bytes are written straight from redacted records and snapshots. The encoders are pure.

pub mod compose;
pub mod encoder;
mod json;
mod mark;
pub mod point;
mod proto;
mod severity;
pub mod signal;
pub mod split;
pub mod wire;
