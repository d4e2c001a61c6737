//! Which threads record, and what becomes of a ring when its thread exits.
//!
//! A channel (ring and counts) goes through `ACTIVE → EXITED → FREE → ACTIVE`. The thread itself
//! makes the first step, the drain the second once the ring is empty, and the next thread that
//! needs a ring the third. When none is free, that thread takes over one that is still to be
//! emptied, `EXITED → ACTIVE`: threads may come and go faster than the drain looks. It goes on
//! behind what is there, and the drain notices nothing. Counts stay with the channel and go on
//! growing, so nothing has to be folded when a thread ends: ten thousand short threads leave as
//! many channels as ever ran at once.

use crate::ledger::{Counts, Reason, Signal};
use crate::ring::{Consumer, Producer, Region, Storage};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, lock, mutant, order, own};

const ACTIVE: u32 = 0;
const EXITED: u32 = 1;
const FREE: u32 = 2;

/// What a recording thread and the drain share.
#[derive(Debug)]
pub struct Channel {
    storage: Arc<Storage>,
    state: AtomicU32,
    /// Counted by the thread that has the channel now.
    pub counts: Counts,
}

impl Channel {
    /// Counts a record and hands it, `size` bytes that are all written, to the drain.
    #[inline(always)]
    pub fn publish(&self, producer: &mut Producer, signal: Signal, size: u64) {
        // First counted: a reader of the books finds no record taken that was not published.
        if !mutant!("ledger_published") {
            self.counts.published(signal).add(1);
        }
        producer.publish(size);
        if mutant!("ledger_published") {
            self.counts.published(signal).add(1);
        }
    }

    /// The thread will not record again.
    pub fn exit(&self) {
        // SYNC POINT C (release): everything the thread published comes before its exit.
        self.state.store(EXITED, order!(Release, "registry_exit"));
    }

    /// Makes the calling thread the next to record, if the last one has gone and has left half of
    /// the ring free or `anyway`. Under the registry's lock.
    fn take_over(&self, anyway: bool) -> bool {
        let has_exited = self.has_exited() || mutant!("registry_take_over_active");
        if !has_exited || !(anyway || self.storage.is_roomy()) {
            return false;
        }
        // SYNC POINT C (acquire): who takes over goes on where the last thread stopped.
        let acquire = order!(Acquire, "registry_take_over");
        self.state.compare_exchange(EXITED, ACTIVE, acquire, Ordering::Relaxed).is_ok()
            || mutant!("registry_take_over_active")
    }

    /// Whether the thread has gone.
    pub fn has_exited(&self) -> bool {
        // Relaxed: a hint; `recycle` and `take_over` synchronise.
        self.state.load(Ordering::Relaxed) == EXITED
    }
}

/// Makes the memory of a new ring of the given capacity.
pub type MakeRegion = Box<dyn Fn(usize) -> std::io::Result<Region> + Send + Sync>;

/// All channels of one pipeline.
pub struct Registry {
    inner: Mutex<Inner>,
    /// Raised after a channel was added, so that the drain need not lock to find nothing new.
    version: AtomicU64,
    make_region: MakeRegion,
    ring_bytes: usize,
    total_bytes: usize,
    spare: u64,
}

struct Inner {
    channels: Vec<Arc<Channel>>,
    free: Vec<Arc<Channel>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("ring_bytes", &self.ring_bytes).finish_non_exhaustive()
    }
}

impl Registry {
    /// A registry of rings of `ring_bytes`, of which `spare` are kept for severe records, and
    /// `total_bytes` for all rings together.
    pub fn new(ring_bytes: usize, total_bytes: usize, spare: u64, make_region: MakeRegion) -> Self {
        let inner = Mutex::new(Inner { channels: Vec::new(), free: Vec::new() });
        Self { inner, version: AtomicU64::new(0), make_region, ring_bytes, total_bytes, spare }
    }

    /// A channel for the calling thread; `None` when rings have reached their total or memory
    /// cannot be had.
    pub fn attach(&self) -> Option<(Arc<Channel>, Producer)> {
        let mut inner = lock(&self.inner);
        if let Some(channel) = inner.free.pop() {
            // Relaxed: the lock orders it after the drain's last use in `recycle`.
            channel.state.store(ACTIVE, Ordering::Relaxed);
            let producer = Producer::new(channel.storage.clone(), self.spare);
            return Some((channel, producer));
        }
        let full = (inner.channels.len() + 1) * self.ring_bytes > self.total_bytes
            && !mutant!("registry_total");
        if let Some(channel) = inner.channels.iter().find(|channel| channel.take_over(full)) {
            let producer = Producer::new(channel.storage.clone(), self.spare);
            return Some((channel.clone(), producer));
        }
        if full {
            return None;
        }
        let region = (self.make_region)(self.ring_bytes).ok()?;
        let channel = Arc::new(Channel {
            storage: Arc::new(Storage::new(region, self.ring_bytes)),
            state: AtomicU32::new(ACTIVE),
            counts: Counts::default(),
        });
        let producer = Producer::new(channel.storage.clone(), self.spare);
        inner.channels.push(channel.clone());
        // Relaxed: changed under the lock, which who sees it takes next.
        self.version.store(own(&self.version) + 1, Ordering::Relaxed);
        Some((channel, producer))
    }

    /// All channels ever made.
    pub fn channels(&self) -> Vec<Arc<Channel>> {
        lock(&self.inner).channels.clone()
    }

    /// Bytes of all rings.
    pub fn memory_bytes(&self) -> usize {
        lock(&self.inner).channels.len() * self.ring_bytes
    }

    /// Bytes of one ring.
    pub fn ring_bytes(&self) -> usize {
        self.ring_bytes
    }

    /// Gives the ring of a thread that has gone to the next one that comes. Only the drain calls
    /// it, with a channel that has exited and is empty, and that nobody may have taken over since.
    pub fn recycle(&self, channel: &Arc<Channel>) {
        let mut inner = lock(&self.inner);
        // SYNC POINT C (acquire): what the last thread did comes before what the next one does.
        // Which thread was the last may have changed since the drain looked: one may have taken
        // over and gone, and left records. They do not keep the ring from being used.
        let acquire = order!(Acquire, "registry_recycle");
        let exited = channel.state.compare_exchange(EXITED, FREE, acquire, Ordering::Relaxed);
        if exited.is_ok() || mutant!("registry_recycle_active") {
            inner.free.push(channel.clone());
        }
    }
}

/// The drain's ends of all channels.
#[derive(Debug, Default)]
pub struct Drains {
    list: Vec<Drain>,
    version: u64,
}

/// How far rings had been published at one moment.
#[derive(Debug, Clone)]
pub struct Marks(Vec<u64>);

impl Marks {
    /// The position of each ring, in the order of [`Drains::list`].
    pub fn positions(&self) -> &[u64] {
        &self.0
    }
}

/// The drain's end of one channel.
#[derive(Debug)]
pub struct Drain {
    /// The channel.
    pub channel: Arc<Channel>,
    /// Its reading end.
    pub consumer: Consumer,
}

impl Drains {
    /// Takes up channels that have been added.
    pub fn refresh(&mut self, registry: &Registry) {
        // Relaxed: the version is raised while the list is locked, so that a version seen means
        // its channel is in the list once the lock is had. That what happened before a flush is
        // not missed is the gate's doing (SYNC POINT E).
        let version = registry.version.load(Ordering::Relaxed);
        if version == self.version {
            return;
        }
        self.version = version;
        let channels = registry.channels();
        let known = if mutant!("registry_known") { 0 } else { self.list.len() };
        for channel in channels.into_iter().skip(known) {
            let consumer = Consumer::new(channel.storage.clone());
            self.list.push(Drain { channel, consumer });
        }
    }

    /// All drains, in the order in which their channels were made.
    pub fn list(&mut self) -> &mut [Drain] {
        &mut self.list
    }

    /// How far every ring is published: all records that happened before this call, those of new
    /// threads included.
    pub fn marks(&mut self, registry: &Registry) -> Marks {
        if !(mutant!("flush_refresh") && self.version > 0) {
            self.refresh(registry);
        }
        Marks(self.list.iter().map(|drain| drain.consumer.published()).collect())
    }

    /// Counts what has been published since the last drain of a shutdown as dropped. `signal`
    /// tells whose a record is by its first word; those of nobody are not counted.
    pub fn sweep(
        &mut self,
        registry: &Registry,
        counts: &Counts,
        signal: impl Fn(u64) -> Option<Signal>,
    ) {
        if !mutant!("shutdown_refresh") {
            self.refresh(registry);
        }
        for Drain { consumer, .. } in &mut self.list {
            let until = consumer.published();
            while let Some(size) = consumer.peek(until) {
                if let Some(signal) = signal(consumer.word(0)) {
                    counts.taken(signal).add(1);
                    counts.dropped(signal, Reason::Stopped).add(1);
                }
                consumer.advance(size);
            }
            consumer.release();
        }
    }

    /// Recycles the rings of threads that have gone, once they are empty.
    pub fn recycle(&self, registry: &Registry) {
        for drain in &self.list {
            if (drain.channel.has_exited() || mutant!("registry_recycle_active"))
                && drain.consumer.is_empty()
            {
                registry.recycle(&drain.channel);
            }
        }
    }
}
