//! Records taken from rings by hand, without a drain.

use std::sync::Arc;

use coati_core::clock::Timeline;
use coati_core::hub::Hub;
use coati_core::live::Live;
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::read::Record;
use coati_core::thread::registry::Drains;
use coati_export::encode::Clock;
use coati_export::otlp::compose::{Encoding, Resource, Scope, compose};
use coati_export::otlp::encoder::{Encoder, place};
use coati_export::otlp::signal::Signal;
use coati_export::redact::Redactor;
use serde_json::json;

/// A pipeline nobody drains.
pub struct Undrained {
    pub hub: Arc<Hub>,
    pub pipeline: Arc<Pipeline>,
    pub timeline: Timeline,
    drains: Drains,
}

impl Undrained {
    pub fn new() -> Self {
        let hub = Hub::new();
        let pipeline = Pipeline::new(PipelineConfig::default(), hub.live().clone());
        hub.install(pipeline.clone());
        let _: &Arc<Live> = hub.live();
        Self { hub, pipeline, timeline: Timeline::start(), drains: Drains::default() }
    }

    /// Everything recorded since the last call.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let registry = self.pipeline.registry();
        let positions = self.drains.marks(registry).positions().to_vec();
        let mut records = Vec::new();
        for (drain, until) in self.drains.list().iter_mut().zip(positions) {
            while let Some(size) = drain.consumer.peek(until) {
                records.push(drain.consumer.record(size).to_vec());
                drain.consumer.advance(size);
            }
            drain.consumer.release();
        }
        records
    }
}

/// A request for the records of `signal`, as the exporter composes it.
pub fn request(
    encoding: Encoding,
    signal: Signal,
    timeline: &Timeline,
    redactor: &Redactor,
    records: &[Vec<u8>],
) -> Vec<u8> {
    let mut encoder = Encoder::new(encoding);
    let mut scopes: Vec<Scope> = Vec::new();
    for bytes in records {
        let record = Record::parse(bytes).expect("a record");
        let ticks = record.header().ticks;
        let redacted = redactor.apply(record);
        let (of, name) = place(&redacted);
        if of == signal {
            let mut items = Vec::new();
            encoder.record(&redacted, ticks, &Clock { timeline }, &mut items);
            scopes.push(Scope { name, items, ..Scope::default() });
        }
    }
    compose(signal, &resource(encoding), &scopes.iter().collect::<Vec<_>>())
}

pub fn resource(encoding: Encoding) -> Resource {
    let attributes =
        [("service.name", json!("tests")), ("replicas", json!(3)), ("new", json!(true))];
    Resource::new(encoding, attributes.iter().map(|(name, value)| (*name, value)))
}
