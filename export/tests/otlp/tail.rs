//! Tail sampling before a sink that settles later.

use std::time::Duration;

use coati_core::key;
use coati_core::span::{Start, Status, Tracer};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::json;

use crate::receiver::{PATIENCE, Receiver};
use crate::send::{balanced, engine};

#[test]
fn kept_traces_arrive_whole_and_the_books_add_up_while_others_wait() {
    let receiver = Receiver::start();
    let engine = engine(json!({
        "service": "tail",
        "spans": { "tail": { "keep": "never", "grace": 3600 } },
        "sinks": [{
            "type": "otlp", "endpoint": receiver.url(), "signals": ["spans"],
            "traces": { "delay_ms": 5 },
        }],
    }));
    let (tracer, hub) = (Tracer::new(engine.hub().clone(), "tail"), engine.hub().clone());
    for trace in 0..200 {
        let mut root = tracer.start("root", Start::default());
        let inside = Start { parent: Some(*root.context()), ..Start::default() };
        for part in 0..3 {
            let mut span = tracer.start("part", inside);
            span.set_attribute((key!("trace"), trace.into()));
            if trace % 50 == 0 && part == 1 {
                span.set_status(Status::Error, "on purpose");
            }
            span.end(&hub, None);
        }
        root.end(&hub, None);
    }
    // The failed ones arrive without a flush, and the rest waits.
    let begun = std::time::Instant::now();
    loop {
        let books = engine.ledger().spans;
        if (books.delivered, books.in_flight, books.recorded) == (16, 784, 800) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{books:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(engine.flush(PATIENCE));
    let books = engine.shutdown(PATIENCE);
    balanced(&books);
    assert_eq!((books.spans.delivered, books.spans.dropped["tail_sampled"]), (16, 784));
    let mut names: Vec<String> = Vec::new();
    for taken in receiver.taken() {
        let request = ExportTraceServiceRequest::decode(&taken.body[..]).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        names.extend(scopes.flat_map(|of| of.spans).map(|span| span.name));
    }
    assert_eq!(names.iter().filter(|name| *name == "part").count(), 12);
    assert_eq!(names.iter().filter(|name| *name == "root").count(), 4);
}
