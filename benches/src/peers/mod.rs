//! Others' calls for the same work, each in its fastest documented configuration.

mod fastrace;
mod metrics;
mod opentelemetry;
mod prometheus;
mod prometheus_client;
mod sketches;
pub mod tracing;

use std::path::Path;

use crate::candidate::Candidate;

/// All of them; files go into `folder`.
pub fn all(folder: &Path) -> Vec<Candidate> {
    let mut all = tracing::all(folder);
    all.extend(fastrace::all());
    all.extend(opentelemetry::all());
    all.extend(prometheus::all());
    all.extend(prometheus_client::all());
    all.extend(metrics::all());
    all.extend(sketches::all());
    all
}
