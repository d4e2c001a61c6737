//! What stands for exporters in a build without the feature `otlp`.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use coati_core::pipeline::Pipeline;
use serde_json::Value;

use super::Endpoint;
use crate::config;
use crate::health::Health;
use crate::producer::Producer;
use crate::redact::LabelRules;
use crate::sink::Sink;

/// What an exporter would need of its engine.
#[derive(Clone)]
pub struct Context {
    /// Whose records it would settle.
    pub pipeline: Arc<Pipeline>,
    /// Where problems go.
    pub health: Arc<Health>,
    /// What is masked in metrics.
    pub labels: Arc<LabelRules>,
    /// Metrics that are not kept in the store.
    pub producer: Option<Producer>,
    /// Name and value of every resource attribute.
    pub resource: Arc<[(String, Value)]>,
}

/// Nothing to ask.
///
/// # Errors
/// Always.
pub fn check(_: &config::OtlpSink) -> io::Result<Vec<Endpoint>> {
    Err(io::Error::other("this build is without the feature `otlp`"))
}

/// No exporters.
#[derive(Default)]
pub struct Exporters;

impl Exporters {
    /// Never a sink.
    ///
    /// # Errors
    /// Always.
    pub fn sink(&self, _: &config::OtlpSink, _: &Context) -> io::Result<Box<dyn Sink>> {
        Err(io::Error::other("this build is without the feature `otlp`"))
    }

    /// Nothing to keep.
    pub fn keep<'a>(&self, _: impl Iterator<Item = &'a config::OtlpSink> + Clone) {}

    /// Nothing to wait for.
    pub fn flush(&self, _: Instant) -> bool {
        true
    }

    /// Nothing to end.
    pub fn stop(&self, _: Instant, _: Instant) -> bool {
        true
    }
}
