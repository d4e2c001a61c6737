//! A thread ends while the drain looks: its ring is emptied, recycled, and nothing is lost.

use std::sync::Arc;

use coati_core::ledger::{Counts, Reason};
use coati_core::thread::registry::Drains;
use loom::thread;

use crate::explore::{Witness, explore};
use crate::records::{SIGNAL, drain, record, registry};

#[test]
fn exit_hands_the_ring_to_the_drain_and_the_next_thread() {
    static RECYCLED: Witness = Witness::new();
    static TOO_EARLY: Witness = Witness::new();
    static FULL: Witness = Witness::new();
    explore(1_000, Some(3), || {
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

        let channels = registry.channels();
        assert_eq!(channels.len(), 1);
        // A ring that is taken over before it is emptied may be too full for the third record.
        let counts = &channels[0].counts;
        let lost = counts.dropped(SIGNAL, Reason::RingFull).get();
        FULL.note(lost > 0);
        assert_eq!(got, if recycled && lost == 0 { vec![1, 2, 3] } else { vec![1, 2] });
        assert_eq!(counts.recorded(SIGNAL).get(), got.len() as u64 + lost);
        assert!(registry.attach().is_some(), "the ring is free in the end");
        assert!(registry.attach().is_none(), "and free once");
    });
    RECYCLED.require("the second thread records into the first one's ring");
    TOO_EARLY.require("the second thread comes before the first one has gone");
    FULL.require("the ring is taken over before it is emptied");
}

#[test]
fn exit_hands_the_ring_to_a_thread_that_does_not_wait_for_the_drain() {
    static TAKEN_OVER: Witness = Witness::new();
    explore(8, None, || {
        let registry = Arc::new(registry(64, 1));
        let (channel, mut producer) = registry.attach().unwrap();
        let first = thread::spawn(move || {
            record(&channel, &mut producer, 1, 16);
            channel.exit();
        });
        let taken_over = registry.attach().is_some_and(|(channel, mut producer)| {
            record(&channel, &mut producer, 2, 16);
            channel.exit();
            true
        });
        TAKEN_OVER.note(taken_over);
        first.join().unwrap();

        let (books, mut drains, mut got) = (Counts::default(), Drains::default(), Vec::new());
        drain(&mut drains, &registry, &books, |number| got.push(number));
        drains.recycle(&registry);
        assert_eq!(got, if taken_over { vec![1, 2] } else { vec![1] });
        assert_eq!(registry.channels()[0].counts.recorded(SIGNAL).get(), got.len() as u64);
    });
    TAKEN_OVER.require("the ring is taken over with the first thread's record in it");
}
