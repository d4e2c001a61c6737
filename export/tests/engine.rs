//! The whole way: calls on threads, lines in a file, and books that say the same.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::intern::Id;
use coati_core::key;
use coati_core::ledger::{Account, Signal};
use coati_core::log::Logger;
use coati_core::metrics::{Descriptor, Kind, LabelValue};
use coati_core::record::Level;
use coati_core::record::read::{self, Record};
use coati_core::record::value::{Key, Value};
use coati_core::span::{Start, Status, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

fn start(dict: serde_json::Value) -> Arc<Engine> {
    let config = Config::load(Sources { dict: Some(dict), ..Sources::default() }).unwrap();
    Engine::start(Hub::new(), config, Options::default()).unwrap()
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "no torn line");
    text.lines().map(|line| serde_json::from_str(line).expect("valid JSON")).collect()
}

fn memory(engine: &Engine) -> Vec<serde_json::Value> {
    assert!(engine.flush(PATIENCE));
    engine.memory_records().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_has_the_documented_keys_in_order() {
    let engine = start(json!({"service": "research", "sinks": [{"type": "memory"}]}));
    let hub = engine.hub().clone();
    let logger = Logger::new(hub.clone(), "planner");
    let tracer = Tracer::new(hub.clone(), "planner");
    let mut span = tracer.start("plan", Start::default());
    span.set_attribute((key!("agent"), "a1".into()));
    span.set_status(Status::Error, "why");
    let ids = span.context().ids();
    logger.log_in(
        ids,
        Level::Warning,
        "say \"hi\"\n",
        &[
            (key!("message"), 1.into()),
            (key!("nan"), f64::NAN.into()),
            (key!("low"), f64::NEG_INFINITY.into()),
            (key!("bytes"), Value::Bytes(b"\x00\xffab")),
            (Key::Text("odd \u{1} key"), Value::Null),
        ],
    );
    span.end(&hub, None);
    assert!(engine.flush(PATIENCE));
    let raw = engine.memory_records();
    let log: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&raw[0]).unwrap();
    let keys: Vec<_> = log.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "timestamp",
            "level",
            "logger",
            "message",
            "service",
            "trace_id",
            "span_id",
            "field.message",
            "nan",
            "low",
            "bytes",
            "odd \u{1} key"
        ]
    );
    assert_eq!(log["message"], "say \"hi\"\n");
    assert_eq!((&log["nan"], &log["low"]), (&json!("NaN"), &json!("-Infinity")));
    assert_eq!(log["bytes"], "AP9hYg==");
    let span: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&raw[1]).unwrap();
    let keys: Vec<_> = span.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "span",
            "trace_id",
            "span_id",
            "kind",
            "start",
            "end",
            "duration_ns",
            "status",
            "service",
            "tracer",
            "attributes"
        ]
    );
    assert_eq!(span["status"], json!({"code": "error", "description": "why"}));
    assert_eq!(log["span_id"], span["span_id"]);
    let ledger = engine.shutdown(PATIENCE);
    assert_eq!((ledger.logs.delivered, ledger.spans.delivered), (1, 1));
}

#[test]
fn no_two_keys_of_a_line_are_the_same() {
    let engine = start(json!({"logs": {"max_fields": 12}, "sinks": [{"type": "memory"}]}));
    let names = ["dropped_fields", "message", "field.message", "field.field.message", "field.x"];
    let mut fields: Vec<_> =
        names.iter().zip(1..).map(|(name, n)| (Key::new(name), n.into())).collect();
    let others: Vec<String> = (0..21).map(|n| format!("other-{n}")).collect();
    fields.extend(others.iter().map(|name| (Key::new(name), 0.into())));
    Logger::new(engine.hub().clone(), "keys").log(Level::Info, "m", &fields[..]);
    assert!(engine.flush(PATIENCE));
    let line = engine.memory_records().remove(0);
    for (key, value) in [
        ("field.dropped_fields", 1),
        ("field.message", 2),
        ("field.field.message", 3),
        ("field.field.field.message", 4),
        ("field.x", 5),
        ("dropped_fields", 14),
    ] {
        assert_eq!(line.matches(&format!("\"{key}\":{value}")).count(), 1, "{key} in {line}");
        assert_eq!(line.matches(&format!("\"{key}\":")).count(), 1, "{key} in {line}");
    }
    assert_eq!(line.matches("\"message\":").count(), 1, "{line}");
}

#[test]
fn secrets_are_masked_wherever_they_stand() {
    let engine = start(json!({
        "redaction": {"enabled": true, "keys": ["x-internal-token"]},
        "sinks": [{"type": "memory"}],
    }));
    let hub = engine.hub().clone();
    let logger = Logger::new(hub.clone(), "safe");
    logger.log(
        Level::Info,
        "login",
        &[
            (key!("Password"), "hunter2".into()),
            (key!("tokens"), 12.into()),
            (Key::Text("X-Internal-Token"), 7.into()),
        ],
    );
    let mut span = Tracer::new(hub.clone(), "safe").start("call", Start::default());
    span.set_attribute((key!("api_key"), "sk-1".into()));
    span.add_event("sent", &[(key!("authorization"), "Bearer x".into())]);
    span.end(&hub, None);
    let records = memory(&engine);
    assert_eq!(records[0]["Password"], "[REDACTED]");
    assert_eq!(records[0]["X-Internal-Token"], "[REDACTED]");
    assert_eq!(records[0]["tokens"], 12);
    assert_eq!(records[1]["attributes"]["api_key"], "[REDACTED]");
    assert_eq!(records[1]["events"][0]["attributes"]["authorization"], "[REDACTED]");
}

/// 0 ≤ recorded − delivered − dropped ≤ capacity, and no counter goes back.
fn check_moment(before: &Account, now: &Account) {
    let settled = now.delivered + now.dropped_total();
    assert!(now.recorded >= settled, "{now:?}");
    assert!(now.recorded - settled <= now.capacity, "{now:?}");
    assert!(now.recorded >= before.recorded && now.delivered >= before.delivered);
    for (reason, count) in &before.dropped {
        assert!(now.dropped.get(reason).is_some_and(|after| after >= count));
    }
}

#[test]
fn the_books_balance_under_each_overflow_policy() {
    const THREADS: u64 = 8;
    let records: u64 = if cfg!(debug_assertions) { 50_000 } else { 1_000_000 };
    for overflow in ["drop_newest", "block", "keep_severe"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.jsonl");
        let engine = start(json!({
            "ring": {"bytes": 16384, "overflow": overflow, "block_ms": 1},
            "sinks": [{"type": "file", "path": path}],
        }));
        let (called, running) = (AtomicU64::new(0), AtomicBool::new(true));
        std::thread::scope(|scope| {
            let producers: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let (hub, called) = (engine.hub().clone(), &called);
                    scope.spawn(move || {
                        let logger = Logger::new(hub, "load");
                        for i in 0..records {
                            let fields = [(key!("thread"), thread.into()), (key!("i"), i.into())];
                            let severe = i % 64 == 0;
                            let level = if severe { Level::Error } else { Level::Info };
                            logger.log(level, "work", &fields);
                        }
                        called.fetch_add(records, Ordering::Relaxed);
                    })
                })
                .collect();
            scope.spawn(|| {
                let mut before = Account::default();
                let mut moments = 0;
                while moments < 10 || running.load(Ordering::Relaxed) {
                    let now = engine.ledger();
                    check_moment(&before, now.account(Signal::Logs));
                    before = now.logs;
                    moments += 1;
                    std::thread::yield_now();
                }
            });
            for producer in producers {
                producer.join().unwrap();
            }
            running.store(false, Ordering::Relaxed);
        });
        assert!(engine.flush(PATIENCE));
        let books = engine.ledger().logs;
        assert_eq!(books.recorded, called.into_inner(), "{overflow}");
        assert_eq!(books.recorded, books.delivered + books.dropped_total(), "{overflow}");
        assert_eq!(books.in_flight, 0);
        let lines = lines(&path);
        assert_eq!(lines.len() as u64, books.delivered, "{overflow}");
        let mut last: BTreeMap<u64, (u64, String)> = BTreeMap::new();
        for line in &lines {
            let thread = line["thread"].as_u64().unwrap();
            let now = (line["i"].as_u64().unwrap(), line["timestamp"].as_str().unwrap().to_owned());
            if let Some(before) = last.insert(thread, now.clone()) {
                assert!(before.0 < now.0 && before.1 <= now.1, "{before:?} {now:?}");
            }
        }
        assert_eq!(last.len() as u64, THREADS);
        engine.shutdown(PATIENCE);
    }
}

#[test]
fn shutdown_races_producers_and_the_books_still_balance() {
    for _ in 0..20 {
        let engine = start(json!({"sinks": [{"type": "memory", "capacity": 10}]}));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let logger = Logger::new(engine.hub().clone(), "racer");
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        logger.log(Level::Info, "go", &[]);
                    }
                });
            }
            while engine.ledger().logs.recorded < 1000 {
                std::thread::yield_now();
            }
            engine.shutdown(PATIENCE);
            stop.store(true, Ordering::Relaxed);
        });
        let books = engine.ledger().logs;
        assert_eq!(books.recorded, books.delivered + books.dropped_total(), "{books:?}");
    }
}

#[test]
fn a_sink_that_cannot_be_opened_is_a_problem_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("blocked");
    std::fs::write(&blocked, "a file where a directory should be").unwrap();
    let path = blocked.join("log.jsonl");
    let engine = start(json!({"sinks": [{"type": "file", "path": path}]}));
    let logger = Logger::new(engine.hub().clone(), "retry");
    logger.log(Level::Info, "lost", &[]);
    assert!(engine.flush(PATIENCE));
    let health = engine.health();
    assert_eq!(health["ok"], false);
    assert_eq!(health["problems"][0]["lost"], 1, "{health}");
    assert_eq!(engine.ledger().logs.dropped["sink"], 1);
    std::fs::remove_file(&blocked).unwrap();
    logger.log(Level::Info, "kept", &[]);
    assert!(engine.flush(PATIENCE));
    assert_eq!(engine.health()["ok"], true);
    assert_eq!(lines(&path)[0]["message"], "kept");
}

#[test]
fn a_record_reaches_its_file_without_a_flush() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("soon.jsonl");
    let engine = start(json!({"sinks": [{"type": "file", "path": path}]}));
    Logger::new(engine.hub().clone(), "soon").log(Level::Info, "here", &[]);
    let deadline = std::time::Instant::now() + PATIENCE;
    while std::fs::read(&path).unwrap_or_default().is_empty() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn sinks_and_levels_change_while_running() {
    let engine = start(json!({"sinks": [{"type": "memory", "level": "error"}]}));
    let logger = Logger::new(engine.hub().clone(), "a.b");
    logger.log(Level::Info, "not for this sink", &[]);
    logger.log(Level::Error, "for this sink", &[]);
    assert_eq!(memory(&engine).len(), 1);
    engine
        .configure(&json!({"logs": {"levels": {"a": "error"}}, "sinks": [{"type": "memory"}]}))
        .unwrap();
    logger.log(Level::Info, "filtered", &[]);
    logger.log(Level::Error, "kept", &[]);
    assert_eq!(memory(&engine).len(), 1);
    let ledger = engine.ledger();
    assert_eq!((ledger.logs.recorded, ledger.filtered), (3, 1));
    assert!(engine.configure(&json!({"ring": {"bytes": 8192}})).is_err());
}

fn words_of(path: &Path) -> Vec<u64> {
    let bytes = std::fs::read(path).unwrap();
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn crash_durable_rings_are_private_files_that_hold_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let rings = folder.path().join("rings");
    let engine = start(json!({
        "durability": "crash", "durability_dir": rings, "sinks": [{"type": "memory"}],
    }));
    Logger::new(engine.hub().clone(), "durable").log(
        Level::Info,
        "still here",
        &[(key!("durable_key"), "x".into())],
    );
    assert_eq!(memory(&engine).len(), 1);
    let process = std::fs::read_dir(&rings).unwrap().next().unwrap().unwrap().path();
    // What the files say by themselves, without the process that wrote them.
    let words = words_of(&process.join("definitions"));
    let mut rest: &[u8] = bytemuck::cast_slice(&words);
    let mut texts = BTreeMap::new();
    while let Some((id, text)) = read::definition(rest) {
        texts.insert(id, text);
        rest = &rest[read::header(rest).unwrap().size as usize..];
    }
    assert!(rest.is_empty(), "definitions only");
    let words = words_of(&process.join("000000.ring"));
    let records: &[u8] = &bytemuck::cast_slice(&words)[4096..];
    let size = read::header(records).unwrap().size as usize;
    let Some(Record::Log(log)) = Record::parse(&records[..size]) else { panic!("a log line") };
    assert_eq!((log.message, texts[&Id(log.fixed.logger)]), ("still here", "durable"));
    let (key, _) = log.fields.clone().next().unwrap();
    assert!(matches!(key, Key::Id(id) if texts[&id] == "durable_key"));
    assert_eq!(engine.health()["ok"], true);
    engine.shutdown(PATIENCE);
    assert!(!process.exists(), "a clean end leaves no raw records behind");
}

#[cfg(target_os = "linux")]
#[test]
fn engines_that_have_ended_leave_no_file_open() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets.filter(|target| target.starts_with(folder.path())).count()
    };
    for round in 0..20 {
        let engine = start(json!({
            "durability": "crash",
            "durability_dir": folder.path().join("rings"),
            "sinks": [{"type": "file", "path": folder.path().join("out.jsonl")}],
        }));
        let name = format!("engine-{round}");
        Logger::new(engine.hub().clone(), &name).log(Level::Info, "m", &[]);
        assert!(engine.flush(PATIENCE));
        assert_eq!(open(), 2, "definitions and the sink");
        engine.shutdown(PATIENCE);
        assert_eq!(open(), 0);
    }
}

#[test]
fn redaction_switched_on_later_covers_metrics_that_exist() {
    let engine = start(json!({"redaction": {"enabled": false}, "sinks": []}));
    let logins = Descriptor::new("logins", Kind::Counter, "1", "");
    let logins = Instrument::new(engine.hub().clone(), logins).unwrap();
    logins.bind(&[("password", LabelValue::Str("hunter2"))]).add_int(1);
    assert!(engine.prometheus_text().contains("hunter2"));
    engine.configure(&json!({"redaction": {"enabled": true}})).unwrap();
    logins.bind(&[("password", LabelValue::Str("hunter3"))]).add_int(1);
    let text = engine.prometheus_text();
    assert!(!text.contains("hunter"), "{text}");
    assert!(text.contains("logins_total{password=\"[REDACTED]\"} 2"), "{text}");
}

#[test]
fn an_engine_that_is_switched_off_records_nothing_and_says_so() {
    let engine = start(json!({"enabled": false, "metrics": {"prometheus": "127.0.0.1:0"}}));
    Logger::new(engine.hub().clone(), "off").log(Level::Critical, "nobody listens", &[]);
    assert!(engine.flush(PATIENCE));
    assert_eq!(engine.prometheus_address(), None);
    assert_eq!(engine.health()["ok"], true);
    assert_eq!(engine.shutdown(PATIENCE).logs.recorded, 0);
}

/// The answer to a GET of `path` with these header lines.
fn get(address: std::net::SocketAddr, path: &str, headers: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_endpoint_speaks_three_formats_and_tells_its_target() {
    let engine = start(json!({
        "service": "research",
        "resource": {"deployment.environment.name": "test"},
        "metrics": {"prometheus": "127.0.0.1:0"},
        "sinks": [],
    }));
    let address = engine.prometheus_address().unwrap();
    let runs = Descriptor::new("runs", Kind::Counter, "", "");
    Instrument::new(engine.hub().clone(), runs).unwrap().bind(&[]).add_int(2);
    let target = "target_info{";
    let classic = get(address, "/metrics", "");
    assert!(classic.contains("Content-Type: text/plain; version=0.0.4"), "{classic}");
    assert!(classic.contains("runs_total 2\n") && classic.contains(target), "{classic}");
    assert!(classic.contains("service_name=\"research\"") && classic.contains("deployment_env"));
    let open = get(address, "/metrics", "Accept: application/openmetrics-text\r\n");
    assert!(open.contains("Content-Type: application/openmetrics-text; version=1.0.0"), "{open}");
    assert!(open.contains("# TYPE target info\n") && open.ends_with("runs_total 2\n# EOF\n"));
    let native = get(address, "/metrics", "Accept: application/vnd.google.protobuf\r\n");
    assert!(native.contains("encoding=delimited\r\n") && native.contains("runs_total"), "{native}");
    assert_eq!(engine.prometheus_text(), "# TYPE runs_total counter\nruns_total 2\n");
}

#[test]
fn an_endpoint_whose_port_is_taken_comes_when_it_is_free() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let table = json!({"host": "127.0.0.1", "port": port, "bearer_token": "hunter2"});
    let engine = start(json!({"metrics": {"prometheus": table}, "sinks": []}));
    assert_eq!(engine.prometheus_address(), None);
    let health = engine.health();
    assert_eq!(
        (&health["ok"], health["problems"][0]["component"].as_str()),
        (&json!(false), Some("prometheus endpoint"),)
    );
    assert!(!health.to_string().contains("hunter2"));
    drop(other);
    let begun = std::time::Instant::now();
    let address = loop {
        match engine.prometheus_address() {
            Some(address) => break address,
            None => assert!(begun.elapsed() < PATIENCE, "it never came: {}", engine.health()),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(get(address, "/metrics", "").starts_with("HTTP/1.1 401 "));
    let answer = get(address, "/healthz", "Authorization: Bearer hunter2\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"ok\":true"), "{answer}");
    engine.shutdown(PATIENCE);
    assert_eq!(engine.prometheus_address(), None);
}

#[test]
fn an_engine_stops_while_its_endpoint_still_waits_for_a_port() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let engine = start(json!({"metrics": {"prometheus": address}, "sinks": []}));
    assert_eq!(engine.health()["ok"], false);
    engine.shutdown(PATIENCE);
    assert_eq!(engine.prometheus_address(), None);
}

#[test]
fn views_are_seen_wherever_metrics_are() {
    let engine = start(json!({
        "metrics": {"views": [
            {"instrument": "runs", "name": "agent.runs", "keep": ["ok"]},
            {"instrument": "noise*", "aggregation": "drop"},
            {"instrument": "time", "buckets": [1, 2]},
            {"instrument": "load", "name": "agent.runs"},
        ]},
        "sinks": [],
    }));
    let make = |name, kind| {
        Instrument::new(engine.hub().clone(), Descriptor::new(name, kind, "", "")).unwrap()
    };
    let runs = make("runs", Kind::Counter);
    for user in 0..3 {
        let labels = [("ok", LabelValue::Bool(true)), ("user", LabelValue::Int(user))];
        runs.bind(&labels).add_int(1);
    }
    make("noise.a", Kind::Gauge).bind(&[]).set(1.0);
    make("time", Kind::Histogram).bind(&[]).record(1.5);
    assert_eq!(engine.health()["ok"], true);
    make("load", Kind::Gauge).bind(&[]).set(1.0);
    let text = engine.prometheus_text();
    assert!(text.contains("agent_runs_total{ok=\"true\"} 3\n"), "{text}");
    assert!(text.contains("time_bucket{le=\"2.0\"} 1\n") && !text.contains("noise"), "{text}");
    let snapshot = engine.snapshot();
    let names: Vec<_> = snapshot.iter().map(|metric| &*metric.descriptor.name).collect();
    assert_eq!(names, ["agent.runs", "time", "load"]);
    let health = engine.health();
    assert_eq!(health["problems"][0]["component"], "metrics.views", "{health}");
}

#[cfg(target_os = "linux")]
#[test]
fn process_and_host_are_shown_on_request() {
    let engine = start(json!({"metrics": {"process": true, "host": true}, "sinks": []}));
    // Some processor time, and a file.
    let _open = std::fs::File::open("/proc/self/stat").unwrap();
    let begun = std::time::Instant::now();
    let spent = |text: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with("process_cpu_time_seconds_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    while spent(&engine.prometheus_text()) <= 0.0 {
        assert!(begun.elapsed() < PATIENCE, "no processor time: {}", engine.prometheus_text());
    }
    let text = engine.prometheus_text();
    let value = |line: &str| -> f64 {
        let found = text.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {line} in {text}")).parse().unwrap()
    };
    let resident = value("process_memory_usage_bytes");
    assert!(resident > 1e6 && value("process_memory_virtual_bytes") > resident);
    assert!(value("process_thread_count") >= 2.0, "this thread and the drain");
    assert!(value("process_unix_file_descriptor_count") >= 4.0);
    for mode in ["user", "system"] {
        let spent = value(&format!("process_cpu_time_seconds_total{{cpu_mode=\"{mode}\"}}"));
        assert!(
            spent <= value(&format!("system_cpu_time_seconds_total{{cpu_mode=\"{mode}\"}}")) + 1.0
        );
    }
    assert!(value("system_cpu_time_seconds_total{cpu_mode=\"idle\"}") >= 0.0);
    for state in ["used", "free", "buffers", "cached"] {
        let state = format!("system_memory_usage_bytes{{system_memory_state=\"{state}\"}}");
        assert!(value(&state) >= 0.0);
    }
    assert_eq!(engine.health()["ok"], true);
    let quiet = start(json!({"sinks": []}));
    assert_eq!(quiet.prometheus_text(), "");
}
