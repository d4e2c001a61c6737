//! Nanoseconds per recording call, minimum and median over rounds that fit the ring.

use std::time::Instant;

use coati_benches::min_and_median;
use coati_core::hub::Hub;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::Level;
use coati_core::span::{Start, Tracer};
use coati_core::thread::registry::Drains;

const CALLS: u32 = 5_000;
const ROUNDS: usize = 200;

fn main() {
    let hub = Hub::new();
    let pipeline = Pipeline::new(PipelineConfig::default(), hub.live().clone());
    hub.install(pipeline.clone());
    let logger = Logger::new(hub.clone(), "bench");
    let tracer = Tracer::new(hub.clone(), "bench");
    let mut drains = Drains::default();
    let mut empty = || {
        drains.refresh(pipeline.registry());
        for drain in drains.list() {
            let until = drain.consumer.published();
            while let Some(size) = drain.consumer.peek(until) {
                drain.consumer.advance(size);
            }
            drain.consumer.release();
        }
    };
    let mut report = |name: &str, call: &dyn Fn(u32)| {
        let costs: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                (0..CALLS).for_each(call);
                let cost = start.elapsed().as_nanos() as f64 / f64::from(CALLS);
                empty();
                cost
            })
            .collect();
        let (min, median) = min_and_median(costs);
        println!("{name:32} min {min:7.2} ns  median {median:7.2} ns");
    };
    report("clock", &|_| {
        std::hint::black_box(coati_core::clock::now());
    });
    report("log, 3 fields", &|i| {
        logger.log(
            Level::Info,
            "plan ready",
            &[
                (key!("steps"), i.into()),
                (key!("model"), "gpt-4o".into()),
                (key!("cost"), 0.25.into()),
            ],
        );
    });
    report("log below its level", &|_| logger.log(Level::Debug, "no", &[]));
    report("span, 4 attributes", &|i| {
        let mut span = tracer.start("plan", Start::default());
        span.set_attribute((key!("agent"), "a1".into()));
        span.set_attribute((key!("steps"), i.into()));
        span.set_attribute((key!("model"), "gpt-4o".into()));
        span.set_attribute((key!("cost"), 0.25.into()));
        span.end(&hub, None);
    });
    let dropped = pipeline.ledger();
    println!("dropped: {} {}", dropped.logs.dropped_total(), dropped.spans.dropped_total());
}
