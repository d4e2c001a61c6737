//! From an engine to a receiver over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::key;
use coati_core::ledger::Ledger;
use coati_core::log::Logger;
use coati_core::metrics::{Descriptor, Kind};
use coati_core::record::Level;
use coati_core::span::{Start, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};

use crate::receiver::{Answer, PATIENCE, Receiver, Taken, numbers};

/// An engine with one OTLP sink that has these keys besides short pauses.
pub fn start(mut sink: Value) -> Arc<Engine> {
    let defaults = json!({
        "type": "otlp",
        "signals": ["logs", "spans"],
        "retry_initial_ms": 10,
        "retry_max_ms": 50,
        "traces": {"delay_ms": 20},
        "logs": {"delay_ms": 20},
    });
    for (key, value) in defaults.as_object().unwrap() {
        sink.as_object_mut().unwrap().entry(key).or_insert_with(|| value.clone());
    }
    engine(json!({"service": "sender", "ring": {"bytes": 1 << 22}, "sinks": [sink]}))
}

pub fn engine(dict: Value) -> Arc<Engine> {
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() }).unwrap();
    Engine::start(Hub::new(), config, Options::default()).unwrap()
}

/// Records logs numbered thus.
pub fn log(engine: &Engine, numbers: std::ops::Range<i64>) {
    let logger = Logger::new(engine.hub().clone(), "sender");
    for i in numbers {
        logger.log(Level::Info, "work", &[(key!("i"), i.into())]);
    }
}

pub fn span(engine: &Engine, i: i64) {
    let mut span = Tracer::new(engine.hub().clone(), "sender").start("work", Start::default());
    span.set_attribute((key!("i"), i.into()));
    span.end(engine.hub(), None);
}

pub fn balanced(books: &Ledger) {
    for account in [&books.logs, &books.spans] {
        let settled = account.delivered + account.dropped_total();
        assert_eq!(account.recorded, settled + account.in_flight, "{account:?}");
    }
}

/// The books after a shutdown of this length, once the exporter has given up what it could not
/// send: where the machine stands still, the time is over before it has.
pub fn given_up(engine: &Engine, timeout: Duration) -> Ledger {
    let begun = Instant::now();
    let mut books = engine.shutdown(timeout);
    while books.logs.in_flight > 0 {
        assert!(begun.elapsed() < PATIENCE, "{books:?}");
        std::thread::sleep(Duration::from_millis(5));
        books = engine.ledger();
    }
    books
}

pub fn figure(engine: &Engine, key: &str) -> u64 {
    engine.health()["sinks"][0][key].as_u64().unwrap_or(0)
}

pub fn sorted(mut numbers: Vec<i64>) -> Vec<i64> {
    numbers.sort_unstable();
    numbers
}

pub fn all(upto: i64) -> Vec<i64> {
    (0..upto).collect()
}

#[test]
fn all_signals_arrive_with_headers_in_each_encoding_plain_and_compressed() {
    for (protocol, compression) in [
        ("http/protobuf", "none"),
        ("http/protobuf", "gzip"),
        ("http/json", "none"),
        ("http/json", "gzip"),
    ] {
        let receiver = Receiver::start();
        let engine = start(json!({
            "endpoint": receiver.url(),
            "protocol": protocol,
            "compression": compression,
            "headers": {"X-Tenant": "a1"},
            "signals": ["logs", "spans", "metrics"],
        }));
        log(&engine, 0..3);
        span(&engine, 7);
        let runs = Descriptor::new("runs", Kind::Counter, "1", "");
        Instrument::new(engine.hub().clone(), runs).unwrap().bind(&[]).add_int(3);
        assert!(engine.flush(PATIENCE));
        let taken = receiver.taken();
        let at = |path: &str| taken.iter().find(|taken| taken.path == path).expect("a request");
        let json = protocol == "http/json";
        let (logs, spans, metrics) = (at("/v1/logs"), at("/v1/traces"), at("/v1/metrics"));
        for request in [logs, spans, metrics] {
            assert_eq!(request.header("x-tenant"), Some("a1"));
            let kind = if json { "application/json" } else { "application/x-protobuf" };
            assert_eq!(request.header("content-type"), Some(kind));
            let coding = (compression == "gzip").then_some("gzip");
            assert_eq!(request.header("content-encoding"), coding);
            assert!(request.header("user-agent").unwrap().starts_with("OTel-OTLP-Exporter-Coati/"));
        }
        fn decode<T: Message + Default + serde::de::DeserializeOwned>(
            taken: &Taken,
            json: bool,
        ) -> T {
            match json {
                true => serde_json::from_slice(&taken.body).unwrap(),
                false => T::decode(&*taken.body).unwrap(),
            }
        }
        let logs: ExportLogsServiceRequest = decode(logs, json);
        let resource = &logs.resource_logs[0].resource.as_ref().unwrap().attributes;
        let names: Vec<_> = resource.iter().map(|pair| &*pair.key).collect();
        assert_eq!(
            names,
            [
                "telemetry.sdk.language",
                "telemetry.sdk.name",
                "telemetry.sdk.version",
                "service.name"
            ]
        );
        assert_eq!(logs.resource_logs[0].scope_logs[0].log_records.len(), 3);
        let spans: ExportTraceServiceRequest = decode(spans, json);
        assert_eq!(spans.resource_spans[0].scope_spans[0].spans[0].name, "work");
        let metrics: ExportMetricsServiceRequest = decode(metrics, json);
        assert_eq!(metrics.resource_metrics[0].scope_metrics[0].metrics[0].name, "runs");
        let books = engine.shutdown(PATIENCE);
        assert_eq!((books.logs.delivered, books.spans.delivered), (3, 1));
        balanced(&books);
    }
}

#[test]
fn a_signal_may_have_an_endpoint_of_its_own() {
    let (base, own) = (Receiver::start(), Receiver::start());
    let engine = start(json!({
        "endpoint": format!("{}/base/", base.url()),
        "logs": {"endpoint": format!("{}/own", own.url()), "delay_ms": 0, "headers": {"a": "b"}},
    }));
    log(&engine, 0..1);
    span(&engine, 0);
    assert!(engine.flush(PATIENCE));
    assert_eq!(base.taken()[0].path, "/base/v1/traces");
    assert_eq!(own.taken()[0].path, "/own");
    assert_eq!(own.taken()[0].header("a"), Some("b"));
    engine.shutdown(PATIENCE);
}

#[test]
fn batches_close_by_count_by_bytes_and_by_delay() {
    let receiver = Receiver::start();
    let engine = start(json!({
        "endpoint": receiver.url(),
        "logs": {"delay_ms": 86_400_000u64, "batch_records": 10},
    }));
    log(&engine, 0..25);
    // Two full ones go by themselves; the rest waits for a day, or a flush.
    let taken = receiver.wait(|taken| numbers(taken, "i").len() >= 20);
    assert_eq!(taken.iter().map(|t| numbers(std::slice::from_ref(t), "i").len()).max(), Some(10));
    assert!(engine.flush(PATIENCE));
    assert_eq!(sorted(numbers(&receiver.taken(), "i")), all(25));
    engine.shutdown(PATIENCE);

    let receiver = Receiver::start();
    let engine = start(json!({
        "endpoint": receiver.url(),
        "batch_bytes": 1024,
        "logs": {"delay_ms": 86_400_000u64},
    }));
    log(&engine, 0..100);
    assert!(engine.flush(PATIENCE));
    let taken = receiver.taken();
    assert_eq!(sorted(numbers(&taken, "i")), all(100));
    assert!(taken.len() >= 5 && taken.iter().all(|taken| taken.body.len() < 1600));
    engine.shutdown(PATIENCE);

    let receiver = Receiver::start();
    let engine = start(json!({"endpoint": receiver.url(), "logs": {"delay_ms": 1}}));
    log(&engine, 0..5);
    receiver.wait(|taken| numbers(taken, "i").len() == 5);
    engine.shutdown(PATIENCE);
}

#[test]
fn what_fails_for_a_while_is_sent_again_and_arrives_once() {
    let receiver = Receiver::start();
    receiver.next([
        Answer::Status(503, ""),
        Answer::Status(429, "Retry-After: 0\r\n"),
        Answer::Status(502, ""),
        Answer::Status(504, ""),
        Answer::Close,
        Answer::Garbage,
    ]);
    let engine = start(json!({"endpoint": receiver.url()}));
    log(&engine, 0..10);
    receiver.wait(|taken| numbers(taken, "i").len() >= 10);
    assert!(engine.flush(PATIENCE));
    assert_eq!(sorted(numbers(&receiver.taken(), "i")), all(10));
    assert_eq!((receiver.seen(), figure(&engine, "retries")), (7, 6));
    assert_eq!(engine.health()["ok"], true, "{}", engine.health());
    let books = engine.shutdown(PATIENCE);
    assert_eq!(books.logs.delivered, 10);
}

#[test]
fn retry_after_is_waited_for() {
    let receiver = Receiver::start();
    receiver.next([Answer::Status(429, "Retry-After: 2\r\n")]);
    let engine = start(json!({"endpoint": receiver.url()}));
    log(&engine, 0..1);
    receiver.wait_seen(1);
    let begun = Instant::now();
    receiver.wait(|taken| taken.len() == 1);
    assert!(begun.elapsed() > Duration::from_millis(1900));
    engine.shutdown(PATIENCE);
}

#[test]
fn what_is_refused_is_dropped_and_counted() {
    let receiver = Receiver::start();
    let mut partial = Vec::new();
    coati_export::wire::message(0x0a, &mut partial, |out| {
        coati_export::wire::number(0x08, 2, out);
        coati_export::wire::bytes(0x12, b"two too old", out);
    });
    receiver.next([Answer::Status(400, ""), Answer::With(partial)]);
    let engine = start(json!({"endpoint": receiver.url()}));
    log(&engine, 0..10);
    assert!(engine.flush(PATIENCE));
    assert!(engine.health()["problems"][0]["reason"].as_str().unwrap().contains("400"));
    log(&engine, 10..15);
    assert!(engine.flush(PATIENCE));
    assert!(engine.health()["problems"][0]["reason"].as_str().unwrap().contains("two too old"));
    log(&engine, 15..16);
    assert!(engine.flush(PATIENCE));
    assert_eq!(engine.health()["ok"], true);
    assert_eq!(figure(&engine, "lost"), 12);
    let books = engine.shutdown(PATIENCE);
    assert_eq!((books.logs.delivered, books.logs.dropped["rejected"]), (4, 12));
    balanced(&books);
}

#[test]
fn what_is_too_large_is_split_until_it_fits() {
    for protocol in ["http/protobuf", "http/json"] {
        let receiver = Receiver::start();
        receiver.always(Answer::Larger(1200));
        let engine = start(json!({"endpoint": receiver.url(), "protocol": protocol}));
        log(&engine, 0..64);
        let logger = Logger::new(engine.hub().clone(), "sender");
        logger.log(Level::Info, &"x".repeat(5000), &[(key!("i"), 64.into())]);
        assert!(engine.flush(PATIENCE));
        if protocol == "http/protobuf" {
            assert_eq!(numbers(&receiver.taken(), "i"), all(64));
        }
        assert!(receiver.taken().len() > 2 && figure(&engine, "splits") > 2);
        let books = engine.shutdown(PATIENCE);
        assert_eq!((books.logs.delivered, books.logs.dropped["rejected"]), (64, 1));
    }
}

#[test]
fn a_queue_that_is_full_drops_and_counts() {
    let receiver = Receiver::start();
    receiver.always(Answer::Hang);
    let engine = start(json!({
        "endpoint": receiver.url(),
        "logs": {"delay_ms": 0, "queue_records": 100, "batch_records": 10},
    }));
    log(&engine, 0..10);
    receiver.wait_seen(1);
    let before = Instant::now();
    while engine.ledger().logs.dropped_total() == 0 {
        log(&engine, 0..100);
        assert!(before.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    let books = given_up(&engine, Duration::from_secs(1));
    assert!(books.logs.dropped["queue_full"] > 0);
    // 100 that waited and the request that hung.
    assert_eq!(books.logs.dropped["unsent"], 110, "{books:?}");
    assert_eq!((books.logs.delivered, books.logs.in_flight), (0, 0));
    balanced(&books);
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody() {
    let receiver = Receiver::start();
    receiver.always(Answer::Hang);
    let engine = start(json!({"endpoint": receiver.url(), "timeout_ms": 86_400_000u64}));
    log(&engine, 0..10);
    receiver.wait_seen(1);
    let begun = Instant::now();
    assert!(!engine.flush(Duration::from_millis(200)), "nothing is acknowledged");
    let books = given_up(&engine, Duration::from_secs(2));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert_eq!(books.logs.dropped["unsent"], 10);
    balanced(&books);
}

#[test]
fn without_a_spool_a_batch_is_given_up_in_the_end() {
    let engine = start(json!({
        "endpoint": "http://127.0.0.1:1",
        "logs": {"delay_ms": 0, "export_timeout_ms": 1},
    }));
    log(&engine, 0..10);
    let begun = Instant::now();
    while engine.ledger().logs.dropped_total() < 10 && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    let books = engine.shutdown(PATIENCE);
    assert_eq!(books.logs.dropped["unsent"], 10);
}

#[test]
fn a_record_for_two_receivers_is_delivered_when_both_have_it() {
    let (one, two) = (Receiver::start(), Receiver::start());
    two.next([Answer::Status(400, "")]);
    let sink = |receiver: &Receiver| {
        json!({"type": "otlp", "endpoint": receiver.url(), "signals": ["logs"],
               "logs": {"delay_ms": 0}})
    };
    let engine = engine(json!({"sinks": [sink(&one), sink(&two), {"type": "memory"}]}));
    log(&engine, 0..4);
    assert!(engine.flush(PATIENCE));
    log(&engine, 4..10);
    assert!(engine.flush(PATIENCE));
    assert_eq!(engine.memory_records().len(), 10);
    let books = engine.shutdown(PATIENCE);
    assert_eq!((books.logs.delivered, books.logs.dropped["rejected"]), (6, 4));
    balanced(&books);
}

#[test]
fn sinks_are_replaced_while_running_and_nothing_is_lost() {
    let (one, two) = (Receiver::start(), Receiver::start());
    let first = json!({"type": "otlp", "endpoint": one.url(), "signals": ["logs"],
                       "logs": {"delay_ms": 86_400_000u64}});
    let engine = engine(json!({"sinks": [first, {"type": "memory"}]}));
    log(&engine, 0..10);
    // The drain has handed them on, and they wait for others to go with.
    let mut kept = 0;
    let begun = Instant::now();
    while kept < 10 && begun.elapsed() < PATIENCE {
        kept += engine.memory_records().len();
        std::thread::yield_now();
    }
    let sink = json!({"type": "otlp", "endpoint": two.url(), "signals": ["logs"]});
    engine.configure(&json!({"sinks": [sink]})).unwrap();
    log(&engine, 10..20);
    assert!(engine.flush(PATIENCE));
    assert_eq!(sorted(numbers(&one.taken(), "i")), all(10));
    let books = engine.shutdown(PATIENCE);
    assert_eq!(books.logs.delivered, 20, "{books:?}");
    let mut both = numbers(&one.taken(), "i");
    both.extend(numbers(&two.taken(), "i"));
    assert_eq!(sorted(both), all(20));
}

#[test]
fn metrics_go_out_at_intervals_and_once_more_at_the_end() {
    let receiver = Receiver::start();
    let engine = start(json!({
        "endpoint": receiver.url(),
        "signals": ["metrics"],
        "temporality": "delta",
        "metrics": {"delay_ms": 10},
    }));
    let runs = Descriptor::new("runs", Kind::Counter, "1", "");
    let runs = Instrument::new(engine.hub().clone(), runs).unwrap().bind(&[]);
    let total = |taken: &[Taken]| -> i64 {
        let requests = taken
            .iter()
            .map(|taken| ExportMetricsServiceRequest::decode(&*taken.body).expect("metrics"));
        let metrics = requests
            .flat_map(|request| request.resource_metrics)
            .flat_map(|all| all.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
        metrics
            .flat_map(|metric| match metric.data {
                Some(opentelemetry_proto::tonic::metrics::v1::metric::Data::Sum(sum)) => {
                    assert_eq!(sum.aggregation_temporality, 1);
                    sum.data_points
                }
                _ => Vec::new(),
            })
            .map(|point| match point.value {
                Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(
                    n,
                )) => n,
                other => panic!("{other:?}"),
            })
            .sum()
    };
    for _ in 0..3 {
        runs.add_int(2);
        let seen = total(&receiver.taken());
        receiver.wait(|taken| total(taken) == seen + 2);
    }
    runs.add_int(5);
    engine.shutdown(PATIENCE);
    assert_eq!(total(&receiver.taken()), 11, "deltas add up to what was counted");
}

#[test]
fn an_engine_with_nothing_to_send_ends_at_once() {
    let receiver = Receiver::start();
    let engine = start(json!({
        "endpoint": receiver.url(),
        "signals": ["logs", "spans", "metrics"],
    }));
    let begun = Instant::now();
    assert!(engine.flush(PATIENCE));
    engine.shutdown(PATIENCE);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert_eq!(receiver.seen(), 0);
}
