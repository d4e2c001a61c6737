//! The engine: a pipeline, its drain, its sinks and its endpoint, from start to shutdown.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde_json::{Value, json};

use coati_core::fork;
use coati_core::hub::Hub;
use coati_core::ledger::{Account, Ledger, Signal};
use coati_core::metrics::{MetricSnapshot, Store, StoreConfig};
use coati_core::pipeline::{Pipeline, PipelineConfig, Wait};
use coati_core::ring::Region;
use coati_core::thread::registry::MakeRegion;

use crate::config::{self, Config, ConfigError, Durability};
use crate::drain::{self, Control, Drain, Route};
use crate::durable::RingFiles;
use crate::encode::metric;
use crate::endpoint::Endpoint;
use crate::health::Health;
use crate::otlp::{self, Context, Exporters};
use crate::page::{self, Pages, note_refused};
use crate::printer::{self, Printer};
use crate::producer::{Producer, read_asked, read_metrics};
use crate::prometheus::{Format, Target};
use crate::redact::keys::KeyRules;
use crate::redact::{LabelRules, Redactor};
use crate::sink::{Builder, Filter, MemoryRecords};
use crate::system;

/// What a language binding decides.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How callers wait when a ring is full and the policy is to block.
    pub wait: Wait,
    /// Runs before metrics are read, to ask observable instruments; on any thread.
    pub observe: Option<fn()>,
    /// Metrics that the binding keeps itself.
    pub producer: Option<Producer>,
    /// `telemetry.sdk.language`.
    pub language: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { wait: |wait| wait(), observe: None, producer: None, language: "rust" }
    }
}

/// A running engine. It goes on in a forked child, with a pipeline of its own.
pub struct Engine {
    hub: Arc<Hub>,
    options: Options,
    config: ArcSwap<Config>,
    /// This process's part; replaced at the first call in a forked child.
    running: ArcSwapOption<Running>,
    started: Instant,
}

/// What an engine has in one process.
struct Running {
    pipeline: Arc<Pipeline>,
    control: Arc<Control>,
    health: Arc<Health>,
    memory: MemoryRecords,
    pages: Arc<Pages>,
    exporters: Exporters,
    context: Context,
    rings: Option<Arc<RingFiles>>,
    endpoint: Option<Endpoint>,
    printer: Mutex<Option<Printer>>,
    child: Option<u32>,
}

impl Engine {
    /// Starts an engine and makes it the one behind `hub`.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(hub: Arc<Hub>, config: Config, options: Options) -> std::io::Result<Arc<Self>> {
        let engine = Arc::new(Self {
            hub: hub.clone(),
            options,
            config: ArcSwap::from_pointee(config),
            running: ArcSwapOption::empty(),
            started: Instant::now(),
        });
        engine.apply_live();
        if engine.config().enabled {
            let running = engine.run(None)?;
            let engine = Arc::downgrade(&engine);
            hub.on_fork(Box::new(move || engine.upgrade()?.revive()));
            hub.install(running.pipeline.clone());
        }
        Ok(engine)
    }

    fn revive(&self) -> Option<Arc<Pipeline>> {
        self.leak_inherited();
        self.run(Some(std::process::id())).ok().map(|running| running.pipeline.clone())
    }

    /// Leaks the parent's part: its locks may be held for ever, its threads are not here to be
    /// joined, and stopping its endpoint would stop the parent's.
    fn leak_inherited(&self) {
        let inherited = self.running.swap(None);
        #[cfg(unix)]
        if let Some(endpoint) = inherited.as_ref().and_then(|running| running.endpoint.as_ref()) {
            endpoint.abandon_in_child();
        }
        std::mem::forget(inherited);
    }

    fn run(&self, child: Option<u32>) -> std::io::Result<Arc<Running>> {
        let config = self.config();
        let rules = key_rules(&config);
        let health = Arc::new(Health::default());
        for warning in config.warnings() {
            health.problem("configuration", &warning.to_string(), 0);
        }
        let labels = Arc::new(LabelRules::default());
        labels.set(rules.clone(), config.genai.names);
        let rings = match config.durability {
            Durability::Memory => None,
            Durability::Crash => Some(RingFiles::under(&config.ring_directory(), &health)),
        };
        let pipeline_config = self.pipeline_config(&config, labels.clone(), rings.clone());
        let pipeline = Pipeline::new(pipeline_config, self.hub.live().clone());
        if let Some(observe) = self.options.observe {
            pipeline.metrics().observe(Box::new(observe));
        }
        let hub = Arc::downgrade(&self.hub);
        pipeline.metrics().observe(Box::new(move || {
            if let Some(hub) = hub.upgrade() {
                hub.rest_exemplars();
            }
        }));
        let (process, host) = (config.metrics.process, config.metrics.host);
        if let Err(error) = system::observe(pipeline.metrics(), process, host) {
            health.problem("metrics.process, metrics.host", &error.to_string(), 0);
        }
        let control = Arc::new(Control::default());
        if config.spans.tail.is_some() {
            health.tail().switch_on();
        }
        let settings = drain::Settings {
            service: config.service.clone(),
            window: Duration::from_millis(config.drain.merge_window_ms),
            batch_records: config.drain.batch_records as u64,
            tail: config.tail(),
        };
        let memory = MemoryRecords::default();
        let exporters = Exporters::default();
        let context = Context {
            pipeline: pipeline.clone(),
            health: health.clone(),
            labels: labels.clone(),
            producer: self.options.producer,
            resource: resource(&config, self.options.language),
        };
        let builder = Builder { child, memory: &memory, exporters: &exporters, context: &context };
        let routes = routes(&config, &builder);
        let redactor = Redactor::new(rules).showing(config.genai.names);
        let (p, c, h) = (pipeline.clone(), control.clone(), health.clone());
        Drain::spawn(p, c, h, settings, redactor, routes)?;
        let target = context.resource.iter().map(|(name, value)| (&**name, value));
        let pages =
            Arc::new(Pages::new(Target::new(target), labels.clone(), self.options.producer));
        // A child would only compete with its parent for the address.
        let endpoint = config.metrics.prometheus.as_ref().filter(|_| child.is_none());
        let endpoint = endpoint.map(|settings| {
            let handler = page::handler(pages.clone(), pipeline.metrics(), &health);
            Endpoint::start(settings, handler, &health)
        });
        let running = Arc::new(Running {
            pipeline,
            control,
            health,
            memory,
            pages,
            exporters,
            context,
            rings,
            endpoint,
            printer: Mutex::default(),
            child,
        });
        running.print_metrics(&config);
        self.running.store(Some(running.clone()));
        Ok(running)
    }

    fn pipeline_config(
        &self,
        config: &Config,
        labels: Arc<LabelRules>,
        rings: Option<Arc<RingFiles>>,
    ) -> PipelineConfig {
        let make_region: MakeRegion = match rings {
            None => Box::new(Region::anonymous),
            Some(files) => Box::new(move |capacity| files.region(capacity)),
        };
        PipelineConfig {
            ring_bytes: config.ring.bytes,
            total_bytes: config.ring.total_bytes,
            max_record: config.ring.max_record,
            overflow: config.overflow(),
            max_open_spans: config.spans.max_open as u64,
            batch_records: config.drain.batch_records as u64,
            metrics: StoreConfig {
                max_instruments: config.metrics.max_instruments,
                max_series: config.metrics.max_series,
                max_labels: config.metrics.max_labels,
                max_string: config.metrics.max_string,
                shard_bytes: config.metrics.shard_bytes,
                label_policy: Some(labels),
                views: config.metrics.views.iter().map(config::View::core).collect(),
            },
            make_region,
            wait: self.options.wait,
        }
    }

    /// Puts the settings that may change into force.
    fn apply_live(&self) {
        let config = self.config();
        let live = self.hub.live();
        live.set_levels(config.levels());
        live.set_limits(config.limits());
        live.set_call_sites(config.logs.call_sites);
        live.head().set(config.sampler(), config.rules());
        live.set_exemplars(config.exemplars());
        live.set_propagators(config.formats());
        let ns = |seconds: Option<f64>| (seconds.unwrap_or(0.0) * 1e9) as u64;
        live.set_watching(ns(config.spans.heartbeat_seconds), ns(config.spans.timeout_seconds));
        live.set_baggage_fields(config.context.baggage_fields.clone());
    }

    /// This process's part, fresh in a forked child.
    fn running(&self) -> Option<Arc<Running>> {
        let running = self.running.load_full()?;
        if is_ours(&running) {
            return Some(running);
        }
        // Finding the pipeline makes the hub build a fresh one here, unless recording was off.
        self.hub.pipeline();
        self.running.load_full().filter(|fresh| is_ours(fresh))
    }

    /// Where its handles look it up.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Changes settings while running.
    ///
    /// # Errors
    /// If a key is unknown, a value bad, or a restart needed; nothing is changed then.
    pub fn configure(&self, patch: &Value) -> Result<(), ConfigError> {
        let (before, config) = loop {
            let before = self.config();
            let config = Arc::new(before.apply(patch)?);
            // Another thread may have configured meanwhile; its change must stay.
            let replaced = self.config.compare_and_swap(&before, config.clone());
            if Arc::ptr_eq(&replaced, &before) {
                break (before, config);
            }
        };
        self.apply_live();
        if let Some(running) = self.running().filter(|_| config.spans.tail != before.spans.tail) {
            running.health.tail().switch_on();
            running.control.set_tail(self.config().tail());
        }
        let sinks_changed = config.sinks != before.sinks
            || config.redaction != before.redaction
            || config.genai.names != before.genai.names;
        if let Some(running) = self.running().filter(|_| sinks_changed) {
            let rules = key_rules(&config);
            running.context.labels.set(rules.clone(), config.genai.names);
            let routes = routes(&config, &running.builder());
            let redactor = Redactor::new(rules).showing(config.genai.names);
            running.control.set_routes(redactor, routes);
            running.print_metrics(&config);
        }
        Ok(())
    }

    /// Waits until everything recorded before the call, by any thread, is in its sinks; `false` if
    /// it is not after `timeout`.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = deadline(timeout);
        match self.running() {
            Some(running) => {
                running.control.flush(&running.pipeline, timeout)
                    && running.exporters.flush(deadline)
            }
            // Switched off: nothing was recorded.
            None => !self.config().enabled,
        }
    }

    /// Flushes, stops, and returns the final books. Later calls record nothing.
    pub fn shutdown(&self, timeout: Duration) -> Ledger {
        let Some(running) = self.running() else { return Ledger::default() };
        if self.hub.key() == running.pipeline.key() {
            self.hub.uninstall();
        }
        let at_last = deadline(timeout);
        let printer = running.printer.lock().unwrap_or_else(PoisonError::into_inner).take();
        running.control.stop(&running.pipeline, timeout);
        // The last part of the time is for the spool.
        let left = at_last.saturating_duration_since(Instant::now());
        running.exporters.stop(at_last - left / 5, at_last);
        if let Some(printer) = printer {
            printer.stop(at_last);
        }
        running.pipeline.stop();
        if let Some(endpoint) = &running.endpoint {
            endpoint.stop();
        }
        let ledger = self.ledger();
        if let Some(rings) = &running.rings {
            rings.close();
            if Signal::ALL.iter().all(|&signal| ledger.account(signal).in_flight == 0) {
                rings.remove();
            }
        }
        ledger
    }

    /// The books.
    pub fn ledger(&self) -> Ledger {
        let Some(running) = self.running() else { return Ledger::default() };
        running.control.sweep(&running.pipeline);
        running.pipeline.ledger()
    }

    /// Notes that `component` of the program or its binding fails, or with `None` that it works
    /// again.
    pub fn note(&self, component: &str, reason: Option<&str>) {
        let Some(running) = self.running() else { return };
        match reason {
            Some(reason) => running.health.problem(component, reason, 0),
            None => running.health.solved(component),
        }
    }

    /// What is wrong, and what the engine uses.
    pub fn health(&self) -> Value {
        let running = self.running();
        let (mut report, memory, ignored) = match running.as_deref() {
            Some(Running { pipeline, health, .. }) => {
                let rings = pipeline.registry().memory_bytes();
                let metrics = pipeline.metrics();
                note_refused(metrics, health);
                let memory = rings + metrics.memory_bytes() + health.tail().memory() as usize;
                (health.report(), memory, metrics.ignored())
            }
            None => (Health::default().report(), 0, 0),
        };
        report["uptime_s"] = json!(self.started.elapsed().as_secs_f64());
        report["memory_bytes"] = json!(memory);
        report["ignored"] = json!(ignored);
        report["clock"] = json!(coati_core::clock::source());
        report
    }

    /// Asks every receiver in the configuration whether it answers, by an empty request for each
    /// signal; takes up to five seconds a sink.
    ///
    /// # Errors
    /// If the system has no runtime to give.
    pub fn check_endpoints(&self) -> std::io::Result<Vec<otlp::Endpoint>> {
        let mut endpoints = Vec::new();
        for sink in &self.config().sinks {
            if let config::Sink::Otlp(sink) = sink {
                endpoints.extend(otlp::check(sink)?);
            }
        }
        Ok(endpoints)
    }

    /// The metric store.
    pub fn metrics(&self) -> Option<Arc<Store>> {
        self.running().map(|running| running.pipeline.metrics().clone())
    }

    /// All metrics now, after running observable callbacks.
    pub fn snapshot(&self) -> Vec<MetricSnapshot> {
        self.running().map_or_else(Vec::new, |running| {
            let Context { labels, producer, .. } = &running.context;
            read_metrics(running.pipeline.metrics(), labels, *producer, Store::snapshot)
        })
    }

    /// The same where observable callbacks have just run.
    pub fn snapshot_asked(&self) -> Vec<MetricSnapshot> {
        self.running().map_or_else(Vec::new, |running| {
            let Context { labels, producer, .. } = &running.context;
            read_asked(running.pipeline.metrics(), labels, *producer, Store::snapshot)
        })
    }

    /// All metrics now in Prometheus' text format.
    pub fn prometheus_text(&self) -> String {
        let Some(running) = self.running() else { return String::new() };
        let page = running.pages.page(Format::Text, running.pipeline.metrics(), false);
        // SAFETY: only whole texts and ASCII are appended.
        unsafe { String::from_utf8_unchecked(page) }
    }

    /// Where metrics are served.
    pub fn prometheus_address(&self) -> Option<SocketAddr> {
        self.running()?.endpoint.as_ref()?.address()
    }

    /// Takes what memory sinks have kept, as JSON lines.
    pub fn memory_records(&self) -> Vec<String> {
        self.running().map_or_else(Vec::new, |running| running.memory.take())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(running) = self.running.load_full() else { return };
        if !is_ours(&running) {
            drop(running);
            self.leak_inherited();
        } else if !running.pipeline.is_stopped() {
            self.shutdown(Duration::from_secs(5));
        }
    }
}

/// Whether it was made in this process.
fn is_ours(running: &Running) -> bool {
    running.pipeline.fork_generation() == fork::generation()
}

fn routes(config: &Config, builder: &Builder<'_>) -> Vec<Route> {
    let route = |sink| Route::new(Filter::of(sink), builder.build(sink));
    let routes = config.sinks.iter().map(route).collect();
    builder.exporters.keep(config.sinks.iter().filter_map(|sink| match sink {
        config::Sink::Otlp(otlp) => Some(&**otlp),
        _ => None,
    }));
    routes
}

impl Running {
    /// Has metrics printed to the consoles that take them.
    fn print_metrics(&self, config: &Config) {
        let takes_metrics = |sink: &config::Sink| match sink {
            config::Sink::Console(console) if sink.wants(config::Signal::Metrics) => {
                Some(console.clone())
            }
            _ => None,
        };
        let sinks: Vec<_> = config.sinks.iter().filter_map(takes_metrics).collect();
        let mut printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
        if printer.as_ref().is_some_and(|printer| printer.fits(&sinks)) {
            return;
        }
        *printer = None;
        if sinks.is_empty() {
            return;
        }
        let (store, labels) =
            (Arc::downgrade(self.pipeline.metrics()), self.context.labels.clone());
        let (service, producer) = (config.service.clone(), self.context.producer);
        let lines = move |pretty: bool, out: &mut Vec<u8>| {
            let Some(store) = store.upgrade() else { return };
            let metrics = read_metrics(&store, &labels, producer, Store::snapshot);
            match (pretty, printer::wall_ns()) {
                (true, now) => metric::pretty_lines(&metrics, now, out),
                (false, now) => metric::json_lines(&metrics, now, &service, out),
            }
        };
        let interval = Duration::from_millis(config.metrics.console_interval_ms);
        match Printer::start(sinks, interval, Box::new(lines)) {
            Ok(started) => *printer = Some(started),
            Err(error) => self.health.problem("console metrics", &error.to_string(), 0),
        }
    }

    fn builder(&self) -> Builder<'_> {
        Builder {
            child: self.child,
            memory: &self.memory,
            exporters: &self.exporters,
            context: &self.context,
        }
    }
}

/// When `timeout` is over; a very long one ends some day too.
fn deadline(timeout: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(365 * 86_400);
    Instant::now() + timeout.min(LONG)
}

/// The resource that everything of this program belongs to.
fn resource(config: &Config, language: &str) -> Arc<[(String, Value)]> {
    let kit = [
        ("telemetry.sdk.language", language),
        ("telemetry.sdk.name", "coati"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ("service.name", &config.service),
    ];
    let mut all: serde_json::Map<String, Value> =
        kit.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    all.extend(config.resource.clone());
    all.into_iter().collect()
}

fn key_rules(config: &Config) -> Option<Arc<KeyRules>> {
    config.redaction.enabled.then(|| Arc::new(KeyRules::new(&config.redaction.keys)))
}

/// A ledger as `coati.ledger()` shows it.
pub fn ledger_json(ledger: &Ledger) -> Value {
    let account = |signal: Signal| {
        let Account { recorded, delivered, dropped, in_flight, capacity } = ledger.account(signal);
        json!({
            "recorded": recorded,
            "delivered": delivered,
            "dropped": dropped,
            "in_flight": in_flight,
            "capacity": capacity,
        })
    };
    let mut all = json!({
        "logs": account(Signal::Logs),
        "spans": account(Signal::Spans),
        "internal": account(Signal::Internal),
    });
    all["logs"]["filtered"] = json!(ledger.filtered);
    all["spans"]["unsampled"] = json!(ledger.unsampled);
    all["spans"]["open"] = json!(ledger.open);
    all["spans"]["roots"] = json!(ledger.roots);
    all["spans"]["errors"] = json!(ledger.errors);
    all
}
