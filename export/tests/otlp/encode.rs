//! What the encoders write, read back by the official messages.

use coati_core::intern::reserved;
use coati_core::key;
use coati_core::log::{LogHead, Logger, encode_log, name_id};
use coati_core::metrics::{
    Descriptor, Exemplar, Kind, LabelValue, MetricSnapshot, Number, Store, StoreConfig,
};
use coati_core::record::value::{Key, Value};
use coati_core::record::write::Encoder as Records;
use coati_core::record::{CallSite, Level, Tag, flags};
use coati_core::span::{SpanContext, SpanKind, Start, Status, Tracer};
use coati_export::genai::Shown;
use coati_export::otlp::compose::{Encoding, Scope, compose};
use coati_export::otlp::encoder::Encoder;
use coati_export::otlp::point::Frame;
use coati_export::otlp::signal::Signal;
use coati_export::otlp::split::split;
use coati_export::redact::Redactor;
use coati_export::redact::keys::KeyRules;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{exemplar, number_data_point};
use proptest::prelude::*;
use prost::Message;

use crate::records::{Undrained, request, resource};

fn value_of(attributes: &[KeyValue], key: &str) -> Option<Any> {
    let found: Vec<_> = attributes.iter().filter(|pair| pair.key == key).collect();
    assert!(found.len() <= 1, "{key} stands once");
    found.first()?.value.clone()?.value
}

fn text(value: &str) -> Option<Any> {
    Some(Any::StringValue(value.into()))
}

/// The same request in both encodings, decoded; they must say the same.
macro_rules! both {
    ($type:ty, $make:expr) => {{
        let make = $make;
        let binary: Vec<u8> = make(Encoding::Protobuf);
        let decoded = <$type>::decode(&*binary).expect("protobuf");
        assert_eq!(decoded.encoded_len(), binary.len(), "no byte too many");
        let text: Vec<u8> = make(Encoding::Json);
        let from_json: $type = serde_json::from_slice(&text)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
        assert_eq!(decoded, from_json);
        decoded
    }};
}

#[test]
fn a_span_has_everything_that_was_recorded() {
    let mut run = Undrained::new();
    let hub = run.hub.clone();
    let tracer = Tracer::new(hub.clone(), "planner");
    let parent = SpanContext {
        trace_id: coati_core::ids::TraceId([7; 16]),
        span_id: coati_core::ids::SpanId([9; 8]),
        trace_flags: 1,
        remote: true,
    };
    let start = Start {
        parent: Some(parent),
        kind: SpanKind::Client,
        start_time: Some(1_000),
        ..Start::default()
    };
    let mut span = tracer.start("call ✓", start);
    let long = "k".repeat(200);
    span.set_attribute((key!("text"), "a \"b\"\n".into()));
    span.set_attribute((key!("int"), (-5i64).into()));
    span.set_attribute((key!("big"), u64::MAX.into()));
    span.set_attribute((key!("small unsigned"), 7u64.into()));
    span.set_attribute((key!("float"), 0.1.into()));
    span.set_attribute((key!("yes"), true.into()));
    span.set_attribute((key!("none"), Value::Null));
    span.set_attribute((key!("bytes"), Value::Bytes(b"\x00\xff")));
    span.set_attribute((Key::new(&long), 1.into()));
    span.set_attribute((key!("password"), "hunter2".into()));
    let list = |records: &mut Records<'_>| {
        records.nested(key!("list"), Tag::List, |records| {
            records.field((Key::Id(coati_core::intern::Id(0)), 1.into()));
            records.field((Key::Id(coati_core::intern::Id(0)), "two".into()));
        })
    };
    span.body().unwrap().set(key!("list"), list);
    span.add_event("retry", &[(key!("attempt"), 2.into()), (key!("attempt"), 3.into())]);
    span.set_trace_state("a=1,b=2");
    span.add_link(&SpanContext { remote: false, ..parent }, &[(key!("why"), "because".into())]);
    span.body().unwrap().add_link(&parent, "c=3", |_, _| (0, 0));
    span.set_status(Status::Error, "no answer");
    span.abandon();
    let context = *span.context();
    span.end(&hub, Some(5_000));
    let records = run.take();
    let rules = Redactor::new(Some(std::sync::Arc::new(KeyRules::new(&[]))));
    let decoded = both!(ExportTraceServiceRequest, |encoding| {
        request(encoding, Signal::Traces, &run.timeline, &rules, &records)
    });
    let whole = &decoded.resource_spans[0];
    let of_resource = &whole.resource.as_ref().unwrap().attributes;
    assert_eq!(value_of(of_resource, "service.name"), text("tests"));
    assert_eq!(value_of(of_resource, "replicas"), Some(Any::IntValue(3)));
    assert_eq!(whole.scope_spans[0].scope.as_ref().unwrap().name, "planner");
    let span = &whole.scope_spans[0].spans[0];
    assert_eq!((&*span.trace_id, &*span.span_id), (&[7u8; 16][..], &context.span_id.0[..]));
    assert_eq!((&*span.parent_span_id, &*span.name), (&[9u8; 8][..], "call ✓"));
    assert_eq!((span.kind, span.start_time_unix_nano, span.end_time_unix_nano), (3, 1_000, 5_000));
    assert_eq!((span.flags, &*span.trace_state), (0x301, "a=1,b=2"));
    let of = |key| value_of(&span.attributes, key);
    assert_eq!(of("text"), text("a \"b\"\n"));
    assert_eq!(of("int"), Some(Any::IntValue(-5)));
    assert_eq!(of("big"), text("18446744073709551615"));
    assert_eq!(of("small unsigned"), Some(Any::IntValue(7)));
    assert_eq!(of("float"), Some(Any::DoubleValue(0.1)));
    assert_eq!(of("yes"), Some(Any::BoolValue(true)));
    assert_eq!(of("none"), None);
    assert!(span.attributes.iter().any(|pair| pair.key == "none"));
    assert_eq!(of("bytes"), Some(Any::BytesValue(vec![0, 255])));
    assert_eq!(of(&long), Some(Any::IntValue(1)));
    assert_eq!(of("password"), text("[REDACTED]"));
    assert_eq!(of("coati.abandoned"), Some(Any::BoolValue(true)));
    let Some(Any::ArrayValue(list)) = of("list") else { panic!("a list") };
    assert_eq!(list.values[0].value, Some(Any::IntValue(1)));
    assert_eq!(list.values[1].value, text("two"));
    let event = &span.events[0];
    assert_eq!((&*event.name, event.attributes.len()), ("retry", 1));
    assert_eq!(value_of(&event.attributes, "attempt"), Some(Any::IntValue(3)));
    assert!(event.time_unix_nano > 1_600_000_000_000_000_000);
    let link = &span.links[0];
    assert_eq!((&*link.trace_id, &*link.span_id), (&[7u8; 16][..], &[9u8; 8][..]));
    assert_eq!(value_of(&link.attributes, "why"), text("because"));
    assert_eq!((link.flags, &*link.trace_state), (0x101, ""));
    assert_eq!((span.links[1].flags, &*span.links[1].trace_state), (0x301, "c=3"));
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.code, &*status.message), (2, "no answer"));
}

#[test]
fn names_of_generative_ai_are_those_asked_for() {
    let mut run = Undrained::new();
    let hub = run.hub.clone();
    let mut span = Tracer::new(hub.clone(), "t").start("s", Start::default());
    span.set_attribute((key!("gen_ai.provider.name"), "x_ai".into()));
    span.set_attribute((key!("gen_ai.request.model"), "m".into()));
    span.end(&hub, None);
    Logger::new(hub, "t").log(Level::Info, "", &[(key!("gen_ai.provider.name"), "x_ai".into())]);
    let records = run.take();
    for (shown, newest, older) in [
        (Shown::Latest, text("x_ai"), None),
        (Shown::Older, None, text("xai")),
        (Shown::Both, text("x_ai"), text("xai")),
    ] {
        let redactor = Redactor::new(None).showing(Some(shown));
        let spans = both!(ExportTraceServiceRequest, |encoding| {
            request(encoding, Signal::Traces, &run.timeline, &redactor, &records)
        });
        let of_span = &spans.resource_spans[0].scope_spans[0].spans[0].attributes;
        assert_eq!(value_of(of_span, "gen_ai.request.model"), text("m"));
        let logs = both!(ExportLogsServiceRequest, |encoding| {
            request(encoding, Signal::Logs, &run.timeline, &redactor, &records)
        });
        let of_log = &logs.resource_logs[0].scope_logs[0].log_records[0].attributes;
        for attributes in [of_span, of_log] {
            assert_eq!(value_of(attributes, "gen_ai.provider.name"), newest, "{shown:?}");
            assert_eq!(value_of(attributes, "gen_ai.system"), older, "{shown:?}");
        }
    }
}

#[test]
fn what_was_left_out_of_a_span_is_counted() {
    let mut run = Undrained::new();
    let hub = run.hub.clone();
    let limits = coati_core::live::Limits {
        max_attributes: 1,
        max_event_attributes: 1,
        max_events: 1,
        max_links: 1,
        max_span_string: 16,
        ..hub.live().limits()
    };
    hub.live().set_limits(limits);
    let mut span = Tracer::new(hub.clone(), "t").start("s", Start::default());
    let context = *span.context();
    for i in 0..3u64 {
        span.set_attribute((Key::new(&format!("key {i}")), "0123456789abcdef…".into()));
        span.add_event("e", &[(key!("a"), 1.into()), (key!("b"), 2.into())]);
        span.add_link(&context, &[]);
    }
    span.end(&hub, None);
    let records = run.take();
    let decoded = both!(ExportTraceServiceRequest, |encoding| {
        request(encoding, Signal::Traces, &run.timeline, &Redactor::new(None), &records)
    });
    let span = &decoded.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.attributes.len(), 1);
    assert_eq!(
        span.attributes[0].value.clone().unwrap().value,
        text("0123456789abcdef…[+3 bytes]")
    );
    assert_eq!(
        (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
        (2, 2, 2)
    );
    assert_eq!(span.events[0].dropped_attributes_count, 1);
}

#[test]
fn a_log_record_has_everything_that_was_recorded() {
    let mut run = Undrained::new();
    let hub = run.hub.clone();
    let span = Tracer::new(hub.clone(), "t").start("s", Start::default());
    let logger = Logger::new(hub.clone(), "planner");
    logger.log_in(span.context().ids(), Level::Critical, "it ✗", &[(key!("n"), 1.into())]);
    Logger::new(hub.clone(), "other").log(Level::Warning, "", &[]);
    let head = LogHead {
        level: Level::Info,
        logger: name_id("planner"),
        flags: flags::LAYERED | flags::BODY | span.context().log_flags(),
        span: span.context().ids(),
        call_site: Some(CallSite { file: name_id("app.py").0, line: 17 }),
        message: b"{'a': 1}",
    };
    hub.with(|recorder| {
        recorder.unwrap().record(
            coati_core::ledger::Signal::Logs,
            Level::Info,
            |records, ticks| {
                encode_log(records, ticks, &head, |records| {
                    records.nested(Key::Id(reserved::BODY), Tag::Map, |records| {
                        records.field((Key::Id(coati_core::intern::Id(0)), "a".into()));
                        records.field((Key::Id(coati_core::intern::Id(0)), 1.into()));
                    });
                    records.field((key!("twice"), 1.into()));
                    records.field((key!("twice"), 2.into()));
                    (3, 4)
                });
            },
        );
    });
    let records = run.take();
    let decoded = both!(ExportLogsServiceRequest, |encoding| {
        request(encoding, Signal::Logs, &run.timeline, &Redactor::new(None), &records)
    });
    let scopes = &decoded.resource_logs[0].scope_logs;
    let names: Vec<_> = scopes.iter().map(|s| s.scope.as_ref().unwrap().name.clone()).collect();
    assert_eq!(names, ["planner", "other"]);
    let [first, second] = &scopes[0].log_records[..] else { panic!("two records") };
    assert_eq!((first.severity_number, &*first.severity_text), (21, "CRITICAL"));
    assert_eq!(first.body.clone().unwrap().value, text("it ✗"));
    assert_eq!(first.trace_id, span.context().trace_id.0);
    assert_eq!(first.span_id, span.context().span_id.0);
    assert_eq!(first.time_unix_nano, first.observed_time_unix_nano);
    assert_eq!(value_of(&first.attributes, "n"), Some(Any::IntValue(1)));
    let Some(AnyValue { value: Some(Any::KvlistValue(body)) }) = &second.body else {
        panic!("a structured body")
    };
    assert_eq!(value_of(&body.values, "a"), Some(Any::IntValue(1)));
    assert_eq!(value_of(&second.attributes, "twice"), Some(Any::IntValue(2)));
    assert_eq!(value_of(&second.attributes, "code.file.path"), text("app.py"));
    assert_eq!(value_of(&second.attributes, "code.line.number"), Some(Any::IntValue(17)));
    assert_eq!((second.attributes.len(), second.dropped_attributes_count), (3, 4));
    assert_eq!((&second.trace_id, second.flags), (&first.trace_id, 3));
    assert!(first.event_name.is_empty());
    let outside = &scopes[1].log_records[0];
    assert!(outside.trace_id.is_empty() && outside.flags == 0);
}

/// A store with one instrument of each kind.
fn store() -> std::sync::Arc<Store> {
    let store = Store::new(StoreConfig::default());
    let shard = store.acquire_shard();
    let make = |descriptor| store.instrument(descriptor).unwrap();
    let labels = [("agent", LabelValue::Str("a1")), ("ok", LabelValue::Bool(true))];
    make(Descriptor::new("runs", Kind::Counter, "1", "Runs")).series(&labels).add_int(&shard, 3);
    let open = make(Descriptor::new("open", Kind::UpDownCounter, "", "")).series(&[]);
    open.add_float(&shard, -1.5);
    make(Descriptor::new("depth", Kind::Gauge, "By", "")).series(&[]).set(2.5);
    let explicit = Descriptor::new("wait", Kind::Histogram, "ms", "").with_bounds(&[1.0, 10.0]);
    let explicit = make(explicit).series(&[]);
    let exponential = make(Descriptor::new("time", Kind::Histogram, "ms", "")).series(&labels);
    for value in [0.5, 5.0, 50.0] {
        explicit.record(&shard, value);
    }
    for value in [0.0, -2.0, 1.0, 5.0, 1e6] {
        exponential.record(&shard, value);
    }
    make(Descriptor::new("silent", Kind::Counter, "1", ""));
    store.release_shard(shard);
    store
}

fn metrics(metrics: &[MetricSnapshot], frame: Frame) -> ExportMetricsServiceRequest {
    both!(ExportMetricsServiceRequest, |encoding| {
        let encoder = Encoder::new(encoding);
        let mut scope = Scope { name: name_id("coati").0, ..Scope::default() };
        for metric in metrics {
            encoder.metric(metric, &frame, &mut scope.items);
        }
        compose(Signal::Metrics, &resource(encoding), &[&scope])
    })
}

const FRAME: Frame =
    Frame { start: 10, since: 20, now: 30, fresh: 25, delta: false, explicit: false };

#[test]
fn metrics_of_every_kind_are_told() {
    let snapshot = store().snapshot();
    let decoded = metrics(&snapshot, FRAME);
    let all = &decoded.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<_> = all.iter().map(|metric| &*metric.name).collect();
    assert_eq!(names, ["runs", "open", "depth", "wait", "time"]);
    assert_eq!((&*all[0].unit, &*all[0].description), ("1", "Runs"));
    let Some(Data::Sum(runs)) = &all[0].data else { panic!("a sum") };
    assert!(runs.is_monotonic && runs.aggregation_temporality == 2);
    let point = &runs.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (10, 30));
    assert_eq!(point.value, Some(number_data_point::Value::AsInt(3)));
    assert_eq!(value_of(&point.attributes, "agent"), text("a1"));
    assert_eq!(value_of(&point.attributes, "ok"), Some(Any::BoolValue(true)));
    let Some(Data::Sum(open)) = &all[1].data else { panic!("a sum") };
    assert!(!open.is_monotonic && open.aggregation_temporality == 2);
    assert_eq!(open.data_points[0].value, Some(number_data_point::Value::AsDouble(-1.5)));
    let Some(Data::Gauge(depth)) = &all[2].data else { panic!("a gauge") };
    assert_eq!(depth.data_points[0].start_time_unix_nano, 0);
    let Some(Data::Histogram(wait)) = &all[3].data else { panic!("a histogram") };
    let point = &wait.data_points[0];
    assert_eq!(
        (&*point.bucket_counts, &*point.explicit_bounds),
        (&[1, 1, 1][..], &[1.0, 10.0][..])
    );
    assert_eq!(
        (point.count, point.sum, point.min, point.max),
        (3, Some(55.5), Some(0.5), Some(50.0))
    );
    let Some(Data::ExponentialHistogram(time)) = &all[4].data else { panic!("exponential") };
    let point = &time.data_points[0];
    assert_eq!((point.count, point.zero_count, point.sum), (5, 1, 1_000_004.0f64.into()));
    let positive = point.positive.as_ref().unwrap();
    assert!(positive.bucket_counts.len() <= 160 && positive.bucket_counts.len() > 80);
    assert_eq!(positive.bucket_counts.iter().sum::<u64>(), 3);
    // 2^20 is above 1e6, and 1 is the upper end of the bucket before index 0.
    let base = f64::from(-point.scale).exp2().exp2();
    assert_eq!(positive.offset, -1);
    let last = positive.offset + positive.bucket_counts.len() as i32;
    assert!(base.powi(last) * 1.0001 >= 1e6 && base.powi(last - 1) < 1e6);
    assert_eq!(point.negative.as_ref().unwrap().bucket_counts, [1]);
    assert_eq!((point.min, point.max), (Some(-2.0), Some(1e6)));
}

#[test]
fn exemplars_that_are_new_go_out_with_their_spans() {
    let ids = coati_core::record::SpanIds {
        trace_id: coati_core::ids::TraceId([1; 16]),
        span_id: coati_core::ids::SpanId([2; 8]),
    };
    let kept = |value, time, span| Exemplar { value, time, span };
    let mut snapshot = store().snapshot();
    for metric in &mut snapshot {
        let Some(series) = metric.series.first_mut() else { continue };
        series.exemplars = vec![
            kept(Number::Float(0.5), 24, Some(ids)),
            kept(Number::Int(-7), 25, Some(ids)),
            kept(Number::Float(0.25), 26, None),
        ];
    }
    let decoded = metrics(&snapshot, FRAME);
    let all = &decoded.resource_metrics[0].scope_metrics[0].metrics;
    let of = |at: usize| match &all[at].data {
        Some(Data::Sum(sum)) => sum.data_points[0].exemplars.clone(),
        Some(Data::Histogram(histogram)) => histogram.data_points[0].exemplars.clone(),
        Some(Data::ExponentialHistogram(one)) => one.data_points[0].exemplars.clone(),
        other => panic!("{other:?}"),
    };
    for at in [0, 1, 3, 4] {
        let found = of(at);
        let times: Vec<_> = found.iter().map(|exemplar| exemplar.time_unix_nano).collect();
        assert_eq!(times, [25, 26], "the first one has gone out already");
        assert_eq!(found[0].value, Some(exemplar::Value::AsInt(-7)));
        assert_eq!((&*found[0].trace_id, &*found[0].span_id), (&[1; 16][..], &[2; 8][..]));
        assert_eq!(found[1].value, Some(exemplar::Value::AsDouble(0.25)));
        assert!(found[1].trace_id.is_empty() && found[1].span_id.is_empty());
    }
}

#[test]
fn deltas_tell_what_is_new_and_explicit_bounds_replace_exponential_ones() {
    let store = store();
    let mut reader =
        coati_core::metrics::Reader::new(store.clone(), coati_core::metrics::Temporality::Delta);
    let frame = Frame { delta: true, explicit: true, ..FRAME };
    let decoded = metrics(&reader.read(), frame);
    let all = &decoded.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Sum(runs)) = &all[0].data else { panic!("a sum") };
    assert_eq!((runs.aggregation_temporality, runs.data_points[0].start_time_unix_nano), (1, 20));
    let Some(Data::Sum(open)) = &all[1].data else { panic!("a sum") };
    assert_eq!((open.aggregation_temporality, open.data_points[0].start_time_unix_nano), (2, 10));
    let Some(Data::Histogram(time)) = &all[4].data else { panic!("explicit by wish") };
    assert_eq!(time.data_points[0].explicit_bounds[..3], [0.0, 5.0, 10.0]);
    // 0 and -2; 1 and 5; 1e6 above the last bound.
    let counts = &time.data_points[0].bucket_counts;
    assert_eq!((counts[0], counts[1], counts[15], counts.len()), (2, 2, 1, 16));
    let decoded = metrics(&reader.read(), frame);
    let all = &decoded.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<_> = all.iter().map(|metric| &*metric.name).collect();
    assert_eq!(names, ["open", "depth"], "nothing new of the others");
}

#[test]
fn halves_of_a_request_hold_its_items_once_and_in_order() {
    let mut run = Undrained::new();
    let hub = run.hub.clone();
    for i in 0..7u64 {
        let logger = Logger::new(hub.clone(), if i < 4 { "one" } else { "two" });
        logger.log(Level::Info, "work", &[(key!("i"), i.into())]);
    }
    let records = run.take();
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let body = request(encoding, Signal::Logs, &run.timeline, &Redactor::new(None), &records);
        let decode = |body: &[u8]| match encoding {
            Encoding::Protobuf => ExportLogsServiceRequest::decode(body).unwrap(),
            Encoding::Json => serde_json::from_slice(body).unwrap(),
        };
        let mut parts = vec![(body, 7)];
        let mut whole = Vec::new();
        while let Some((body, count)) = parts.pop() {
            match split(Signal::Logs, encoding, &body) {
                Some([first, second]) => {
                    assert_eq!(first.1 + second.1, count);
                    parts.extend([second, first]);
                }
                None => {
                    assert_eq!(count, 1);
                    let decoded = decode(&body);
                    assert_eq!(
                        decoded.resource_logs[0].resource.clone().unwrap().attributes.len(),
                        3
                    );
                    let scope = &decoded.resource_logs[0].scope_logs[0];
                    let i = value_of(&scope.log_records[0].attributes, "i");
                    whole.push((scope.scope.clone().unwrap().name, i));
                }
            }
        }
        let expected: Vec<_> = (0..7)
            .map(|i| (if i < 4 { "one" } else { "two" }.to_owned(), Some(Any::IntValue(i))))
            .collect();
        assert_eq!(whole, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_text_and_number_survives(
        name in "\\PC{0,300}",
        message in "\\PC{0,2000}",
        number in any::<i64>(),
        float in any::<f64>(),
    ) {
        let mut run = Undrained::new();
        let logger = Logger::new(run.hub.clone(), "p");
        logger.log(Level::Info, &message, &[
            (Key::new(&name), Value::Str(&message)),
            (key!("number"), number.into()),
            (key!("float"), float.into()),
        ]);
        let records = run.take();
        let body = request(
            Encoding::Protobuf, Signal::Logs, &run.timeline, &Redactor::new(None), &records,
        );
        let decoded = ExportLogsServiceRequest::decode(&*body).unwrap();
        let log = &decoded.resource_logs[0].scope_logs[0].log_records[0];
        prop_assert_eq!(log.body.clone().unwrap().value, text(&message));
        prop_assert_eq!(&log.attributes[0].key, &name);
        prop_assert_eq!(value_of(&log.attributes[1..], "number"), Some(Any::IntValue(number)));
        let Some(Any::DoubleValue(read)) = value_of(&log.attributes[1..], "float") else {
            panic!("a double")
        };
        prop_assert_eq!(read.to_bits(), float.to_bits());
    }
}
