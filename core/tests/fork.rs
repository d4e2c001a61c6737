//! What a forked child finds in place of its parent's pipeline.
#![cfg(all(unix, not(miri)))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use coati_core::hub::Hub;
use coati_core::instrument::Instrument;
use coati_core::log::Logger;
use coati_core::metrics::{Descriptor, Kind, Number};
use coati_core::pipeline::{Pipeline, PipelineConfig};
use coati_core::record::Level;

/// Whether `work` succeeds in a forked child.
fn succeeds_in_child(work: impl FnOnce()) -> bool {
    // SAFETY: the child leaves by `_exit`, without unwinding into the test harness.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let outcome = catch_unwind(AssertUnwindSafe(work));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(outcome.is_err())) };
    }
    let mut status = 0;
    // SAFETY: a child of this process and a valid place for its status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

fn pipeline(hub: &Hub) -> Arc<Pipeline> {
    Pipeline::new(PipelineConfig::default(), hub.live().clone())
}

#[test]
fn a_childs_first_record_goes_into_a_pipeline_of_its_own() {
    let hub = Hub::new();
    let parents = pipeline(&hub);
    hub.install(parents.clone());
    let of_child = Arc::downgrade(&hub);
    hub.on_fork(Box::new(move || Some(pipeline(&*of_child.upgrade()?))));
    let logger = Logger::new(hub.clone(), "fork");
    logger.log(Level::Info, "of the parent", &[]);

    assert!(succeeds_in_child(|| {
        assert!(hub.is_inherited());
        logger.log(Level::Info, "of the child", &[]);
        let own = hub.pipeline().unwrap();
        assert!(!hub.is_inherited() && !Arc::ptr_eq(&own, &parents));
        assert_eq!((own.ledger().logs.recorded, parents.ledger().logs.recorded), (1, 1));
        // And so does a child's child.
        assert!(succeeds_in_child(|| {
            logger.log(Level::Info, "of the grandchild", &[]);
            let its = hub.pipeline().unwrap();
            assert!(!Arc::ptr_eq(&its, &own));
            assert_eq!((its.ledger().logs.recorded, own.ledger().logs.recorded), (1, 1));
        }));
    }));
    assert_eq!(parents.ledger().logs.recorded, 1);
    assert!(Arc::ptr_eq(&hub.pipeline().unwrap(), &parents));
}

#[test]
fn a_childs_bound_handle_counts_in_a_pipeline_of_its_own() {
    let hub = Hub::new();
    hub.install(pipeline(&hub));
    let of_child = Arc::downgrade(&hub);
    hub.on_fork(Box::new(move || Some(pipeline(&*of_child.upgrade()?))));
    let runs = Descriptor::new("runs", Kind::Counter, "1", "");
    let bound = Instrument::new(hub.clone(), runs).unwrap().bind(&[]);
    // The second call finds the thread's cell.
    (0..2).for_each(|_| bound.add_int(1));

    assert!(succeeds_in_child(|| {
        (0..3).for_each(|_| bound.add_int(1));
        assert_eq!(bound.series().unwrap().value(), Number::Int(3));
    }));
    assert_eq!(bound.series().unwrap().value(), Number::Int(2));
}
