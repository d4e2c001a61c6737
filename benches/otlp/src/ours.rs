//! The engine.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use coati_core::clock::Timeline;
use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::metrics::{Descriptor, Kind, LabelValue, MetricSnapshot};
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::Level;
use coati_core::record::read::Record;
use coati_core::span::{Start, Tracer};
use coati_core::thread::registry::Drains;
use coati_export::config::Sources;
use coati_export::encode::Clock;
use coati_export::otlp::compose::{Encoding, Resource, Scope, compose};
use coati_export::otlp::encoder::{Encoder, place};
use coati_export::otlp::point::Frame;
use coati_export::otlp::signal::Signal;
use coati_export::redact::Redactor;
use coati_export::redact::keys::KeyRules;
use coati_export::{Config, Engine, Options};
use serde_json::json;

use crate::{BATCH, Rows, cpu, thread_cpu};

/// Batches sent in a round.
const BATCHES: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// Points of the metrics: counters with two labels each, and some histograms.
const COUNTERS: usize = 448;
const HISTOGRAMS: usize = BATCH - COUNTERS;

fn record_span(tracer: &Tracer, hub: &Arc<Hub>, i: u64) {
    let mut span = tracer.start("chat gpt-4o", Start::default());
    span.set_attribute((key!("gen_ai.operation.name"), "chat".into()));
    span.set_attribute((key!("gen_ai.request.model"), "gpt-4o".into()));
    span.set_attribute((key!("gen_ai.usage.input_tokens"), (i + 1000).into()));
    span.set_attribute((key!("temperature"), 0.7.into()));
    span.end(hub, None);
}

fn record_log(logger: &Logger, i: u64) {
    let fields =
        [(key!("step"), i.into()), (key!("model"), "gpt-4o".into()), (key!("ok"), true.into())];
    logger.log(Level::Info, "request finished", &fields);
}

fn record_metrics(hub: &Arc<Hub>) {
    let make = |descriptor| Instrument::new(hub.clone(), descriptor).expect("an instrument");
    let counter = make(Descriptor::new("runs", Kind::Counter, "1", "Runs"));
    let histogram =
        make(Descriptor::new("time", Kind::Histogram, "ms", "Time").with_bounds(&BOUNDS));
    for i in 0..COUNTERS.max(HISTOGRAMS) as i64 {
        let labels = [("agent", LabelValue::Int(i)), ("model", LabelValue::Str("gpt-4o"))];
        if (i as usize) < COUNTERS {
            counter.with(&labels, |series, shard| series.add_int(shard, i + 1));
        }
        if (i as usize) < HISTOGRAMS {
            histogram.with(&labels, |series, shard| series.record(shard, i as f64));
        }
    }
}

/// The specification's default bounds.
pub const BOUNDS: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0,
    10000.0,
];

/// What is encoded: records as they lie in rings, and a snapshot.
pub struct Ours {
    timeline: Timeline,
    redactor: Redactor,
    resource: Resource,
    encoder: Encoder,
    records: [Vec<Vec<u8>>; 2],
    metrics: Vec<MetricSnapshot>,
    items: Vec<u8>,
}

impl Ours {
    pub fn new() -> Self {
        let timeline = Timeline::start();
        let hub = Hub::new();
        let config = PipelineConfig { ring_bytes: 1 << 20, ..PipelineConfig::default() };
        let pipeline = Pipeline::new(config, hub.live().clone());
        hub.install(pipeline.clone());
        let (tracer, logger) =
            (Tracer::new(hub.clone(), "bench"), Logger::new(hub.clone(), "bench"));
        for i in 0..BATCH as u64 {
            record_span(&tracer, &hub, i);
            record_log(&logger, i);
        }
        record_metrics(&hub);
        let redactor = Redactor::new(Some(Arc::new(KeyRules::new(&[]))));
        let mut records = [Vec::new(), Vec::new()];
        let mut drains = Drains::default();
        let positions = drains.marks(pipeline.registry()).positions().to_vec();
        for (drain, until) in drains.list().iter_mut().zip(positions) {
            while let Some(size) = drain.consumer.peek(until) {
                let bytes = drain.consumer.record(size).to_vec();
                let record = Record::parse(&bytes).expect("a record");
                let signal = place(&redactor.apply(record)).0;
                records[signal as usize].push(bytes);
                drain.consumer.advance(size);
            }
        }
        let attributes = [("service.name", json!("bench"))];
        Self {
            timeline,
            redactor,
            resource: Resource::new(Encoding::Protobuf, attributes.iter().map(|(k, v)| (*k, v))),
            encoder: Encoder::new(Encoding::Protobuf),
            records,
            metrics: pipeline.metrics().snapshot(),
            items: Vec::with_capacity(1 << 20),
        }
    }

    /// From records, redacted, to whole requests.
    pub fn encode(&mut self, rows: &mut Rows) {
        let clock = Clock { timeline: &self.timeline };
        for (signal, row) in [(Signal::Traces, "span encoded"), (Signal::Logs, "log encoded")] {
            for _ in 0..8 {
                let begun = thread_cpu();
                let mut items = std::mem::take(&mut self.items);
                items.clear();
                let mut name = 0;
                for bytes in &self.records[signal as usize] {
                    let record = Record::parse(bytes).expect("a record");
                    let ticks = record.header().ticks;
                    let redacted = self.redactor.apply(record);
                    name = place(&redacted).1;
                    self.encoder.record(&redacted, ticks, &clock, &mut items);
                }
                let scope = Scope { name, items, ..Scope::default() };
                black_box(compose(signal, &self.resource, &[&scope]));
                self.items = scope.items;
                rows.add(row, "coati", thread_cpu() - begun, BATCH);
            }
        }
        let frame = Frame { start: 1, since: 1, now: 2, fresh: 0, delta: false, explicit: false };
        for _ in 0..8 {
            let begun = thread_cpu();
            let mut scope = Scope::default();
            for metric in &self.metrics {
                self.encoder.metric(metric, &frame, &mut scope.items);
            }
            black_box(compose(Signal::Metrics, &self.resource, &[&scope]));
            rows.add("point encoded", "coati", thread_cpu() - begun, BATCH);
        }
    }
}

/// An engine that sends: what is counted is everything, from the recording call on.
pub struct Sender {
    engine: Arc<Engine>,
    tracer: Tracer,
    logger: Logger,
}

impl Sender {
    pub fn new(url: &str, compression: &str) -> Self {
        // Longer than any run: a flush sends.
        let never = json!({"delay_ms": 86_400_000u64});
        let dict = json!({
            "service": "bench",
            "ring": {"bytes": 1 << 24},
            "sinks": [{
                "type": "otlp", "endpoint": url, "compression": compression,
                "traces": never, "logs": never, "metrics": never,
            }],
        });
        let config = Config::load(Sources { dict: Some(dict), ..Sources::default() });
        let engine = Engine::start(Hub::new(), config.expect("settings"), Options::default());
        let engine = engine.expect("a thread");
        let hub = engine.hub().clone();
        Self {
            tracer: Tracer::new(hub.clone(), "bench"),
            logger: Logger::new(hub, "bench"),
            engine,
        }
    }

    /// Records and sends spans, then logs; then, with metrics there, all points once.
    pub fn send(&self, rows: &mut Rows, names: [&'static str; 3]) {
        let hub = self.engine.hub().clone();
        let items = BATCH * BATCHES;
        let begun = cpu();
        (0..items as u64).for_each(|i| record_span(&self.tracer, &hub, i));
        assert!(self.engine.flush(PATIENCE));
        rows.add(names[0], "coati", cpu() - begun, items);
        let begun = cpu();
        (0..items as u64).for_each(|i| record_log(&self.logger, i));
        assert!(self.engine.flush(PATIENCE));
        rows.add(names[1], "coati", cpu() - begun, items);
        record_metrics(&hub);
        let begun = cpu();
        for _ in 0..BATCHES {
            assert!(self.engine.flush(PATIENCE));
        }
        rows.add(names[2], "coati", cpu() - begun, items);
    }

    /// Everything must have arrived.
    pub fn end(self) {
        let books = self.engine.shutdown(PATIENCE);
        assert_eq!(books.spans.recorded, books.spans.delivered);
        assert_eq!(books.logs.recorded, books.logs.delivered);
    }
}
