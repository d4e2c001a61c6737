//! One producer and one consumer over one ring.

use coati_core::ring::{Consumer, NoRoom, Producer, Region, Storage};
use coati_core::sync::Arc;
use loom::thread;

use crate::explore::{Witness, explore};
use crate::records::{put, read};

fn ring(bytes: usize) -> (Producer, Consumer) {
    let storage = Arc::new(Storage::new(Region, bytes));
    (Producer::new(storage.clone(), 0), Consumer::new(storage))
}

/// Publishes records of `sizes` while the consumer reads; checks that what was accepted is read,
/// once, whole and in order. Returns how many were refused and how many read while the producer
/// was at work.
fn race(
    (mut producer, mut consumer): (Producer, Consumer),
    sizes: &'static [u64],
    passes: usize,
) -> (usize, usize) {
    let mut got = Vec::new();
    let writer = thread::spawn(move || {
        let mut accepted = Vec::new();
        for (number, &size) in (1..).zip(sizes) {
            match put(&mut producer, number, size) {
                Ok(()) => accepted.push(number),
                Err(reason) => assert_eq!(reason, NoRoom::Full),
            }
        }
        accepted
    });
    for _ in 0..passes {
        let until = consumer.published();
        read(&mut consumer, until, |number| got.push(number));
        consumer.release();
    }
    let early = got.len();
    let accepted = writer.join().unwrap();
    let until = consumer.published();
    read(&mut consumer, until, |number| got.push(number));
    assert!(consumer.is_empty());
    assert_eq!(got, accepted);
    (sizes.len() - accepted.len(), early)
}

#[test]
fn ring_passes_records_of_any_size() {
    static EARLY: Witness = Witness::new();
    static LATE: Witness = Witness::new();
    explore(220, None, || {
        let (refused, early) = race(ring(64), &[8, 24, 16], 2);
        assert_eq!(refused, 0);
        EARLY.note(early == 3);
        LATE.note(early == 0);
    });
    EARLY.require("all is read while the producer is at work");
    LATE.require("nothing is read before the producer is done");
}

#[test]
fn ring_wraps_around_with_a_filler() {
    static AFTER_FILLER: Witness = Witness::new();
    explore(140, None, || {
        let (mut producer, mut consumer) = ring(64);
        // Three words before the end: the next record of four goes to the beginning.
        for size in [16, 24] {
            put(&mut producer, 9, size).unwrap();
        }
        let until = consumer.published();
        read(&mut consumer, until, |_| {});
        consumer.release();
        let (refused, early) = race((producer, consumer), &[32, 8], 2);
        assert_eq!(refused, 0);
        AFTER_FILLER.note(early > 0);
    });
    AFTER_FILLER.require("the record behind the filler is read while the producer is at work");
}

#[test]
fn ring_refuses_when_full_and_takes_again() {
    static FULL: Witness = Witness::new();
    static ROOM_AGAIN: Witness = Witness::new();
    explore(14_000, None, || {
        let (refused, _) = race(ring(32), &[16, 8, 16, 8, 16], 3);
        FULL.note(refused > 0);
        ROOM_AGAIN.note(refused == 0);
    });
    FULL.require("the ring is full");
    ROOM_AGAIN.require("the consumer makes room in time for all");
}
