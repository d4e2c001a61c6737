//! opentelemetry_sdk with exporters that only count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};

use crate::candidate::{Candidate, Kind};
use crate::workload::{COST, LABEL_KEYS, LABEL_VALUES, MODEL, value, values};

#[derive(Debug)]
struct Counting(Arc<AtomicU64>);

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        // Relaxed: read behind a flush.
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

struct Nowhere;

impl PushMetricExporter for Nowhere {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// All of them.
pub fn all() -> Vec<Candidate> {
    let mut all = metrics();
    all.push(span());
    all
}

fn span() -> Candidate {
    let (arrived, made) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(1 << 14)
        .with_max_export_batch_size(1 << 14)
        .build();
    let processor =
        BatchSpanProcessor::builder(Counting(arrived.clone())).with_batch_config(config).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let (tracer, count) = (provider.tracer("bench"), made.clone());
    let flush = move || provider.force_flush().expect("a flush");
    let last = flush.clone();
    Candidate::new("rust_span", Kind::Peer, "opentelemetry, batch", 2048, move |calls| {
        for i in 0..calls {
            let mut span = tracer
                .span_builder("plan")
                .with_attributes([
                    KeyValue::new("agent", "a1"),
                    KeyValue::new("steps", i as i64),
                    KeyValue::new("model", MODEL),
                    KeyValue::new("cost", COST),
                ])
                .start(&tracer);
            span.end();
        }
        count.fetch_add(calls as u64, Ordering::Relaxed);
    })
    .after(flush)
    .dropped(move || {
        last();
        made.load(Ordering::Relaxed) - arrived.load(Ordering::Relaxed)
    })
}

fn metrics() -> Vec<Candidate> {
    let never = Duration::from_secs(24 * 3600);
    let reader = PeriodicReader::builder(Nowhere).with_interval(never).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("bench");
    let attributes: [KeyValue; 4] =
        std::array::from_fn(|i| KeyValue::new(LABEL_KEYS[i], LABEL_VALUES[i]));
    let counter = meter.u64_counter("bench.counter").build();
    let histogram = meter.f64_histogram("bench.histogram").build();
    let (bound, record) = (counter.bind(&attributes), histogram.bind(&attributes));
    let values = values();
    let note = "bound instruments, an experimental feature";
    vec![
        Candidate::shared(
            "rust_counter",
            "rust_counter_2t",
            Kind::Peer,
            "opentelemetry",
            move |calls| (0..calls).for_each(|_| bound.add(1)),
        )
        .note(note),
        Candidate::shared(
            "rust_histogram",
            "rust_histogram_2t",
            Kind::Peer,
            "opentelemetry",
            move |calls| (0..calls).for_each(|i| record.record(value(values, i))),
        )
        .note(note),
        Candidate::new(
            "rust_counter_4labels",
            Kind::Peer,
            "opentelemetry",
            1 << 14,
            move |calls| {
                // Readers and their pipelines live as long as the provider.
                let _ = &provider;
                (0..calls).for_each(|_| counter.add(1, std::hint::black_box(&attributes)));
            },
        )
        .note("attributes made beforehand"),
    ]
}
