//! The drain thread with sinks that misbehave, and records for people's terminals.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use coati_core::hub::Hub;
use coati_core::ids::{SpanId, TraceId};
use coati_core::intern::intern;
use coati_core::ledger::Signal;
use coati_core::log::{LogHead, Logger, encode_fields, encode_log};
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::value::Key;
use coati_core::record::{Level, flags};
use coati_core::span::sampler::Share;
use coati_core::span::{SpanContext, Start, Status, Tracer};
use coati_export::config::{Config, Sources};
use coati_export::drain::{Control, Drain, Route, Settings};
use coati_export::encode::pretty::PrettyEncoder;
use coati_export::health::Health;
use coati_export::redact::{Redacted, Redactor};
use coati_export::sink::{Filter, Lost, Routed, Sink};
use coati_export::tail::{Policy, Slow};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

struct Engine {
    hub: Arc<Hub>,
    pipeline: Arc<Pipeline>,
    control: Arc<Control>,
    health: Arc<Health>,
}

fn start(sinks: Vec<Box<dyn Sink>>) -> Engine {
    start_with(sinks, None)
}

fn start_with(sinks: Vec<Box<dyn Sink>>, tail: Option<Policy>) -> Engine {
    let dict = Some(json!({"sinks": [{"type": "memory"}]}));
    let config = Config::load(Sources { dict, ..Sources::default() }).unwrap();
    let filter = Filter::of(&config.sinks[0]);
    let hub = Hub::new();
    let pipeline = Pipeline::new(PipelineConfig::default(), hub.live().clone());
    let (control, health) = (Arc::<Control>::default(), Arc::<Health>::default());
    let settings = Settings {
        service: "test".into(),
        window: Duration::from_millis(10),
        batch_records: 4096,
        tail,
    };
    let routes = sinks.into_iter().map(|sink| Route::new(filter, sink)).collect();
    let (p, c, h) = (pipeline.clone(), control.clone(), health.clone());
    Drain::spawn(p, c, h, settings, Redactor::new(None), routes).unwrap();
    hub.install(pipeline.clone());
    Engine { hub, pipeline, control, health }
}

/// Panics at its first commit.
struct Fragile {
    panicked: bool,
}

impl Sink for Fragile {
    fn name(&self) -> &str {
        "fragile"
    }

    fn accept(&mut self, _: &mut Routed<'_, '_>) {}

    fn commit(&mut self) -> Result<(), Lost> {
        assert!(std::mem::replace(&mut self.panicked, true), "a sink that panics once");
        Ok(())
    }
}

#[test]
fn the_drain_survives_a_sink_that_panics_and_counts_its_batch_as_lost() {
    let engine = start(vec![Box::new(Fragile { panicked: false })]);
    let logger = Logger::new(engine.hub.clone(), "fragile");
    logger.log(Level::Info, "lost", &[]);
    assert!(engine.control.flush(&engine.pipeline, PATIENCE));
    logger.log(Level::Info, "kept", &[]);
    assert!(engine.control.flush(&engine.pipeline, PATIENCE));
    let books = engine.pipeline.ledger().logs;
    assert_eq!((books.recorded, books.delivered, books.dropped["internal"]), (2, 1, 1));
    assert_eq!(books.in_flight, 0);
    assert_eq!(engine.health.report()["drain_restarts"], 1);
    assert!(engine.control.stop(&engine.pipeline, PATIENCE));
}

/// Panics on each span called so.
struct Picky {
    taken: Arc<Mutex<Vec<String>>>,
}

impl Sink for Picky {
    fn name(&self) -> &str {
        "picky"
    }

    fn accept(&mut self, record: &mut Routed<'_, '_>) {
        let Redacted::Span(span) = record.record else { return };
        assert_ne!(span.name(), "bad", "a sink that does not like it");
        self.taken.lock().unwrap().push(span.name().to_owned());
    }

    fn commit(&mut self) -> Result<(), Lost> {
        Ok(())
    }
}

#[test]
fn a_sink_that_panics_on_a_span_that_waited_loses_that_one_alone() {
    let policy = Policy {
        errors: true,
        slow: Slow::default(),
        rules: Vec::new(),
        keep: Share::All,
        grace: Duration::from_secs(3600),
        decide_after: Duration::from_secs(3600),
        budget_bytes: 1 << 20,
    };
    let taken = Arc::<Mutex<Vec<String>>>::default();
    let engine = start_with(vec![Box::new(Picky { taken: taken.clone() })], Some(policy));
    let tracer = Tracer::new(engine.hub.clone(), "picky");
    for name in ["first", "bad", "second", "bad", "third"] {
        tracer.start(name, Start::default()).end(&engine.hub, None);
    }
    assert!(engine.control.flush(&engine.pipeline, PATIENCE));
    assert_eq!(*taken.lock().unwrap(), ["first", "second", "third"]);
    let all = engine.pipeline.ledger();
    assert_eq!((all.roots, all.errors), (5, 0));
    let books = all.spans;
    assert_eq!((books.recorded, books.delivered, books.dropped["internal"]), (5, 3, 2));
    assert_eq!((books.in_flight, &engine.health.report()["drain_restarts"]), (0, &json!(2)));
    assert!(engine.control.stop(&engine.pipeline, PATIENCE));
}

/// Takes everything, or nothing.
struct Mood(&'static str, bool);

impl Sink for Mood {
    fn name(&self) -> &str {
        self.0
    }

    fn accept(&mut self, _: &mut Routed<'_, '_>) {}

    fn commit(&mut self) -> Result<(), Lost> {
        if self.1 { Ok(()) } else { Err(std::io::Error::other("not now").into()) }
    }
}

#[test]
fn roots_and_errors_are_counted_once_whatever_sinks_there_are() {
    let takes = || Box::new(Mood("takes", true)) as Box<dyn Sink>;
    let refuses = || Box::new(Mood("refuses", false)) as Box<dyn Sink>;
    for sinks in [vec![], vec![takes()], vec![refuses()], vec![takes(), refuses(), takes()]] {
        let engine = start(sinks);
        let (hub, tracer) = (&engine.hub, Tracer::new(engine.hub.clone(), "counted"));
        let ended = |parent: Option<SpanContext>, status: Status| {
            let mut span = tracer.start("a span", Start { parent, ..Start::default() });
            span.set_status(status, "");
            let context = *span.context();
            span.end(hub, None);
            context
        };
        let elsewhere = SpanContext {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([2; 8]),
            trace_flags: 1,
            remote: true,
        };
        for _ in 0..20 {
            let root = ended(None, Status::Unset);
            ended(None, Status::Error);
            ended(Some(root), Status::Error);
            ended(Some(root), Status::Ok);
            ended(Some(elsewhere), Status::Error);
        }
        let open = tracer.start("open", Start::default());
        Logger::new(hub.clone(), "counted").log(Level::Error, "no span", &[]);
        assert!(engine.control.flush(&engine.pipeline, PATIENCE));
        let books = engine.pipeline.ledger();
        assert_eq!((books.spans.recorded, books.roots, books.errors), (100, 40, 60));
        drop(open);
        assert!(engine.control.stop(&engine.pipeline, PATIENCE));
    }
}

/// Takes in each batch only so many records.
struct Narrow {
    name: &'static str,
    room: u64,
    filled: Arc<Mutex<Vec<u64>>>,
}

impl Sink for Narrow {
    fn name(&self) -> &str {
        self.name
    }

    fn accept(&mut self, _: &mut Routed<'_, '_>) {
        let mut filled = self.filled.lock().unwrap();
        *filled.last_mut().unwrap() += 1;
    }

    fn commit(&mut self) -> Result<(), Lost> {
        let mut filled = self.filled.lock().unwrap();
        let given = *filled.last().unwrap();
        filled.push(0);
        if given <= self.room {
            return Ok(());
        }
        Err(Lost { arrived: self.room, ..std::io::Error::other("too narrow").into() })
    }
}

#[test]
fn of_a_batch_that_breaks_off_only_the_rest_is_lost() {
    let batches = || Arc::new(Mutex::new(vec![0]));
    let (first, second) = (batches(), batches());
    let engine = start(vec![
        Box::new(Narrow { name: "five", room: 5, filled: first.clone() }),
        Box::new(Narrow { name: "three", room: 3, filled: second }),
    ]);
    let logger = Logger::new(engine.hub.clone(), "narrow");
    let tracer = Tracer::new(engine.hub.clone(), "narrow");
    for _ in 0..10 {
        logger.log(Level::Info, "a log line", &[]);
        tracer.start("a span", Start::default()).end(&engine.hub, None);
    }
    assert!(engine.control.flush(&engine.pipeline, PATIENCE));
    // How the drain cuts the stream into batches is its own affair; they alternate log and span.
    let batches = first.lock().unwrap().clone();
    let kept = |room: u64| batches.iter().map(|&size| size.min(room)).sum::<u64>();
    let books = engine.pipeline.ledger();
    assert_eq!(books.logs.delivered + books.spans.delivered, kept(3));
    for account in [&books.logs, &books.spans] {
        assert_eq!((account.recorded, account.in_flight), (10, 0));
        assert_eq!(account.delivered + account.dropped_total(), 10);
        assert!(account.delivered.abs_diff(kept(3) / 2) <= batches.len() as u64);
    }
    let report = engine.health.report();
    let lost = |name: &str| {
        let sinks = report["sinks"].as_array().unwrap();
        sinks.iter().find(|sink| sink["name"] == name).unwrap()["lost"].as_u64().unwrap()
    };
    assert_eq!((lost("five"), lost("three")), (20 - kept(5), 20 - kept(3)));
    assert!(engine.control.stop(&engine.pipeline, PATIENCE));
}

/// Keeps lines as a terminal would show them.
struct Terminal(Arc<Mutex<Vec<u8>>>);

impl Sink for Terminal {
    fn name(&self) -> &str {
        "terminal"
    }

    fn accept(&mut self, record: &mut Routed<'_, '_>) {
        let mut out = self.0.lock().unwrap();
        let pretty = PrettyEncoder { colour: false };
        pretty.line(&record.record, record.ticks, &record.clock, &mut out);
    }

    fn commit(&mut self) -> Result<(), Lost> {
        Ok(())
    }
}

#[test]
fn no_control_character_reaches_a_terminal_and_of_equal_keys_the_last_is_shown() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let engine = start(vec![Box::new(Terminal(shown.clone()))]);
    let name = "logger\u{1b}[2J\u{9b}2J";
    let head = LogHead {
        level: Level::Info,
        logger: intern(name).unwrap(),
        flags: flags::LAYERED,
        span: None,
        call_site: None,
        message: b"message\x1b[2J\x7f",
    };
    let fields = [
        (Key::new("user"), "outer".into()),
        (Key::new("user"), "inner".into()),
        (Key::new("csi"), "a\u{9b}2J b\u{7f}".into()),
        (Key::new("key\u{9b}"), "\u{1b}]0;title\u{7}".into()),
    ];
    engine.hub.with(|recorder| {
        recorder.unwrap().record(Signal::Logs, Level::Info, |encoder, ticks| {
            encode_log(encoder, ticks, &head, |encoder| encode_fields(encoder, &fields, 8));
        });
    });
    assert!(engine.control.stop(&engine.pipeline, PATIENCE));
    let shown = String::from_utf8(shown.lock().unwrap().clone()).unwrap();
    assert!(!shown.trim_end_matches('\n').chars().any(char::is_control), "{shown:?}");
    assert!(shown.contains("user=inner") && !shown.contains("outer"), "{shown}");
}
