//! Drain thread, redaction, sinks and exporters of coati.
//!
//! An [`Engine`] owns one pipeline of `coati-core` and the thread that drains it: records are
//! merged by time, redacted, routed to sinks and only then released.

pub mod config;
pub mod drain;
mod durable;
pub mod encode;
mod endpoint;
mod engine;
pub mod genai;
pub mod health;
pub mod otlp;
mod page;
mod printer;
mod producer;
pub mod prometheus;
pub mod redact;
pub mod server;
pub mod settle;
pub mod sink;
mod system;
pub mod tail;
pub mod wire;

pub use config::{Config, ConfigError};
pub use engine::{Engine, Options, ledger_json};
pub use producer::Producer;
