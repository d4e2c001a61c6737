//! From a call to the bytes the drain will see, and the books on both sides.

use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::key;
use coati_core::ledger::Signal;
use coati_core::log::Logger;
use coati_core::pipeline::{Overflow, Pipeline, PipelineConfig};
use coati_core::record::Level;
use coati_core::record::read::{Record, Value};
use coati_core::record::value::Key;
use coati_core::span::{SpanKind, Start, Status, Tracer};
use coati_core::thread::registry::Drains;

fn start(config: PipelineConfig) -> (Arc<Hub>, Arc<Pipeline>) {
    let hub = Hub::new();
    let pipeline = Pipeline::new(config, hub.live().clone());
    hub.install(pipeline.clone());
    (hub, pipeline)
}

/// Hands every record to `each`, releases it and counts it as delivered.
fn drain(pipeline: &Pipeline, drains: &mut Drains, mut each: impl FnMut(Record<'_>)) {
    drains.refresh(pipeline.registry());
    for drain in drains.list() {
        let until = drain.consumer.published();
        while let Some(size) = drain.consumer.peek(until) {
            let record = Record::parse(drain.consumer.record(size)).expect("a whole record");
            let signal = match record {
                Record::Log(_) => Signal::Logs,
                Record::Span(_) => Signal::Spans,
            };
            each(record);
            pipeline.drained().taken(signal).add(1);
            pipeline.drained().delivered(signal).add(1);
            drain.consumer.advance(size);
        }
        drain.consumer.release();
    }
    drains.recycle(pipeline.registry());
}

#[test]
fn a_log_line_and_a_span_come_out_as_they_went_in() {
    let (hub, pipeline) = start(PipelineConfig::default());
    let logger = Logger::new(hub.clone(), "planner");
    let tracer = Tracer::new(hub.clone(), "planner");
    let mut span = tracer.start("plan", Start { kind: SpanKind::Client, ..Start::default() });
    span.set_attribute((key!("tokens"), 1.into()));
    span.set_attribute((key!("model"), "gpt-4o".into()));
    span.set_attribute((key!("tokens"), 12.into()));
    span.add_event("retry", &[(key!("attempt"), 2.into())]);
    span.add_link(&span.context().clone(), &[]);
    span.set_status(Status::Error, "why");
    let ids = span.context().ids();
    logger.log_in(
        ids,
        Level::Info,
        "plan ready",
        &[(key!("steps"), 4.into()), (Key::Text("not interned"), true.into())],
    );
    logger.log(Level::Debug, "below the level", &[]);
    span.end(&hub, None);

    let mut seen = Vec::new();
    drain(&pipeline, &mut Drains::default(), |record| match record {
        Record::Log(log) => {
            assert_eq!(log.message, "plan ready");
            assert_eq!(log.span.copied(), ids);
            let fields: Vec<_> = log.fields.collect();
            assert!(matches!(fields[0], (Key::Id(_), Value::I64(4))), "{fields:?}");
            assert!(matches!(fields[1], (Key::Text("not interned"), Value::Bool(true))));
            seen.push("log");
        }
        Record::Span(span) => {
            assert_eq!((span.name, span.description), ("plan", "why"));
            assert_eq!(span.fixed.span_kind, SpanKind::Client as u8);
            let values: Vec<_> = span.attributes.map(|(_, value)| value).collect();
            assert!(matches!(values[..], [Value::Str("gpt-4o", 0), Value::I64(12)]), "{values:?}");
            let event = span.events.clone().next().expect("one event");
            assert_eq!((event.name, event.attributes.count()), ("retry", 1));
            assert_eq!(span.links.clone().next().expect("one link").ids, &ids.unwrap());
            assert!(span.fixed.start < span.fixed.header.ticks);
            seen.push("span");
        }
    });
    assert_eq!(seen, ["log", "span"]);
    let ledger = pipeline.ledger();
    assert_eq!((ledger.logs.recorded, ledger.logs.delivered, ledger.filtered), (1, 1, 1));
    assert_eq!((ledger.spans.recorded, ledger.spans.delivered, ledger.open), (1, 1, 0));
}

#[test]
fn long_strings_are_cut_on_a_character_boundary_and_excess_fields_counted() {
    let (hub, pipeline) = start(PipelineConfig::default());
    let mut limits = hub.live().limits();
    (limits.max_string, limits.max_fields) = (10, 2);
    hub.live().set_limits(limits);
    let logger = Logger::new(hub, "limits");
    let field = (key!("text"), "äöüäöü".into());
    logger.log(Level::Info, "a message that is too long", &[field, field, field]);
    drain(&pipeline, &mut Drains::default(), |record| {
        let Record::Log(log) = record else { panic!("a log line") };
        assert_eq!((log.message, log.fixed.message_cut), ("a message ", 16));
        assert_eq!((log.fixed.fields, log.fixed.dropped_fields), (2, 1));
        for (_, value) in log.fields {
            assert!(matches!(value, Value::Str("äöüäö", 2)), "{value:?}");
        }
    });
}

#[test]
fn a_full_ring_drops_the_newest_and_keeps_room_for_severe_lines() {
    for (overflow, severe_kept) in [(Overflow::DropNewest, false), (Overflow::KeepSevere, true)] {
        let config = PipelineConfig { ring_bytes: 4096, overflow, ..PipelineConfig::default() };
        let (hub, pipeline) = start(config);
        let logger = Logger::new(hub, "full");
        for i in 0..1000u32 {
            logger.log(Level::Info, "line", &[(key!("i"), i.into())]);
        }
        logger.log(Level::Error, "severe", &[]);
        let (mut lines, mut severe) = (0, false);
        drain(&pipeline, &mut Drains::default(), |record| {
            let Record::Log(log) = record else { panic!("a log line") };
            severe |= log.message == "severe";
            lines += 1;
        });
        let books = pipeline.ledger().logs;
        assert_eq!(books.recorded, 1001);
        assert_eq!(books.delivered, lines);
        assert_eq!(books.recorded, books.delivered + books.dropped["ring_full"]);
        assert_eq!(books.in_flight, 0);
        assert_eq!(severe, severe_kept);
        assert!(lines > 40);
    }
}

#[test]
fn short_threads_share_a_few_rings_and_lose_nothing() {
    let (hub, pipeline) = start(PipelineConfig { ring_bytes: 4096, ..PipelineConfig::default() });
    let logger = Logger::new(hub, "short");
    let mut drains = Drains::default();
    let mut lines = 0;
    let rounds = if cfg!(miri) { 5 } else { 500 };
    for _ in 0..rounds {
        std::thread::scope(|scope| {
            let spawn = || scope.spawn(|| logger.log(Level::Info, "hello", &[]));
            // Joined one by one: the end of a scope does not wait for thread-locals to go.
            let threads = [(); 4].map(|()| spawn());
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        drain(&pipeline, &mut drains, |_| lines += 1);
    }
    assert_eq!(lines, 4 * rounds);
    assert!(pipeline.registry().memory_bytes() <= 4 * 4096);
}

#[test]
fn a_record_after_the_threads_end_is_counted_as_dropped() {
    struct Late(Arc<Logger>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.log(Level::Info, "from a destructor", &[]);
        }
    }
    thread_local!(static LATE: std::cell::RefCell<Option<Late>> = const { std::cell::RefCell::new(None) });
    let (hub, pipeline) = start(PipelineConfig::default());
    let logger = Arc::new(Logger::new(hub, "late"));
    let of_thread = logger.clone();
    std::thread::spawn(move || {
        // Registered first, destroyed last: the recorder's guard goes before it.
        LATE.with(|late| *late.borrow_mut() = Some(Late(of_thread.clone())));
        of_thread.log(Level::Info, "in time", &[]);
    })
    .join()
    .unwrap();
    let mut lines = 0;
    drain(&pipeline, &mut Drains::default(), |_| lines += 1);
    let books = pipeline.ledger().logs;
    assert_eq!(books.recorded, 2);
    assert_eq!(books.delivered + books.dropped.get("thread_exited").copied().unwrap_or(0), 2);
}

#[test]
fn off_before_install_and_after_uninstall() {
    let hub = Hub::new();
    let logger = Logger::new(hub.clone(), "off");
    logger.log(Level::Critical, "nobody listens", &[]);
    assert!(!logger.enabled(Level::Critical));
    let pipeline = Pipeline::new(PipelineConfig::default(), hub.live().clone());
    hub.install(pipeline.clone());
    assert!(logger.enabled(Level::Critical));
    logger.log(Level::Info, "heard", &[]);
    hub.uninstall();
    logger.log(Level::Info, "too late", &[]);
    assert_eq!(pipeline.ledger().logs.recorded, 1);
}

#[test]
fn open_spans_are_bounded_and_the_excess_is_counted() {
    let (hub, pipeline) = start(PipelineConfig { max_open_spans: 3, ..PipelineConfig::default() });
    let tracer = Tracer::new(hub.clone(), "bounded");
    let mut spans: Vec<_> = (0..5).map(|_| tracer.start("open", Start::default())).collect();
    assert_eq!(pipeline.ledger().open, 3);
    spans.iter_mut().for_each(|span| {
        span.end(&hub, None);
    });
    let books = pipeline.ledger();
    assert_eq!((books.open, books.spans.recorded), (0, 5));
    assert_eq!(books.spans.dropped["open_spans"], 2);
}

#[test]
fn no_ledger_has_more_delivered_than_recorded_while_rings_are_added() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (rounds, threads) = if cfg!(miri) { (1, 10) } else { (20, 100) };
    for _ in 0..rounds {
        let config = PipelineConfig { ring_bytes: 4096, ..PipelineConfig::default() };
        let (hub, pipeline) = start(config);
        let running = AtomicBool::new(true);
        let barrier = &std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut drains = Drains::default();
                while running.load(Ordering::Relaxed) {
                    drain(&pipeline, &mut drains, |_| {});
                }
            });
            let reader = scope.spawn(|| {
                while running.load(Ordering::Relaxed) {
                    let books = pipeline.ledger().logs;
                    let settled = books.delivered + books.dropped_total();
                    assert!(settled <= books.recorded, "{books:?}");
                }
            });
            let writers: Vec<_> = (0..threads)
                .map(|_| {
                    let logger = Logger::new(hub.clone(), "new");
                    scope.spawn(move || {
                        for _ in 0..10 {
                            logger.log(Level::Info, "line", &[]);
                        }
                        barrier.wait();
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            running.store(false, Ordering::Relaxed);
            reader.join().unwrap();
        });
    }
}

#[test]
fn threads_that_come_and_go_faster_than_the_drain_looks_share_a_ring() {
    let total_bytes = 2 * 4096;
    let (hub, pipeline) =
        start(PipelineConfig { ring_bytes: 4096, total_bytes, ..PipelineConfig::default() });
    let logger = Logger::new(hub, "short");
    for _ in 0..20 {
        // Joined one by one: the end of a scope does not wait for thread-locals to go.
        std::thread::scope(|scope| {
            scope.spawn(|| logger.log(Level::Info, "hello", &[])).join().unwrap();
        });
    }
    let mut lines = 0;
    drain(&pipeline, &mut Drains::default(), |_| lines += 1);
    assert_eq!(lines, 20);
    assert_eq!(pipeline.registry().memory_bytes(), 4096);
    let books = pipeline.ledger().logs;
    assert_eq!((books.recorded, books.delivered, books.in_flight), (20, 20, 0));
}
