//! OTLP: what encoding and sending cost.
use coati_core::clock::Timeline;
use coati_core::hub::Hub;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::Level;
use coati_core::record::read::Record;
use coati_core::span::{Start, Tracer};
use coati_core::thread::registry::Drains;
use coati_export::encode::Clock;
use coati_export::otlp::compose::{Encoding, Resource, Scope, compose};
use coati_export::otlp::encoder::{Encoder, place};
use coati_export::otlp::signal::Signal;
use coati_export::redact::{Redactor, keys::KeyRules};
use std::hint::black_box;
use std::time::Instant;

fn main() {
    let timeline = Timeline::start();
    let hub = Hub::new();
    let pipeline = Pipeline::new(
        PipelineConfig { ring_bytes: 1 << 24, ..Default::default() },
        hub.live().clone(),
    );
    hub.install(pipeline.clone());
    let tracer = Tracer::new(hub.clone(), "bench");
    let logger = Logger::new(hub.clone(), "bench");
    const N: usize = 512;
    for i in 0..N as u64 {
        let mut span = tracer.start("chat gpt-4o", Start::default());
        span.set_attribute((key!("gen_ai.operation.name"), "chat".into()));
        span.set_attribute((key!("gen_ai.request.model"), "gpt-4o".into()));
        span.set_attribute((key!("gen_ai.usage.input_tokens"), (i + 1000).into()));
        span.set_attribute((key!("temperature"), 0.7.into()));
        span.end(&hub, None);
        logger.log(
            Level::Info,
            "request finished",
            &[
                (key!("step"), i.into()),
                (key!("model"), "gpt-4o".into()),
                (key!("ok"), true.into()),
            ],
        );
    }
    let mut drains = Drains::default();
    let positions = drains.marks(pipeline.registry()).positions().to_vec();
    let mut records = Vec::new();
    for (drain, until) in drains.list().iter_mut().zip(positions) {
        while let Some(size) = drain.consumer.peek(until) {
            records.push(drain.consumer.record(size).to_vec());
            drain.consumer.advance(size);
        }
    }
    let clock = Clock { timeline: &timeline };
    let redactor = Redactor::new(Some(std::sync::Arc::new(KeyRules::new(&[]))));
    let resource = Resource::new(Encoding::Protobuf, []);
    for signal in [Signal::Traces, Signal::Logs] {
        let parsed: Vec<_> = records
            .iter()
            .filter_map(|r| Record::parse(r))
            .filter(|r| place(&redactor.apply(*r)).0 == signal)
            .collect();
        let raw: Vec<_> = records
            .iter()
            .filter(|r| place(&redactor.apply(Record::parse(r).unwrap())).0 == signal)
            .collect();
        let mut encoder = Encoder::new(Encoding::Protobuf);
        let mut best = [f64::MAX; 3];
        let mut scope = Scope { name: 16, items: Vec::with_capacity(1 << 20) };
        for _ in 0..3000 {
            scope.items.clear();
            let t = Instant::now();
            for record in &parsed {
                let r = redactor.apply(*record);
                encoder.record(&r, record.header().ticks, &clock, &mut scope.items);
            }
            best[0] = best[0].min(t.elapsed().as_nanos() as f64 / N as f64);
            let t = Instant::now();
            black_box(compose(signal, &resource, &[&scope]));
            best[1] = best[1].min(t.elapsed().as_nanos() as f64 / N as f64);
            let t = Instant::now();
            for r in &raw {
                black_box(Record::parse(r));
            }
            best[2] = best[2].min(t.elapsed().as_nanos() as f64 / N as f64);
        }
        println!(
            "{signal:?}: encode {:.1} compose {:.1} parse {:.1} bytes {}",
            best[0],
            best[1],
            best[2],
            scope.items.len() / N
        );
    }
}
