//! Threads come while the drain is at work.

use std::sync::Arc;

use coati_core::ledger::Counts;
use coati_core::thread::registry::Drains;
use loom::thread;

use crate::explore::{Witness, explore};
use crate::records::{SIGNAL, drain, record, registry};

#[test]
fn growth_of_the_registry_is_seen_by_the_drain() {
    static BOTH: Witness = Witness::new();
    static NEITHER: Witness = Witness::new();
    explore(1_000, Some(3), || {
        let registry = Arc::new(registry(32, 2));
        let books = Counts::default();
        let mut drains = Drains::default();
        let mut got = Vec::new();

        let threads = [1, 2].map(|number| {
            let registry = registry.clone();
            thread::spawn(move || {
                let (channel, mut producer) = registry.attach().unwrap();
                record(&channel, &mut producer, number, 16);
                channel.exit();
            })
        });
        for _ in 0..2 {
            drain(&mut drains, &registry, &books, |number| got.push(number));
        }
        BOTH.note(got.len() == 2);
        NEITHER.note(got.is_empty());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drain(&mut drains, &registry, &books, |number| got.push(number));
        drains.recycle(&registry);

        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        assert_eq!(books.taken(SIGNAL).get(), 2);
        assert!(registry.attach().is_some() && registry.attach().is_some());
        assert!(registry.attach().is_none(), "the total holds");
    });
    BOTH.require("both are drained before either thread is joined");
    NEITHER.require("the drain comes before both");
}
