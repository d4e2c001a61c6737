//! Metrics for Prometheus: its text, OpenMetrics' text, and protobuf with native histograms.
//!
//! - Names carry their unit and counters `_total`, as OpenTelemetry's compatibility rules say. Of
//!   two metrics that would be called the same, the one made later gets `_2` before its unit.
//! - Labels whose names become the same are one label with the values joined by `;`. Series that
//!   then have the same labels (as `1` and `"1"` have) are one line: sums and histograms are added,
//!   of gauges the last one stands.
//! - The series of an OpenTelemetry scope have labels that name it; what several scopes call the same
//!   and count alike is one metric.
//! - An exponential histogram shows the powers of two that
//!   [`Descriptor::ladder`](coati_core::metrics::Descriptor::ladder) gives its unit: the same at
//!   every scrape, in every format. Protobuf has its native buckets besides.

mod format;
mod labels;
mod names;
mod native;
mod proto;
mod scopes;
mod target;
mod text;

use coati_core::metrics::{MetricSnapshot, Store};

pub use format::Format;
pub use target::Target;

use names::Names;

impl Format {
    /// What of a store it shows.
    pub fn read(self, store: &Store) -> Vec<MetricSnapshot> {
        scopes::as_labels(match self {
            Self::Text | Self::OpenMetrics => store.snapshot_powers(),
            Self::Protobuf => store.snapshot(),
        })
    }

    /// Appends a page with `target`, where it is given, and all metrics that have series.
    pub fn encode(self, target: Option<&Target>, metrics: &[MetricSnapshot], out: &mut Vec<u8>) {
        let mut names = Names::default();
        let labels = target.map(|target| &*target.0);
        match self {
            Self::Text => {
                labels.inspect(|labels| text::target::<false>(labels, out));
                text::metrics::<false>(metrics, &mut names, out);
            }
            Self::OpenMetrics => {
                labels.inspect(|labels| text::target::<true>(labels, out));
                text::metrics::<true>(metrics, &mut names, out);
                out.extend_from_slice(b"# EOF\n");
            }
            Self::Protobuf => {
                labels.inspect(|labels| proto::target(labels, out));
                proto::metrics(metrics, &mut names, out);
            }
        }
    }
}
