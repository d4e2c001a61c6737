//! What the endpoint answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use coati_core::metrics::{Refused, Store};

use crate::health::Health;
use crate::producer::{Producer, read_metrics};
use crate::prometheus::{Format, Target};
use crate::redact::LabelRules;
use crate::server::{Handler, Request, Response};

/// Makes pages of metrics for Prometheus.
#[derive(Debug)]
pub(crate) struct Pages {
    target: Target,
    labels: Arc<LabelRules>,
    producer: Option<Producer>,
    /// How long the last page of each format was: the next one will be about as long, and text that
    /// has to move to larger memory again and again costs as much as it costs to write.
    lengths: [AtomicUsize; 3],
}

impl Pages {
    /// Pages of what belongs to `target`.
    pub fn new(target: Target, labels: Arc<LabelRules>, producer: Option<Producer>) -> Self {
        Self { target, labels, producer, lengths: Default::default() }
    }

    /// All metrics now, with the target or without it.
    pub fn page(&self, format: Format, store: &Store, with_target: bool) -> Vec<u8> {
        let metrics = read_metrics(store, &self.labels, self.producer, |store| format.read(store));
        let length = &self.lengths[format as usize];
        let len = length.load(Ordering::Relaxed);
        let mut page = Vec::with_capacity(len + len / 16);
        format.encode(with_target.then_some(&self.target), &metrics, &mut page);
        length.store(page.len(), Ordering::Relaxed);
        page
    }
}

/// Answers scrapes and health checks, for as long as store and health are there.
pub(crate) fn handler(pages: Arc<Pages>, store: &Arc<Store>, health: &Arc<Health>) -> Handler {
    let (store, health) = (Arc::downgrade(store), Arc::downgrade(health));
    Arc::new(move |request| respond(request, &pages, &store, &health))
}

fn respond(
    request: &Request,
    pages: &Pages,
    store: &Weak<Store>,
    health: &Weak<Health>,
) -> Response {
    match (&*request.path, store.upgrade(), health.upgrade()) {
        ("/metrics", Some(store), _) => {
            let format = Format::accepted(&request.accept);
            Response::ok(format.content_type(), pages.page(format, &store, true))
        }
        ("/healthz", store, Some(health)) => {
            if let Some(store) = store {
                note_refused(&store, &health);
            }
            let report = health.report();
            let status = if report["ok"] == true { 200 } else { 503 };
            Response::new(status, "application/json", report.to_string())
        }
        _ => Response::not_found(),
    }
}

/// Instruments beyond the limit, and views that cannot be, are a problem as long as the engine runs.
pub(crate) fn note_refused(store: &Store, health: &Health) {
    if let Some(Refused { times, name }) = store.refused() {
        let reason =
            format!("no room for `{name}` (metrics.max_instruments), {times} times refused");
        health.problem("instruments", &reason, 0);
    }
    if let Some(Refused { times, name }) = store.clashed() {
        let reason = format!(
            "`{name}` keeps its name: the one of its view belongs to another that counts otherwise \
             ({times} such instruments)"
        );
        health.problem("metrics.views", &reason, 0);
    }
}
