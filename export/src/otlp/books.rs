//! What an exporter writes into the ledger and into health.

use std::sync::Arc;

use coati_core::ledger::Reason;
use coati_core::pipeline::Pipeline;

use crate::health::Health;
use crate::settle::{self, Share};

/// The books of one exporter.
#[derive(Clone)]
pub struct Books {
    name: Arc<str>,
    pipeline: Arc<Pipeline>,
    health: Arc<Health>,
}

impl Books {
    /// The books of the sink called `name`.
    pub fn new(name: &str, pipeline: Arc<Pipeline>, health: Arc<Health>) -> Self {
        Self { name: name.into(), pipeline, health }
    }

    /// The sink's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of `records` records, for which `shares` stand, all arrived but `lost`.
    pub fn settle(&self, shares: Vec<Share>, records: u64, lost: u64, reason: Reason) {
        settle::settle(shares, &self.pipeline, lost, reason);
        self.health.sink(&self.name, records - lost.min(records), lost.min(records));
    }

    /// `records` records, for which `shares` stand, are lost.
    pub fn lose(&self, shares: Vec<Share>, records: u64, reason: Reason) {
        if records > 0 {
            self.settle(shares, records, records, reason);
            self.health.problem(&self.name, &format!("records lost: {}", reason.name()), records);
        }
    }

    /// Something is wrong with what `signal` needs.
    pub fn problem(&self, signal: &str, reason: &str, lost: u64) {
        self.health.problem(&self.name, &format!("{signal}: {reason}"), lost);
    }

    /// All is well again.
    pub fn solved(&self) {
        self.health.solved(&self.name);
    }

    /// Shows a figure of the sink's.
    pub fn figure(&self, key: &'static str, value: u64) {
        self.health.figure(&self.name, key, value);
    }

    /// Adds to a figure of the sink's.
    pub fn count(&self, key: &'static str, more: u64) {
        self.health.count(&self.name, key, more);
    }
}
