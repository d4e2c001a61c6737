//! The engine's own calls, as its users make them.

pub mod drained;
pub mod metrics;
pub mod ring;
pub mod scrape;

use std::path::Path;
use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::key;
use coati_core::log::Logger;
use coati_core::record::Level;
use coati_core::span::{Span, Start, Tracer};
use coati_export::config::Sources;
use coati_export::{Config, Engine, Options};
use serde_json::Value;

use crate::candidate::Candidate;
use crate::workload::{COST, MESSAGE, MODEL};

/// The name of every candidate here.
pub const NAME: &str = "coati";

/// All of them; files go into `folder`.
pub fn all(folder: &Path) -> Vec<Candidate> {
    let mut all = ring::all();
    all.push(drained::log(folder));
    all.extend(metrics::all());
    all.extend(scrape::all());
    all
}

/// An engine with this configuration.
///
/// # Panics
/// If the configuration is bad or no thread can be had.
pub fn engine(config: Value) -> Arc<Engine> {
    let config = Config::load(Sources { dict: Some(config), ..Sources::default() });
    Engine::start(Hub::new(), config.expect("a configuration"), Options::default())
        .expect("a thread")
}

/// The log call that is measured everywhere.
#[inline(always)]
pub fn log(logger: &Logger, i: usize) {
    logger.log(
        Level::Info,
        MESSAGE,
        &[(key!("steps"), i.into()), (key!("model"), MODEL.into()), (key!("cost"), COST.into())],
    );
}

/// The span that is measured everywhere.
#[inline(always)]
pub fn span(tracer: &Tracer, start: Start, i: usize) {
    started(tracer, start, i).end(tracer.hub(), None);
}

/// The same, not ended yet.
#[inline(always)]
pub fn started(tracer: &Tracer, start: Start, i: usize) -> Span {
    let mut span = tracer.start("plan", start);
    span.set_attribute((key!("agent"), "a1".into()));
    span.set_attribute((key!("steps"), i.into()));
    span.set_attribute((key!("model"), MODEL.into()));
    span.set_attribute((key!("cost"), COST.into()));
    span
}
