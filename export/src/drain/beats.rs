//! Spans that stay open: told of at a start, then again and again, and when they are late.

use std::time::{Duration, Instant};

use coati_core::clock::Timeline;
use coati_core::pipeline::Pipeline;
use coati_core::span::watch::Open;

/// What is told of an open span.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Beat {
    /// It has been open for one interval.
    Start,
    /// It still is, an interval later.
    Heartbeat,
    /// It is open for longer than it should be.
    Timeout,
}

impl Beat {
    /// The event's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "span.start",
            Self::Heartbeat => "span.heartbeat",
            Self::Timeout => "span.timeout",
        }
    }
}

/// How often open spans are looked at, at most.
const LOOK: Duration = Duration::from_millis(20);

/// What has been told so far.
#[derive(Debug)]
pub struct Beats {
    looked: Instant,
    told: Vec<Told>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Told {
    generation: u64,
    /// When the last start or heartbeat was told, in ticks; 0 before.
    last: u64,
}

impl Beats {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { looked: Instant::now(), told: Vec::new() }
    }

    /// Looks at all open spans, if it is time to, and gives what is to be told of the moment `now`.
    pub fn look(
        &mut self,
        pipeline: &Pipeline,
        timeline: &Timeline,
        now: u64,
    ) -> Vec<(Beat, Open)> {
        let watch = pipeline.watch();
        if !watch.is_used() || self.looked.elapsed() < LOOK {
            return Vec::new();
        }
        self.looked = Instant::now();
        let per_tick = timeline.ns_per_tick();
        let ticks = |ns: u64| if ns == 0 { u64::MAX } else { (ns as f64 / per_tick) as u64 };
        let interval = ticks(pipeline.live().heartbeat_ns());
        let limit = pipeline.live().timeout_ns();
        self.told.resize(watch.slots() as usize, Told::default());
        let mut due = Vec::new();
        for (slot, told) in self.told.iter_mut().enumerate() {
            let slot = slot as u32;
            let Some(open) = watch.read(slot) else { continue };
            if told.generation != open.generation {
                *told = Told { generation: open.generation, last: 0 };
            }
            let age = now.saturating_sub(open.start);
            let since = if told.last == 0 { age } else { now.saturating_sub(told.last) };
            if since >= interval {
                let beat = if told.last == 0 { Beat::Start } else { Beat::Heartbeat };
                told.last = now;
                due.push((beat, open.clone()));
            }
            let limit = if open.timeout > 0 { open.timeout } else { limit };
            let is_late = !open.late && age >= ticks(limit);
            if is_late && watch.mark_late(slot, &open, timeline.wall_ns(now)) {
                due.push((Beat::Timeout, open));
            }
        }
        due
    }
}
