//! The store: instruments, shards, snapshots.

use super::buckets::SUBS;
use super::descriptor::{Descriptor, Key, Kind, MetricError};
use super::exemplar;
use super::index::Index;
use super::instrument::{Common, Instrument};
use super::label::LabelPolicy;
use super::registry::Registry;
use super::series::Series;
use super::shard::Shard;
use super::snapshot::{MetricSnapshot, SeriesSnapshot, Value};
use super::view::{self, Shown, View};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// How a store is bounded.
#[derive(Clone)]
pub struct StoreConfig {
    /// Instruments. What is recorded into one more is ignored and counted.
    pub max_instruments: usize,
    /// Series per metric, the overflow series among them.
    pub max_series: usize,
    /// Labels of a series; of more the first count.
    pub max_labels: usize,
    /// Bytes of a label's key or text, of a unit or a description; longer ones are cut.
    pub max_string: usize,
    /// Bytes of all threads' cells together; beyond them threads share cells.
    pub shard_bytes: usize,
    /// Redaction of labels.
    pub label_policy: Option<Arc<dyn LabelPolicy>>,
    /// Instruments shown otherwise than they are made.
    pub views: Arc<[View]>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_instruments: 10_000,
            max_series: 2000,
            max_labels: 128,
            max_string: 4096,
            shard_bytes: 64 << 20,
            label_policy: None,
            views: view::none(),
        }
    }
}

#[derive(Default)]
struct Instruments {
    /// Those that are shown.
    all: Vec<Arc<Instrument>>,
    /// By scope and the name with which it was made, with the description of then.
    by_name: HashMap<Key, (Arc<Descriptor>, Arc<Instrument>)>,
    /// By scope and the name under which it is shown, where there are views.
    by_shown_name: HashMap<Key, Arc<Instrument>>,
    /// Those that views would have called as others are.
    clashed: Refused,
    /// What stands for those beyond the limit: it ignores numbers, or distributions.
    refusing: [Option<Arc<Instrument>>; 2],
    refused: Refused,
}

/// Instruments that could not be had as they were wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// How often one was asked for.
    pub times: u64,
    /// Its name, the last time.
    pub name: Box<str>,
}

type Callback = Arc<dyn Fn() + Send + Sync>;

/// All metrics of an engine.
///
/// It holds no process-wide state: a forked child makes a new one and never touches this one's
/// locks. Adding through an old handle there is harmless.
pub struct Store {
    common: Arc<Common>,
    instruments: Mutex<Instruments>,
    max_instruments: AtomicUsize,
    views: Arc<[View]>,
    callbacks: Mutex<Vec<Callback>>,
    readers: AtomicU64,
    began: u64,
}

impl Store {
    /// An empty store.
    pub fn new(config: StoreConfig) -> Arc<Self> {
        let common = Common {
            registry: Arc::new(Registry::new(config.shard_bytes)),
            index: Index::new(),
            policy: config.label_policy,
            max_series: config.max_series,
            max_labels: config.max_labels,
            max_string: config.max_string,
            seed: RandomState::new().hash_one(0),
            bytes: AtomicUsize::new(0),
        };
        Arc::new(Self {
            common: Arc::new(common),
            instruments: Mutex::default(),
            max_instruments: AtomicUsize::new(config.max_instruments),
            views: config.views,
            callbacks: Mutex::default(),
            readers: AtomicU64::new(0),
            began: exemplar::now(),
        })
    }

    /// When it was made, in nanoseconds since the epoch: nothing in it is older.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// The instrument of that scope and name, made if need be. An existing one must be of the same kind and,
    /// where a unit or bounds are given, have the same. Beyond the limit it is one that ignores and
    /// counts whatever is recorded.
    pub fn instrument(&self, mut descriptor: Descriptor) -> Result<Arc<Instrument>, MetricError> {
        descriptor.check()?;
        descriptor.cut(self.common.max_string);
        let mut instruments = lock(&self.instruments);
        if let Some((made, known)) = instruments.by_name.get(&descriptor.key()) {
            made.agrees(&descriptor)?;
            return Ok(known.clone());
        }
        if instruments.by_name.len() >= self.max_instruments.load(Ordering::Relaxed) {
            return Ok(self.refuse(&mut instruments, &descriptor));
        }
        let made = Arc::new(descriptor);
        let new = self.make(&mut instruments, &made);
        instruments.by_name.insert(made.key(), (made, new.clone()));
        Ok(new)
    }

    /// A new instrument, or the one that views make of this one, too.
    fn make(&self, instruments: &mut Instruments, made: &Arc<Descriptor>) -> Arc<Instrument> {
        let id = instruments.by_name.len() as u32;
        let common = self.common.clone();
        if self.views.is_empty() {
            let new = Arc::new(Instrument::new(id, made.clone(), None, common));
            instruments.all.push(new.clone());
            return new;
        }
        let Shown { mut descriptor, labels, dropped } = view::show(&self.views, made);
        if dropped {
            return Arc::new(Instrument::refusing(id, made.clone(), common));
        }
        if let Some(known) = instruments.by_shown_name.get(&descriptor.key()) {
            let alike = known.descriptor().counts_as(&descriptor);
            if alike && known.filter() == labels.as_ref() {
                return known.clone();
            }
            let times = instruments.clashed.times + 1;
            instruments.clashed = Refused { times, name: made.name.clone() };
            descriptor.name.clone_from(&made.name);
        }
        let key = descriptor.key();
        let new = Arc::new(Instrument::new(id, Arc::new(descriptor), labels, common));
        instruments.all.push(new.clone());
        instruments.by_shown_name.entry(key).or_insert_with(|| new.clone());
        new
    }

    /// A series counts calls that do not fit its kind and does nothing else: the kind that fits no
    /// call of the wanted one.
    fn refuse(&self, all: &mut Instruments, wanted: &Descriptor) -> Arc<Instrument> {
        all.refused = Refused { times: all.refused.times + 1, name: wanted.name.clone() };
        let kind = match wanted.kind {
            Kind::Histogram => Kind::Counter,
            _ => Kind::Histogram,
        };
        let refusing = all.refusing[usize::from(kind == Kind::Counter)].get_or_insert_with(|| {
            let descriptor = Arc::new(Descriptor::new("otel.metric.overflow", kind, "", ""));
            let id = u32::MAX - u32::from(kind == Kind::Counter);
            Arc::new(Instrument::refusing(id, descriptor, self.common.clone()))
        });
        refusing.clone()
    }

    /// Changes how many instruments there may be.
    pub fn set_max_instruments(&self, most: usize) {
        self.max_instruments.store(most, Ordering::Relaxed);
    }

    /// The instruments beyond the limit; `None` if there were none.
    pub fn refused(&self) -> Option<Refused> {
        let instruments = lock(&self.instruments);
        (instruments.refused.times > 0).then(|| instruments.refused.clone())
    }

    /// The instruments that views would have called as another one that counts otherwise: they keep
    /// their names. `None` if there were none.
    pub fn clashed(&self) -> Option<Refused> {
        let instruments = lock(&self.instruments);
        (instruments.clashed.times > 0).then(|| instruments.clashed.clone())
    }

    /// A shard for the calling thread alone; at its start.
    pub fn acquire_shard(&self) -> Arc<Shard> {
        self.common.registry.acquire()
    }

    /// Takes a thread's shard back; at its exit. What it holds stays counted and its next owner
    /// adds to it.
    pub fn release_shard(&self, shard: Arc<Shard>) {
        self.common.registry.release(shard);
    }

    /// Has `callback` run by every [`Store::collect`].
    pub fn observe(&self, callback: Box<dyn Fn() + Send + Sync>) {
        lock(&self.callbacks).push(callback.into());
    }

    /// Runs the callbacks, with no lock held.
    pub fn collect(&self) {
        let callbacks = lock(&self.callbacks).clone();
        for callback in callbacks {
            callback();
        }
    }

    /// All metrics in the order they were made, without stopping writers.
    pub fn snapshot(&self) -> Vec<MetricSnapshot> {
        self.read(|series, shards| series.read::<SUBS>(shards))
    }

    /// The same for text formats: exponential histograms at scale 0, which has a bucket for each
    /// power of two.
    pub fn snapshot_powers(&self) -> Vec<MetricSnapshot> {
        self.read(|series, shards| series.read::<1>(shards))
    }

    pub(super) fn read(
        &self,
        mut value: impl FnMut(&Series, &[Arc<Shard>]) -> Value,
    ) -> Vec<MetricSnapshot> {
        let instruments = self.instruments();
        let registry = &self.common.registry;
        let shards = registry.read();
        let any = registry.exemplars.are_any();
        let metrics = instruments.iter().map(|instrument| {
            let mut series = Vec::with_capacity(instrument.len());
            instrument.for_each_shown(|one| {
                let value = value(one, &shards);
                let labels = one.labels().clone();
                let exemplars = if any { registry.exemplars.read(one.id) } else { Vec::new() };
                series.push(SeriesSnapshot { labels, value, exemplars });
            });
            MetricSnapshot { descriptor: instrument.descriptor().clone(), series }
        });
        metrics.collect()
    }

    /// All instruments that are shown, oldest first.
    pub fn instruments(&self) -> Vec<Arc<Instrument>> {
        lock(&self.instruments).all.clone()
    }

    /// Makes later values, statistics and snapshots start from zero. Delta readers still report
    /// what they have not yet seen.
    pub fn reset(&self) {
        let instruments = self.instruments();
        let shards = self.common.registry.read();
        for instrument in &instruments {
            instrument.for_each(|series| series.reset(&shards));
        }
        self.common.registry.exemplars.forget(exemplar::now());
    }

    pub(super) fn next_reader(&self) -> u64 {
        self.readers.fetch_add(1, Ordering::Relaxed)
    }

    /// Bytes of shards and series.
    pub fn memory_bytes(&self) -> usize {
        self.common.registry.budget.used() + self.common.bytes.load(Ordering::Relaxed)
    }

    /// Values that no series took: negative for a counter, not finite, of another kind,
    /// or of a thread that is about to end or interrupted by a signal handler.
    pub fn ignored(&self) -> u64 {
        self.common.registry.ignored()
    }
}
