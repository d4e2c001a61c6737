//! Records whose fate a sink learns only later.
//!
//! The drain counts a record as delivered or dropped when its batch is committed, unless a sink
//! that sends it elsewhere has still to learn whether it arrived. Such a sink is given a [`Share`]
//! and settles it when it knows. The drain's own counts have the drain as their only writer; these
//! are counted apart, by whoever comes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use coati_core::ledger::{Counts, Reason, Signal};
use coati_core::pipeline::Pipeline;

/// Records of one signal that are settled later.
#[derive(Debug, Clone)]
pub struct Share {
    signal: Signal,
    records: u64,
    /// Where more than one sink has to learn it.
    several: Option<Arc<Several>>,
}

/// Records that several sinks send on: each is delivered when all have delivered it.
#[derive(Debug)]
struct Several {
    /// Records times sinks that are not settled yet.
    open: AtomicU64,
    records: u64,
    /// How many each reason took, by all sinks together.
    lost: Mutex<Vec<(Reason, u64)>>,
}

impl Share {
    /// A share for each of `sinks` sinks that have to learn of `records` records.
    pub fn new(signal: Signal, records: u64, sinks: u32) -> Self {
        let several = (sinks > 1).then(|| {
            Arc::new(Several {
                open: AtomicU64::new(records * u64::from(sinks)),
                records,
                lost: Mutex::default(),
            })
        });
        Self { signal, records, several }
    }

    /// Their signal.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// How many records it stands for.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Takes up to `most` records out of it.
    pub fn take(&mut self, most: u64) -> Self {
        let records = most.min(self.records);
        self.records -= records;
        Self { signal: self.signal, records, several: self.several.clone() }
    }

    /// Writes into the books of `pipeline` that of its records `lost` are lost for `reason`.
    pub fn settle(self, pipeline: &Pipeline, lost: u64, reason: Reason) {
        if self.records == 0 {
            return;
        }
        let lost = lost.min(self.records);
        let counts = pipeline.settled_later();
        let Some(several) = self.several else {
            return write(counts, self.signal, self.records, &[(reason, lost)]);
        };
        if lost > 0 {
            several.lost.lock().unwrap_or_else(PoisonError::into_inner).push((reason, lost));
        }
        // AcqRel: who brings it to zero sees what the others have lost.
        if several.open.fetch_sub(self.records, Ordering::AcqRel) == self.records {
            // Which of the records each sink lost is not known: none is called delivered that one
            // of them may have lost.
            let lost = several.lost.lock().unwrap_or_else(PoisonError::into_inner);
            write(counts, self.signal, several.records, &lost);
        }
    }
}

fn write(counts: &Counts, signal: Signal, records: u64, lost: &[(Reason, u64)]) {
    let mut left = records;
    for &(reason, lost) in lost {
        let lost = lost.min(left);
        left -= lost;
        counts.dropped(signal, reason).add_shared(lost);
    }
    counts.delivered(signal).add_shared(left);
    counts.taken(signal).add_shared(records);
}

/// Takes shares for `records` records out of `from`, as far as they reach.
pub fn take(from: &mut Vec<Share>, mut records: u64) -> Vec<Share> {
    let mut taken = Vec::new();
    while let Some(first) = from.first_mut().filter(|_| records > 0) {
        let share = first.take(records);
        records -= share.records();
        if first.records() == 0 {
            from.remove(0);
        }
        taken.push(share);
    }
    taken
}

/// Settles `shares`, the last `lost` records of which are lost for `reason`.
pub fn settle(shares: Vec<Share>, pipeline: &Pipeline, mut lost: u64, reason: Reason) {
    for share in shares.into_iter().rev() {
        let here = lost.min(share.records());
        lost -= here;
        share.settle(pipeline, here, reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coati_core::hub::Hub;
    use coati_core::pipeline::PipelineConfig;

    fn pipeline() -> Arc<Pipeline> {
        Pipeline::new(PipelineConfig::default(), Hub::new().live().clone())
    }

    #[test]
    fn a_share_is_settled_in_parts() {
        let pipeline = pipeline();
        let mut shares = vec![Share::new(Signal::Logs, 5, 1), Share::new(Signal::Logs, 5, 1)];
        let first = take(&mut shares, 7);
        assert_eq!(first.iter().map(Share::records).collect::<Vec<_>>(), [5, 2]);
        settle(first, &pipeline, 3, Reason::Rejected);
        settle(take(&mut shares, 100), &pipeline, 0, Reason::Rejected);
        assert!(shares.is_empty());
        let logs = pipeline.ledger().logs;
        assert_eq!((logs.delivered, logs.dropped["rejected"]), (7, 3));
    }

    #[test]
    fn what_several_sinks_take_is_delivered_when_all_have_it() {
        let pipeline = pipeline();
        let share = Share::new(Signal::Spans, 10, 2);
        share.clone().settle(&pipeline, 4, Reason::Unsent);
        assert_eq!(pipeline.ledger().spans.delivered, 0);
        let mut second = share;
        second.take(6).settle(&pipeline, 0, Reason::Unsent);
        assert_eq!(pipeline.ledger().spans.delivered, 0);
        second.settle(&pipeline, 1, Reason::Rejected);
        let spans = pipeline.ledger().spans;
        assert_eq!((spans.delivered, spans.dropped_total()), (5, 5));
    }
}
