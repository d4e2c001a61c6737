//! What `coati doctor` shows of a receiver.

use std::time::Duration;

/// What an endpoint answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// `traces`, `logs` or `metrics`.
    pub signal: &'static str,
    /// Where requests of it go.
    pub url: String,
    /// What is wrong with it, if anything.
    pub problem: Option<String>,
    /// How long it took.
    pub took: Duration,
}
