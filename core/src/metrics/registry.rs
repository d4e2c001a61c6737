//! All shards of a store, who has one, and what they may cost.

use super::budget::Budget;
use super::exemplar::Exemplars;
use super::shard::{NO_HISTOGRAM, NO_NUMBER, Shard};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, lock, mutant};
use std::sync::Arc;

#[derive(Default)]
struct Shards {
    /// Every shard ever made, oldest first: it only grows, by the most threads alive at once.
    all: Vec<Arc<Shard>>,
    free: Vec<Arc<Shard>>,
}

/// Shared by a store and everything made from it.
pub(super) struct Registry {
    /// Its lock hands a released shard's values to the next owner. Writers take it at thread
    /// start and exit only.
    shards: Mutex<Shards>,
    /// The shards a reader sums. Holding it makes one reader or reset at a time.
    read: Mutex<Vec<Arc<Shard>>>,
    none_left: Arc<Shard>,
    pub(super) budget: Budget,
    pub(super) exemplars: Exemplars,
    ignored: AtomicU64,
    numbers: AtomicU32,
    histograms: AtomicU32,
    series: AtomicU32,
}

impl Registry {
    pub(super) fn new(shard_bytes: usize) -> Self {
        Self {
            shards: Mutex::new(Shards::default()),
            read: Mutex::new(Vec::new()),
            none_left: Arc::new(Shard::new(false)),
            budget: Budget::new(shard_bytes),
            exemplars: Exemplars::new(),
            ignored: AtomicU64::new(0),
            numbers: AtomicU32::new(0),
            histograms: AtomicU32::new(0),
            series: AtomicU32::new(0),
        }
    }

    /// A shard of the calling thread's own; one that sends every add to shared cells when the
    /// budget is spent.
    pub(super) fn acquire(&self) -> Arc<Shard> {
        let mut shards = lock(&self.shards);
        if let Some(shard) = shards.free.pop() {
            return shard;
        }
        if !self.budget.try_take(size_of::<Shard>()) {
            return self.none_left.clone();
        }
        let shard = Arc::new(Shard::new(true));
        shards.all.push(shard.clone());
        shard
    }

    /// Takes a shard back with its values; its next owner goes on adding to them.
    pub(super) fn release(&self, shard: Arc<Shard>) {
        if !shard.grows() {
            return;
        }
        let mut shards = lock(&self.shards);
        let ours = shards.all.iter().any(|other| Arc::ptr_eq(other, &shard));
        let ours = ours || mutant!("metrics_foreign_shard");
        if ours && !shards.free.iter().any(|other| Arc::ptr_eq(other, &shard)) {
            shards.free.push(shard);
        }
    }

    /// Every shard, for one reader at a time.
    pub(super) fn read(&self) -> MutexGuard<'_, Vec<Arc<Shard>>> {
        let mut read = lock(&self.read);
        let shards = lock(&self.shards);
        let known = if mutant!("metrics_known") { 0 } else { read.len() };
        read.extend_from_slice(&shards.all[known..]);
        drop(shards);
        read
    }

    /// Counts a value that no series takes. Relaxed, like the rest here: numbers only.
    pub(super) fn ignore(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    pub(super) fn number_slot(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed).min(NO_NUMBER)
    }

    pub(super) fn histogram_slot(&self) -> u32 {
        self.histograms.fetch_add(1, Ordering::Relaxed).min(NO_HISTOGRAM)
    }

    pub(super) fn series_id(&self) -> u32 {
        self.series.fetch_add(1, Ordering::Relaxed)
    }
}
