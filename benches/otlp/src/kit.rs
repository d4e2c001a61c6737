//! The official kit: its exporters alone, given finished batches.

use std::hint::black_box;

use futures_executor::block_on;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{
    InMemoryLogExporter, LogBatch, LogExporter as _, SdkLogRecord, SdkLoggerProvider,
};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, SdkTracerProvider, SpanData, SpanExporter as _,
};
use prost::Message;

use crate::ours::BOUNDS;
use crate::{BATCH, Rows, cpu, thread_cpu};

const BATCHES: usize = 20;

/// Finished batches and exporters.
pub struct Kit {
    resource: ResourceAttributesWithSchema,
    spans: Vec<SpanData>,
    logs: Vec<(SdkLogRecord, InstrumentationScope)>,
    metrics: ResourceMetrics,
    span_exporter: SpanExporter,
    log_exporter: LogExporter,
    metric_exporter: MetricExporter,
}

fn spans() -> Vec<SpanData> {
    let memory = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(memory.clone()).build();
    let tracer = provider.tracer("bench");
    for i in 0..BATCH as i64 {
        let mut span = tracer.start("chat gpt-4o");
        span.set_attribute(KeyValue::new("gen_ai.operation.name", "chat"));
        span.set_attribute(KeyValue::new("gen_ai.request.model", "gpt-4o"));
        span.set_attribute(KeyValue::new("gen_ai.usage.input_tokens", i + 1000));
        span.set_attribute(KeyValue::new("temperature", 0.7));
        span.end();
    }
    memory.get_finished_spans().expect("spans")
}

fn logs() -> Vec<(SdkLogRecord, InstrumentationScope)> {
    let memory = InMemoryLogExporter::default();
    let provider = SdkLoggerProvider::builder().with_simple_exporter(memory.clone()).build();
    let logger = provider.logger("bench");
    for i in 0..BATCH as i64 {
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Info);
        record.set_severity_text("INFO");
        record.set_body(AnyValue::from("request finished"));
        record.add_attribute("step", i);
        record.add_attribute("model", "gpt-4o");
        record.add_attribute("ok", true);
        logger.emit(record);
    }
    let all = memory.get_emitted_logs().expect("logs");
    all.into_iter().map(|log| (log.record, log.instrumentation)).collect()
}

fn metrics() -> ResourceMetrics {
    let memory = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(memory.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("bench");
    let counter = meter.u64_counter("runs").with_unit("1").with_description("Runs").build();
    let histogram = meter
        .f64_histogram("time")
        .with_unit("ms")
        .with_description("Time")
        .with_boundaries(BOUNDS.to_vec())
        .build();
    for i in 0..448i64 {
        let labels = [KeyValue::new("agent", i), KeyValue::new("model", "gpt-4o")];
        counter.add(i as u64 + 1, &labels);
        if i < 64 {
            histogram.record(i as f64, &labels);
        }
    }
    provider.force_flush().expect("a flush");
    memory.get_finished_metrics().expect("metrics").remove(0)
}

impl Kit {
    pub fn new(url: &str) -> Self {
        let resource = Resource::builder_empty().with_service_name("bench").build();
        let at = |path: &str| format!("{url}/v1/{path}");
        let spans_to = SpanExporter::builder().with_http().with_endpoint(at("traces"));
        let logs_to = LogExporter::builder().with_http().with_endpoint(at("logs"));
        let metrics_to = MetricExporter::builder().with_http().with_endpoint(at("metrics"));
        Self {
            resource: (&resource).into(),
            spans: spans(),
            logs: logs(),
            metrics: metrics(),
            span_exporter: spans_to.build().expect("an exporter"),
            log_exporter: logs_to.build().expect("an exporter"),
            metric_exporter: metrics_to.build().expect("an exporter"),
        }
    }

    fn log_refs(&self) -> Vec<(&SdkLogRecord, &InstrumentationScope)> {
        self.logs.iter().map(|(record, scope)| (record, scope)).collect()
    }

    pub fn encode(&self, rows: &mut Rows) {
        for _ in 0..8 {
            let batch = self.spans.clone();
            let begun = thread_cpu();
            let request = ExportTraceServiceRequest {
                resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
            };
            black_box(request.encode_to_vec());
            drop(request);
            rows.add("span encoded", "opentelemetry", thread_cpu() - begun, BATCH);
            let refs = self.log_refs();
            let batch = LogBatch::new(&refs);
            let begun = thread_cpu();
            let request = ExportLogsServiceRequest {
                resource_logs: group_logs_by_resource_and_scope(&batch, &self.resource),
            };
            black_box(request.encode_to_vec());
            drop(request);
            rows.add("log encoded", "opentelemetry", thread_cpu() - begun, BATCH);
            let begun = thread_cpu();
            let request = ExportMetricsServiceRequest::from(&self.metrics);
            black_box(request.encode_to_vec());
            drop(request);
            rows.add("point encoded", "opentelemetry", thread_cpu() - begun, BATCH);
        }
    }

    /// Batches that are finished already: neither recording nor batching is counted.
    pub fn send(&self, rows: &mut Rows) {
        let items = BATCH * BATCHES;
        let mut batches: Vec<_> = (0..BATCHES).map(|_| self.spans.clone()).collect();
        let begun = cpu();
        for batch in batches.drain(..) {
            block_on(self.span_exporter.export(batch)).expect("spans sent");
        }
        rows.add("span sent", "opentelemetry", cpu() - begun, items);
        let refs = self.log_refs();
        let begun = cpu();
        for _ in 0..BATCHES {
            block_on(self.log_exporter.export(LogBatch::new(&refs))).expect("logs sent");
        }
        rows.add("log sent", "opentelemetry", cpu() - begun, items);
        let begun = cpu();
        for _ in 0..BATCHES {
            block_on(self.metric_exporter.export(&self.metrics)).expect("metrics sent");
        }
        rows.add("point sent", "opentelemetry", cpu() - begun, items);
    }
}
