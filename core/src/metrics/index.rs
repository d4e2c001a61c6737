//! The concurrent map from labels to series, asked on the miss path only.

use super::label::{Canonical, OwnedLabel};
use super::series::Series;
use crate::sync::{Mutex, MutexGuard, lock};
use std::collections::HashSet;
use std::sync::Arc;

#[cfg(not(coati_loom))]
mod map {
    use super::Series;
    use std::hash::{BuildHasherDefault, Hasher};
    use std::sync::Arc;

    /// Keys are hashes already.
    #[derive(Default)]
    pub(super) struct Same(u64);

    impl Hasher for Same {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, _: &[u8]) {
            unreachable!("keys are u64")
        }

        fn write_u64(&mut self, key: u64) {
            self.0 = key;
        }
    }

    pub(super) struct Map(dashmap::DashMap<u64, Arc<Series>, BuildHasherDefault<Same>>);

    impl Map {
        pub(super) fn new() -> Self {
            Self(dashmap::DashMap::with_hasher_and_shard_amount(Default::default(), 16))
        }

        pub(super) fn get(&self, key: u64) -> Option<Arc<Series>> {
            self.0.get(&key).map(|series| series.clone())
        }

        pub(super) fn insert(&self, key: u64, series: Arc<Series>) {
            self.0.insert(key, series);
        }
    }
}

/// Loom cannot see dashmap: a map behind loom's own lock.
#[cfg(coati_loom)]
mod map {
    use super::Series;
    use crate::sync::{Mutex, lock};
    use std::collections::HashMap;
    use std::sync::Arc;

    pub(super) struct Map(Mutex<HashMap<u64, Arc<Series>>>);

    impl Map {
        pub(super) fn new() -> Self {
            Self(Mutex::new(HashMap::new()))
        }

        pub(super) fn get(&self, key: u64) -> Option<Arc<Series>> {
            lock(&self.0).get(&key).cloned()
        }

        pub(super) fn insert(&self, key: u64, series: Arc<Series>) {
            lock(&self.0).insert(key, series);
        }
    }
}

/// Series of all instruments under the hash of instrument and labels; where two hashes collide
/// the later series stands at the next free number.
pub(super) struct Index {
    map: map::Map,
    shared: Mutex<Shared>,
}

/// What series share. Holding it is what it takes to insert.
#[derive(Default)]
pub(super) struct Shared {
    /// Keys of labels.
    keys: HashSet<Arc<str>>,
    /// The instruments that got a series last, the latest first.
    recent: Vec<u32>,
}

/// How many instruments are asked for labels that a new series can share.
const RECENT: usize = 8;

impl Index {
    pub(super) fn new() -> Self {
        Self { map: map::Map::new(), shared: Mutex::default() }
    }

    /// Locks out other insertions.
    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// The series, or the free number at which to insert it.
    pub(super) fn find(
        &self,
        instrument: u32,
        labels: &Canonical<'_>,
        mut at: u64,
    ) -> Result<Arc<Series>, u64> {
        while let Some(series) = self.map.get(at) {
            if series.instrument() == instrument && labels.is(series.labels()) {
                return Ok(series);
            }
            at = at.wrapping_add(1);
        }
        Err(at)
    }

    /// Puts `series` at a number that `find` gave while `_shared` was held.
    pub(super) fn insert(&self, _shared: &Shared, at: u64, series: Arc<Series>) {
        self.map.insert(at, series);
    }
}

impl Shared {
    /// The labels for a new series of `instrument`, and how many bytes they take if they are new.
    /// Metrics of one program mostly have the same ones, so that another's serve again.
    pub(super) fn labels(
        &mut self,
        index: &Index,
        instrument: u32,
        labels: &Canonical<'_>,
        seed: u64,
    ) -> (Arc<[OwnedLabel]>, usize) {
        let others = self.recent.iter().filter(|&&other| other != instrument);
        let known = others
            .copied()
            .find_map(|other| index.find(other, labels, labels.hash(seed ^ u64::from(other))).ok());
        self.note(instrument);
        if let Some(series) = known {
            return (series.labels().clone(), 0);
        }
        let owned = labels.labels().iter().map(|&(key, value)| OwnedLabel {
            key: intern(&mut self.keys, key),
            value: value.keep(),
        });
        let new: Arc<[OwnedLabel]> = owned.collect();
        let bytes = new.iter().map(OwnedLabel::bytes).sum();
        (new, bytes)
    }

    fn note(&mut self, instrument: u32) {
        match self.recent.iter().position(|&other| other == instrument) {
            Some(at) => self.recent[..=at].rotate_right(1),
            None => {
                self.recent.truncate(RECENT - 1);
                self.recent.insert(0, instrument);
            }
        }
    }
}

fn intern(keys: &mut HashSet<Arc<str>>, key: &str) -> Arc<str> {
    if let Some(known) = keys.get(key) {
        return known.clone();
    }
    let new: Arc<str> = key.into();
    keys.insert(new.clone());
    new
}
