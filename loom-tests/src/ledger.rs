//! The books, read while others write them.

use std::sync::Arc;

use coati_core::ledger::{Account, Counts, Reason, account};
use coati_core::thread::registry::Drains;
use loom::thread;

use crate::explore::{Witness, explore};
use crate::records::{SIGNAL, drain, record, registry};

fn settled(account: &Account) -> u64 {
    account.delivered + account.dropped_total()
}

/// What holds at any moment, and from one moment to the next.
fn check(before: &Account, now: &Account) {
    assert!(settled(now) <= now.recorded, "settled before it was recorded: {now:?}");
    assert!(now.in_flight <= now.recorded, "in flight before it was recorded: {now:?}");
    assert!(before.recorded <= now.recorded && settled(before) <= settled(now), "went back");
}

#[test]
fn ledger_never_settles_more_than_was_recorded() {
    static BETWEEN: Witness = Witness::new();
    static SETTLED: Witness = Witness::new();
    explore(70_000, None, || {
        let registry = Arc::new(registry(32, 1));
        let books = Arc::new(Counts::default());
        let (channel, mut producer) = registry.attach().unwrap();
        let counts = channel.clone();

        let recorder = thread::spawn(move || record(&channel, &mut producer, 1, 16));
        let drainer = {
            let (registry, books) = (registry.clone(), books.clone());
            thread::spawn(move || drain(&mut Drains::default(), &registry, &books, |_| {}))
        };
        let all = [&counts.counts, &books];
        let first = account(all.into_iter(), SIGNAL);
        let second = account(all.into_iter(), SIGNAL);
        check(&Account::default(), &first);
        check(&first, &second);
        BETWEEN.note(second.recorded == 1 && settled(&second) == 0);
        SETTLED.note(settled(&second) == 1);
        recorder.join().unwrap();
        drainer.join().unwrap();
    });
    BETWEEN.require("a record is seen between recording and delivery");
    SETTLED.require("a delivery is seen");
}

#[test]
fn ledger_counts_a_record_as_published_before_it_is_taken() {
    static TAKEN: Witness = Witness::new();
    explore(70, None, || {
        let registry = Arc::new(registry(32, 1));
        let books = Counts::default();
        let (channel, mut producer) = registry.attach().unwrap();
        let counts = channel.clone();
        let recorder = thread::spawn(move || record(&channel, &mut producer, 1, 16));
        drain(&mut Drains::default(), &registry, &books, |_| {});
        let taken = books.taken(SIGNAL).get();
        assert!(taken <= counts.counts.published(SIGNAL).get(), "taken and not published");
        TAKEN.note(taken == 1);
        recorder.join().unwrap();
    });
    TAKEN.require("the record is taken while its thread is at work");
}

#[test]
fn ledger_counts_losses_of_threads_without_a_ring() {
    static SOME: Witness = Witness::new();
    explore(1400, None, || {
        let books = Arc::new(Counts::default());
        let threads = [(); 2].map(|()| {
            let books = books.clone();
            thread::spawn(move || {
                books.recorded(SIGNAL).add_shared(1);
                books.dropped(SIGNAL, Reason::NoRing).add_shared(1);
            })
        });
        let seen = account([&*books].into_iter(), SIGNAL);
        check(&Account::default(), &seen);
        SOME.note(settled(&seen) == 1);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let end = account([&*books].into_iter(), SIGNAL);
        assert_eq!((end.recorded, end.dropped_total()), (2, 2));
    });
    SOME.require("one of two losses is seen");
}
