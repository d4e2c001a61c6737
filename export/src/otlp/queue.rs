//! Between the drain, which never waits, and the exporter's thread: a bounded queue for each
//! signal, and what others ask of the exporter.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::compose::Scope;
use super::signal::Signal;
use crate::settle::Share;

/// Encoded items of one signal, never more than fit into a request.
#[derive(Debug)]
pub struct Chunk {
    /// The items by scope.
    pub scopes: Vec<Scope>,
    /// How many items.
    pub records: u64,
    /// Bytes of the items.
    pub bytes: usize,
    /// What is to be settled with it.
    pub shares: Vec<Share>,
    /// When it was handed over.
    pub since: Instant,
}

/// How much of a signal waits, and when it is due.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes that wait.
    pub queue_bytes: usize,
    /// Most records that wait.
    pub queue_records: u64,
    /// Most bytes in a request.
    pub batch_bytes: usize,
    /// Most records in a request.
    pub batch_records: u64,
    /// How long records wait for others.
    pub delay: Duration,
}

/// The queues of an exporter.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    bells: [Notify; 3],
    limits: [Limits; 3],
    /// Whether metrics are exported at all.
    metrics: bool,
    owner: OnceLock<ThreadId>,
}

#[derive(Debug, Default)]
struct State {
    lanes: [Lane; 3],
    /// Until when what waits may still be sent; nothing comes any more.
    stop: Option<Instant>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Lane {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    records: u64,
    /// Chunks that came, and how many of them are settled or in the spool.
    pushed: u64,
    finished: u64,
    /// Up to which chunk somebody waits.
    wanted: u64,
    /// Collections of metrics asked for, and made.
    collections: u64,
    collected: u64,
}

/// What somebody waits for.
#[derive(Debug)]
pub struct Flush {
    /// Of each lane, up to which chunk.
    targets: [u64; 3],
    /// The collection of metrics, until it has been made.
    collection: Option<u64>,
}

/// What a lane finds.
#[derive(Debug)]
pub enum Due {
    /// Chunks that fill a request, or have waited long enough.
    Now(Vec<Chunk>),
    /// Nothing before then.
    Later(Option<Instant>),
}

impl Queue {
    /// Empty queues. `metrics` tells whether somebody collects them.
    pub fn new(limits: [Limits; 3], metrics: bool) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            bells: Default::default(),
            limits,
            metrics,
            owner: OnceLock::new(),
        }
    }

    /// The calling thread is the exporter's.
    pub fn adopt(&self) {
        let _ = self.owner.set(std::thread::current().id());
    }

    /// Whether the calling thread is the exporter's, which must not wait for itself.
    pub fn is_own_thread(&self) -> bool {
        self.owner.get() == Some(&std::thread::current().id())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limits of a signal.
    pub fn limits(&self, signal: Signal) -> &Limits {
        &self.limits[signal as usize]
    }

    /// Rings when there is something new for a lane.
    pub fn bell(&self, signal: Signal) -> &Notify {
        &self.bells[signal as usize]
    }

    fn ring_all(&self) {
        self.bells.iter().for_each(Notify::notify_one);
    }

    /// Takes a chunk, or gives it back when there is no room.
    ///
    /// # Errors
    /// The chunk, if there is no room or the exporter has ended.
    pub fn push(&self, signal: Signal, chunk: Chunk) -> Result<(), Chunk> {
        let limits = self.limits(signal);
        let mut state = self.state();
        if state.ended {
            return Err(chunk);
        }
        let lane = &mut state.lanes[signal as usize];
        if lane.bytes + chunk.bytes > limits.queue_bytes
            || lane.records + chunk.records > limits.queue_records
        {
            return Err(chunk);
        }
        let first = lane.chunks.is_empty();
        let was_full = lane.is_full(limits);
        lane.bytes += chunk.bytes;
        lane.records += chunk.records;
        lane.pushed += 1;
        lane.chunks.push_back(chunk);
        let full = lane.is_full(limits);
        drop(state);
        if first || full && !was_full {
            self.bell(signal).notify_one();
        }
        Ok(())
    }

    /// The next chunks that go together, if they are due.
    pub fn due(&self, signal: Signal) -> Due {
        let limits = self.limits(signal);
        let mut state = self.state();
        let stopping = state.stop.is_some();
        let lane = &mut state.lanes[signal as usize];
        let Some(oldest) = lane.chunks.front() else { return Due::Later(None) };
        let at = oldest.since + limits.delay;
        let hurry = stopping || lane.finished < lane.wanted;
        if hurry || lane.is_full(limits) || at <= Instant::now() {
            Due::Now(lane.take(limits))
        } else {
            Due::Later(Some(at))
        }
    }

    /// The next chunks that go together, due or not; empty where there is nothing.
    pub fn take(&self, signal: Signal) -> Vec<Chunk> {
        self.state().lanes[signal as usize].take(self.limits(signal))
    }

    /// Whether more than half of the room is taken.
    pub fn is_crowded(&self, signal: Signal) -> bool {
        let (state, limits) = (self.state(), self.limits(signal));
        let lane = &state.lanes[signal as usize];
        lane.bytes > limits.queue_bytes / 2 || lane.records > limits.queue_records / 2
    }

    /// That many chunks more are settled or in the spool.
    pub fn finish(&self, signal: Signal, chunks: u64) {
        self.state().lanes[signal as usize].finished += chunks;
        self.changed.notify_all();
    }

    /// Whether somebody waits for what the lane has, or it is to end.
    pub fn is_hurried(&self, signal: Signal) -> bool {
        let state = self.state();
        let lane = &state.lanes[signal as usize];
        state.stop.is_some() || lane.finished < lane.wanted
    }

    /// Number of the last chunk somebody has waited for.
    pub fn wanted(&self, signal: Signal) -> u64 {
        self.state().lanes[signal as usize].wanted
    }

    /// Whether metrics are to be read now; whoever asks says that they have been.
    pub fn collection_wanted(&self) -> Option<u64> {
        let state = self.state();
        let lane = &state.lanes[Signal::Metrics as usize];
        (lane.collections > lane.collected).then_some(lane.collections)
    }

    /// Collections up to `upto` have been made; what they found is waited for.
    pub fn collected(&self, upto: u64) {
        let mut state = self.state();
        let lane = &mut state.lanes[Signal::Metrics as usize];
        lane.collected = upto;
        lane.wanted = lane.pushed;
        drop(state);
        self.changed.notify_all();
    }

    /// Asks for everything pushed before the call, and for the metrics as they are now.
    pub fn ask(&self) -> Flush {
        let mut state = self.state();
        let mut targets = [0; 3];
        for (lane, target) in state.lanes.iter_mut().zip(&mut targets) {
            lane.wanted = lane.pushed;
            *target = lane.pushed;
        }
        let metrics = &mut state.lanes[Signal::Metrics as usize];
        metrics.collections += 1;
        let flush = Flush { targets, collection: self.metrics.then_some(metrics.collections) };
        drop(state);
        self.ring_all();
        flush
    }

    /// Waits until what `flush` asked for is settled or in the spool; `false` if it is not by
    /// `deadline`.
    pub fn wait(&self, mut flush: Flush, deadline: Instant) -> bool {
        const METRICS: usize = Signal::Metrics as usize;
        let mut state = self.state();
        loop {
            let lane = &state.lanes[METRICS];
            if flush.collection.is_some_and(|number| lane.collected >= number) {
                // What the collection has found is waited for too.
                flush.collection = None;
                flush.targets[METRICS] = lane.pushed;
            }
            let mut lanes = state.lanes.iter().zip(flush.targets);
            if flush.collection.is_none() && lanes.all(|(lane, target)| lane.finished >= target) {
                return true;
            }
            let Some(left) = left_until(deadline).filter(|_| !state.ended) else { return false };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Asks the exporter to send what it has and end; what is left at `deadline` it spools or
    /// gives up.
    pub fn stop(&self, deadline: Instant) {
        let mut state = self.state();
        state.stop = Some(state.stop.map_or(deadline, |before| before.min(deadline)));
        state.lanes[Signal::Metrics as usize].collections += 1;
        drop(state);
        self.ring_all();
    }

    /// Until when what waits may still be sent, once the exporter is to end.
    pub fn stopping(&self) -> Option<Instant> {
        self.state().stop
    }

    /// Whether the exporter has ended.
    pub fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Waits until the exporter has ended; `false` if it has not by `deadline`.
    pub fn join(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        while !state.ended {
            let Some(left) = left_until(deadline) else { return false };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// The exporter has ended: nothing is taken any more. What is left.
    pub fn end(&self) -> Vec<Chunk> {
        let mut state = self.state();
        state.ended = true;
        let left = state.lanes.iter_mut().flat_map(|lane| std::mem::take(&mut lane.chunks));
        let left = left.collect();
        drop(state);
        self.changed.notify_all();
        left
    }
}

fn left_until(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

impl Lane {
    fn is_full(&self, limits: &Limits) -> bool {
        self.records >= limits.batch_records || self.bytes >= limits.batch_bytes
    }

    fn take(&mut self, limits: &Limits) -> Vec<Chunk> {
        let mut taken = Vec::new();
        let (mut records, mut bytes) = (0, 0);
        while let Some(next) = self.chunks.front() {
            records += next.records;
            bytes += next.bytes;
            let fits = records <= limits.batch_records && bytes <= limits.batch_bytes;
            if !fits && !taken.is_empty() {
                break;
            }
            self.records -= next.records;
            self.bytes -= next.bytes;
            taken.extend(self.chunks.pop_front());
        }
        taken
    }
}
