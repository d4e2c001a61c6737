//! Records of all rings in the order of their time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use coati_core::record::read;
use coati_core::thread::registry::{Drain, Drains, Registry};

/// Takes records out of rings, oldest first.
#[derive(Debug, Default)]
pub struct Merge {
    /// Time of the next record and index, of each ring that has one.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
    /// Per ring: where it ends for this round, and the time of its last record.
    rings: Vec<Ring>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Ring {
    until: u64,
    last_ticks: u64,
}

/// Whether to go on after a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// With the next one.
    Go,
    /// Not before the batch has been handed over.
    Commit,
}

/// How far a round has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Everything up to the horizon is taken.
    Done,
    /// The batch is full.
    Full,
}

impl Merge {
    /// Begins a round: notes how far each ring is published.
    pub fn begin(&mut self, drains: &mut Drains, registry: &Registry) {
        self.heads.clear();
        let marks = drains.marks(registry);
        self.rings.resize(marks.positions().len(), Ring::default());
        for (index, drain) in drains.list().iter_mut().enumerate() {
            self.rings[index].until = marks.positions()[index];
            self.push_head(drain, index);
        }
    }

    fn push_head(&mut self, drain: &mut Drain, index: usize) {
        let ring = &mut self.rings[index];
        if let Some(size) = drain.consumer.peek(ring.until) {
            // Time never runs backwards within a thread, whatever its processor's counter did.
            let ticks = read::header(drain.consumer.record(size)).map_or(0, |header| header.ticks);
            ring.last_ticks = ring.last_ticks.max(ticks);
            self.heads.push(Reverse((ring.last_ticks, index)));
        }
    }

    /// Hands records not younger than `horizon` to `each`, which gets the ring's index too.
    pub fn advance(
        &mut self,
        drains: &mut Drains,
        horizon: u64,
        mut each: impl FnMut(usize, u64, &[u8]) -> Next,
    ) -> Round {
        while let Some(Reverse((mut ticks, index))) = self.heads.pop() {
            if ticks > horizon {
                self.heads.push(Reverse((ticks, index)));
                return Round::Done;
            }
            let rival = self.heads.peek().map_or(u64::MAX, |Reverse((ticks, _))| *ticks);
            let limit = rival.min(horizon);
            let drain = &mut drains.list()[index];
            let ring = &mut self.rings[index];
            while let Some(size) = drain.consumer.peek(ring.until) {
                let record = drain.consumer.record(size);
                let own = read::header(record).map_or(0, |header| header.ticks);
                ticks = ring.last_ticks.max(own);
                ring.last_ticks = ticks;
                if ticks > limit {
                    self.heads.push(Reverse((ticks, index)));
                    break;
                }
                let next = each(index, ticks, record);
                drain.consumer.advance(size);
                if next == Next::Commit {
                    self.push_head(&mut drains.list()[index], index);
                    return Round::Full;
                }
            }
        }
        Round::Done
    }

    /// Steps over the record on which `each` failed.
    pub fn skip(&mut self, drains: &mut Drains, index: usize) {
        let drain = &mut drains.list()[index];
        if let Some(size) = drain.consumer.peek(self.rings[index].until) {
            drain.consumer.advance(size);
        }
        self.push_head(&mut drains.list()[index], index);
    }

    /// Whether records were left behind the horizon.
    pub fn has_more(&self) -> bool {
        !self.heads.is_empty()
    }
}
