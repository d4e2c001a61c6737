//! What is wrong with the engine itself, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::encode::rfc3339;
use crate::tail::Counters;

/// The engine's health report. Written by the drain thread, read by anyone.
#[derive(Debug, Default)]
pub struct Health {
    inner: Mutex<Inner>,
    tail: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Inner {
    problems: BTreeMap<String, Problem>,
    sinks: BTreeMap<String, SinkHealth>,
    restarts: u64,
}

#[derive(Debug)]
struct Problem {
    reason: String,
    since: String,
    lost: u64,
}

#[derive(Debug, Default, Clone)]
struct SinkHealth {
    delivered: u64,
    lost: u64,
    /// What only some sinks have to tell.
    figures: BTreeMap<&'static str, u64>,
}

impl Health {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `component` fails for `reason` and has lost `lost` more records by it.
    pub fn problem(&self, component: &str, reason: &str, lost: u64) {
        let mut inner = self.inner();
        let problem = inner.problems.entry(component.to_owned()).or_insert_with(|| Problem {
            reason: String::new(),
            since: now(),
            lost: 0,
        });
        reason.clone_into(&mut problem.reason);
        problem.lost += lost;
    }

    /// `component` works again.
    pub fn solved(&self, component: &str) {
        self.inner().problems.remove(component);
    }

    /// Makes `sinks` the ones reported on; figures of those that stay are kept.
    pub fn set_sinks<'a>(&self, sinks: impl Iterator<Item = &'a str>) {
        let mut inner = self.inner();
        let mut before = std::mem::take(&mut inner.sinks);
        inner.sinks =
            sinks.map(|name| (name.to_owned(), before.remove(name).unwrap_or_default())).collect();
        let Inner { problems, sinks, .. } = &mut *inner;
        problems.retain(|component, _| {
            !before.contains_key(component) || sinks.contains_key(component)
        });
    }

    /// A sink is about to be reported on: what it counts from now on is kept.
    pub fn expect(&self, name: &str) {
        self.inner().sinks.entry(name.to_owned()).or_default();
    }

    /// A sink took `delivered` records and lost `lost`.
    pub fn sink(&self, name: &str, delivered: u64, lost: u64) {
        if let Some(sink) = self.inner().sinks.get_mut(name) {
            sink.delivered += delivered;
            sink.lost += lost;
        }
    }

    /// Shows a figure of a sink's.
    pub fn figure(&self, name: &str, key: &'static str, value: u64) {
        if let Some(sink) = self.inner().sinks.get_mut(name) {
            sink.figures.insert(key, value);
        }
    }

    /// Adds to a figure of a sink's.
    pub fn count(&self, name: &str, key: &'static str, more: u64) {
        if let Some(sink) = self.inner().sinks.get_mut(name) {
            *sink.figures.entry(key).or_default() += more;
        }
    }

    /// The drain failed on a record and went on.
    pub fn restarted(&self) {
        self.inner().restarts += 1;
    }

    /// What tail sampling counts.
    pub fn tail(&self) -> &Arc<Counters> {
        &self.tail
    }

    /// `ok`, `problems`, `sinks`, `drain_restarts`, and `tail_sampling` where it is on.
    pub fn report(&self) -> Value {
        let inner = self.inner();
        let problems: Vec<Value> = inner
            .problems
            .iter()
            .map(|(component, problem)| {
                json!({
                    "component": component,
                    "reason": problem.reason,
                    "since": problem.since,
                    "lost": problem.lost,
                })
            })
            .collect();
        let sinks: Vec<Value> = inner
            .sinks
            .iter()
            .map(|(name, sink)| {
                let mut report = json!({
                    "name": name,
                    "ok": !inner.problems.contains_key(name),
                    "delivered": sink.delivered,
                    "lost": sink.lost,
                });
                for (key, value) in &sink.figures {
                    report[*key] = json!(value);
                }
                report
            })
            .collect();
        let mut report = json!({
            "ok": problems.is_empty(),
            "problems": problems,
            "sinks": sinks,
            "drain_restarts": inner.restarts,
        });
        if let Some(tail) = self.tail.report() {
            report["tail_sampling"] = tail;
        }
        report
    }
}

fn now() -> String {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = Vec::new();
    rfc3339(since_epoch.as_nanos() as u64, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
