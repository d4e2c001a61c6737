//! OpenTelemetry's names for generative AI: recorded by the newest, shown as the configuration says.

mod metrics;
mod names;

pub use metrics::rename_metrics;
pub use names::{Names, Shown};
