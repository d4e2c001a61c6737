//! Shutdown while others record: recorded = delivered + dropped, exactly.

use std::sync::Arc;

use coati_core::ledger::{Counts, Reason, account};
use coati_core::sync::atomic::{AtomicBool, Ordering};
use coati_core::thread::registry::Drains;
use loom::thread;

use crate::explore::{Witness, explore};
use crate::records::{SIGNAL, drain, record, registry};

#[test]
fn shutdown_sweeps_what_came_after_the_last_drain() {
    static DELIVERED: Witness = Witness::new();
    static STOPPED: Witness = Witness::new();
    static SWEPT_LATE: Witness = Witness::new();
    explore(80_000, None, || {
        let registry = Arc::new(registry(64, 2));
        let books = Counts::default();
        let mut drains = Drains::default();
        // As the hub's key: callers look at it with no ordering.
        let on = Arc::new(AtomicBool::new(true));

        let recorder = thread::spawn({
            let (registry, on) = (registry.clone(), on.clone());
            move || {
                if !on.load(Ordering::Relaxed) {
                    return;
                }
                let (channel, mut producer) = registry.attach().unwrap();
                record(&channel, &mut producer, 1, 8);
                if on.load(Ordering::Relaxed) {
                    record(&channel, &mut producer, 2, 16);
                }
                channel.exit();
            }
        });
        let balance = |books: &Counts| {
            let channels = registry.channels();
            let all = channels.iter().map(|channel| &channel.counts).chain([books]);
            account(all, SIGNAL)
        };
        let sweep = |drains: &mut Drains| drains.sweep(&registry, &books, |_| Some(SIGNAL));

        on.store(false, Ordering::Release);
        drain(&mut drains, &registry, &books, |_| {});
        sweep(&mut drains);
        let early = balance(&books);
        assert!(early.delivered + early.dropped_total() <= early.recorded, "{early:?}");
        recorder.join().unwrap();
        sweep(&mut drains);
        let end = balance(&books);
        assert_eq!(end.recorded, end.delivered + end.dropped_total(), "{end:?}");
        assert_eq!(end.in_flight, 0);
        assert_eq!(end.dropped_total(), books.dropped(SIGNAL, Reason::Stopped).get());

        DELIVERED.note(end.recorded > 0 && end.delivered == end.recorded);
        STOPPED.note(early.dropped_total() > 0);
        SWEPT_LATE.note(end.dropped_total() > early.dropped_total());
    });
    DELIVERED.require("all that was recorded is delivered");
    STOPPED.require("a record is swept while its thread goes on");
    SWEPT_LATE.require("a record is published after the first sweep");
}
