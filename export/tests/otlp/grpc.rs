//! From an engine to a receiver over gRPC.

use std::time::Duration;

use coati_core::instrument::Instrument;
use coati_core::metrics::{Descriptor, Kind};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::json;

use crate::grpc_receiver::GrpcReceiver;
use crate::receiver::{PATIENCE, numbers};
use crate::send::{all, balanced, figure, given_up, log, sorted, span, start};

fn url(receiver: &GrpcReceiver) -> String {
    format!("http://{}", receiver.address)
}

#[test]
fn all_signals_arrive_plain_and_compressed() {
    for compression in ["none", "gzip"] {
        let receiver = GrpcReceiver::start(None);
        let engine = start(json!({
            "endpoint": url(&receiver),
            "protocol": "grpc",
            "compression": compression,
            "headers": {"x-tenant": "a1"},
            "signals": ["logs", "spans", "metrics"],
        }));
        log(&engine, 0..3);
        span(&engine, 7);
        let runs = Descriptor::new("runs", Kind::Counter, "1", "");
        Instrument::new(engine.hub().clone(), runs).unwrap().bind(&[]).add_int(3);
        assert!(engine.flush(PATIENCE));
        let taken = receiver.taken();
        let at = |part: &str| taken.iter().find(|taken| taken.path.contains(part)).unwrap();
        assert!(ExportLogsServiceRequest::decode(&*at("LogsService").body).is_ok());
        assert!(ExportTraceServiceRequest::decode(&*at("TraceService").body).is_ok());
        assert!(ExportMetricsServiceRequest::decode(&*at("MetricsService").body).is_ok());
        for request in &taken {
            assert_eq!(request.header("x-tenant"), Some("a1"));
            assert_eq!(request.header("te"), Some("trailers"));
            assert_eq!(request.header("grpc-timeout"), Some("10000m"));
            let coding = (compression == "gzip").then_some("gzip");
            assert_eq!(request.header("grpc-encoding"), coding);
        }
        let books = engine.shutdown(PATIENCE);
        assert_eq!((books.logs.delivered, books.spans.delivered), (3, 1));
    }
}

#[test]
fn what_fails_for_a_while_is_sent_again_and_arrives_once() {
    let receiver = GrpcReceiver::start(None);
    // RESOURCE_EXHAUSTED with a google.rpc.RetryInfo of 1 ms.
    let info = "CAgaMgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIGCgQQwIQ9";
    receiver.next([(14, "away", None), (4, "late", None), (8, "busy", Some(info.to_owned()))]);
    let engine = start(json!({"endpoint": url(&receiver), "protocol": "grpc"}));
    log(&engine, 0..10);
    receiver.wait_seen(4);
    assert!(engine.flush(PATIENCE));
    assert_eq!(sorted(numbers(&receiver.taken(), "i")), all(10));
    assert_eq!((receiver.seen(), figure(&engine, "retries")), (4, 3));
    let books = engine.shutdown(PATIENCE);
    assert_eq!(books.logs.delivered, 10);
}

#[test]
fn what_is_too_large_is_split_and_what_is_refused_is_dropped() {
    let receiver = GrpcReceiver::start(None);
    receiver.next([(8, "message larger than max", None), (0, "", None), (3, "bad%20data", None)]);
    let engine = start(json!({"endpoint": url(&receiver), "protocol": "grpc"}));
    log(&engine, 0..10);
    assert!(engine.flush(PATIENCE));
    assert_eq!(receiver.seen(), 3, "the whole and its halves");
    let reason = engine.health()["problems"][0]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("INVALID_ARGUMENT: bad data"), "{reason}");
    let books = engine.shutdown(PATIENCE);
    assert_eq!((books.logs.delivered, books.logs.dropped["rejected"]), (5, 5));
    balanced(&books);
}

#[test]
fn a_receiver_without_gzip_gets_it_plain() {
    let receiver = GrpcReceiver::start(None);
    receiver.refuse_gzip();
    let engine =
        start(json!({"endpoint": url(&receiver), "protocol": "grpc", "compression": "gzip"}));
    log(&engine, 0..10);
    assert!(engine.flush(PATIENCE));
    assert_eq!(sorted(numbers(&receiver.taken(), "i")), all(10));
    assert_eq!(engine.shutdown(PATIENCE).logs.delivered, 10);
}

#[test]
fn a_receiver_that_hangs_holds_up_nobody() {
    let receiver = GrpcReceiver::start(None);
    receiver.hang(true);
    let engine = start(json!({"endpoint": url(&receiver), "protocol": "grpc"}));
    log(&engine, 0..10);
    receiver.wait_seen(1);
    assert!(!engine.flush(Duration::from_millis(100)));
    let books = given_up(&engine, Duration::from_secs(2));
    assert_eq!(books.logs.dropped["unsent"], 10);
    balanced(&books);
}
