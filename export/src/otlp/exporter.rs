//! The exporter: a thread with a runtime of its own, which nothing else ever enters.
//!
//! A forked child has no such thread: it forgets this one with all that belongs to it and starts
//! its own.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coati_core::ledger::Reason;
use coati_core::pipeline::Pipeline;
use serde_json::Value;

use super::backoff::Backoff;
use super::books::Books;
use super::client::{Client, Receiver};
use super::compose::Resource;
use super::lane::{Lane, Parts};
use super::metrics::Collector;
use super::queue::{Limits, Queue};
use super::signal::Signal;
use super::sink::OtlpSink;
use super::spool::Spool;
use crate::config::{self, Histograms, SignalSettings, Temporality};
use crate::health::Health;
use crate::producer::Producer;
use crate::redact::LabelRules;

/// What an exporter needs of its engine.
#[derive(Clone)]
pub struct Context {
    /// Whose records it settles and whose metrics it reads.
    pub pipeline: Arc<Pipeline>,
    /// Where problems go.
    pub health: Arc<Health>,
    /// What is masked in metrics.
    pub labels: Arc<LabelRules>,
    /// Metrics that are not kept in the store.
    pub producer: Option<Producer>,
    /// Name and value of every resource attribute.
    pub resource: Arc<[(String, Value)]>,
}

/// A running exporter. Dropping it lets it send what it has, and end.
pub struct Exporter {
    config: config::OtlpSink,
    books: Books,
    queue: Arc<Queue>,
}

/// How long an exporter that is replaced may go on.
const PARTING: Duration = Duration::from_secs(30);

impl Exporter {
    /// Starts an exporter.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(config: &config::OtlpSink, context: &Context) -> io::Result<Self> {
        let metrics = config.signals.contains(&config::Signal::Metrics);
        let queue = Arc::new(Queue::new(Signal::ALL.map(|signal| limits(config, signal)), metrics));
        let Context { pipeline, health, .. } = context;
        let books = Books::new(&name(config), pipeline.clone(), health.clone());
        health.expect(books.name());
        hold(config, pipeline);
        let (ours, book, context, settings) =
            (queue.clone(), books.clone(), context.clone(), config.clone());
        std::thread::Builder::new().name("coati-otlp".into()).spawn(move || {
            crate::drain::block_signals();
            ours.adopt();
            let run = || run(&settings, &context, &ours, &book);
            if let Err(error) = catch_unwind(AssertUnwindSafe(run))
                .unwrap_or_else(|_| Err(io::Error::other("the exporter failed and has ended")))
            {
                book.problem("exporter", &error.to_string(), 0);
            }
            for chunk in ours.end() {
                book.lose(chunk.shares, chunk.records, Reason::Unsent);
            }
        })?;
        Ok(Self { config: config.clone(), books, queue })
    }

    /// Whether it does what `config` describes.
    pub fn fits(&self, config: &config::OtlpSink) -> bool {
        self.config == *config
    }

    /// The drain's end of it.
    pub fn sink(self: &Arc<Self>) -> OtlpSink {
        let encodings = [Signal::Traces, Signal::Logs]
            .map(|signal| Receiver::of(&self.config, signal).encoding());
        OtlpSink::new(self.clone(), encodings)
    }

    /// Its name in health.
    pub fn name(&self) -> &str {
        self.books.name()
    }

    /// Its queue.
    pub fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Its books.
    pub fn books(&self) -> &Books {
        &self.books
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.queue.stop(Instant::now() + PARTING);
    }
}

fn name(config: &config::OtlpSink) -> String {
    let taken: Vec<_> = Signal::ALL.into_iter().filter(|signal| takes(config, *signal)).collect();
    let names = taken.iter().map(|&signal| Receiver::of(config, signal).name());
    let mut names: Vec<_> = names.collect();
    names.dedup();
    format!("otlp {}", names.join(" "))
}

/// Whether the sink takes `signal`.
pub fn takes(config: &config::OtlpSink, signal: Signal) -> bool {
    config.signals.contains(&match signal {
        Signal::Traces => config::Signal::Spans,
        Signal::Logs => config::Signal::Logs,
        Signal::Metrics => config::Signal::Metrics,
    })
}

fn of(config: &config::OtlpSink, signal: Signal) -> &SignalSettings {
    match signal {
        Signal::Traces => &config.traces,
        Signal::Logs => &config.logs,
        Signal::Metrics => &config.metrics,
    }
}

fn limits(config: &config::OtlpSink, signal: Signal) -> Limits {
    let own = of(config, signal);
    Limits {
        queue_bytes: config.queue_bytes.max(config.batch_bytes),
        queue_records: own.queue_records.map_or(u64::MAX, |records| records as u64),
        batch_bytes: config.batch_bytes,
        batch_records: own.batch_records.map_or(u64::MAX, |records| records as u64),
        // What has been collected at an interval has waited long enough.
        delay: match signal {
            Signal::Metrics => Duration::ZERO,
            _ => Duration::from_millis(own.delay_ms),
        },
    }
}

/// Tells the ledger how much may be on its way.
fn hold(config: &config::OtlpSink, pipeline: &Pipeline) {
    /// No record is shorter when encoded.
    const SHORTEST: u64 = 40;
    let spool = config.spool.as_ref().map_or(0, |_| config.spool_bytes);
    pipeline.hold_later((2 * config.queue_bytes as u64 + spool) / SHORTEST);
}

fn run(
    config: &config::OtlpSink,
    context: &Context,
    queue: &Arc<Queue>,
    books: &Books,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let spool = config.spool.as_ref().and_then(|root| {
        let oldest = Duration::from_secs(config.spool_seconds);
        match Spool::open(root, config.spool_bytes, oldest, books.clone()) {
            Ok(spool) => Some(Rc::new(RefCell::new(spool))),
            Err(error) => {
                books.problem("spool", &format!("{}: {error}", root.display()), 0);
                None
            }
        }
    });
    let lane = |signal| {
        let lane = takes(config, signal).then(|| {
            let receiver = Receiver::of(config, signal);
            let (first, longest) = (config.retry_initial_ms, config.retry_max_ms);
            let attributes = context.resource.iter();
            Lane::new(Parts {
                signal,
                queue: queue.clone(),
                resource: Resource::new(
                    receiver.encoding(),
                    attributes.map(|(name, value)| (name.as_str(), value)),
                ),
                collector: (signal == Signal::Metrics).then(|| collector(config, context)),
                client: Client::new(signal, receiver),
                spool: spool.clone(),
                books: books.clone(),
                backoff: Backoff::new(
                    Duration::from_millis(first),
                    Duration::from_millis(longest.max(first)),
                ),
                breaker_failures: config.breaker_failures,
                export_timeout: Duration::from_millis(of(config, signal).export_timeout_ms),
            })
        });
        async move {
            if let Some(lane) = lane {
                lane.run().await;
            }
        }
    };
    runtime.block_on(async {
        tokio::join!(lane(Signal::Traces), lane(Signal::Logs), lane(Signal::Metrics))
    });
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

fn collector(config: &config::OtlpSink, context: &Context) -> Collector {
    Collector::new(
        context.pipeline.metrics().clone(),
        context.labels.clone(),
        context.producer,
        Receiver::of(config, Signal::Metrics).encoding(),
        Duration::from_millis(config.metrics.delay_ms.max(1)),
        config.temporality != Temporality::Cumulative,
        config.histograms == Some(Histograms::ExplicitBucketHistogram),
    )
}
