//! A thread ends while the drain looks: its ring is emptied, recycled, and nothing is lost.

use std::sync::Arc;

use coati_core::ledger::Counts;
use coati_core::thread::registry::Drains;
use loom::thread;

use crate::explore::{Witness, explore};
use crate::records::{SIGNAL, drain, record, registry};

#[test]
fn exit_hands_the_ring_to_the_drain_and_the_next_thread() {
    static RECYCLED: Witness = Witness::new();
    static TOO_EARLY: Witness = Witness::new();
    explore(16_000, None, || {
        // One ring in all: the second thread gets the first one's, or none.
        let registry = Arc::new(registry(32, 1));
        let books = Counts::default();
        let mut drains = Drains::default();
        let mut got = Vec::new();

        // The first thread has its ring before the second one asks.
        let (channel, mut producer) = registry.attach().unwrap();
        let first = thread::spawn(move || {
            record(&channel, &mut producer, 1, 8);
            record(&channel, &mut producer, 2, 16);
            channel.exit();
        });
        let second = thread::spawn({
            let registry = registry.clone();
            move || {
                let Some((channel, mut producer)) = registry.attach() else { return false };
                // Behind a filler: the first thread left one word before the end.
                record(&channel, &mut producer, 3, 16);
                channel.exit();
                true
            }
        });
        for _ in 0..2 {
            drain(&mut drains, &registry, &books, |number| got.push(number));
            drains.recycle(&registry);
        }
        first.join().unwrap();
        let recycled = second.join().unwrap();
        RECYCLED.note(recycled);
        TOO_EARLY.note(!recycled);
        drain(&mut drains, &registry, &books, |number| got.push(number));
        drains.recycle(&registry);

        assert_eq!(got, if recycled { vec![1, 2, 3] } else { vec![1, 2] });
        let channels = registry.channels();
        assert_eq!(channels.len(), 1);
        assert_eq!(channels[0].counts.recorded(SIGNAL).get(), got.len() as u64);
        assert!(registry.attach().is_some(), "the ring is free in the end");
    });
    RECYCLED.require("the second thread records into the first one's ring");
    TOO_EARLY.require("the second thread comes before the ring is free");
}
