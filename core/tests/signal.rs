//! A signal handler that measures while its thread does.
#![cfg(all(target_os = "linux", target_arch = "x86_64", not(miri)))]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use coati_core::hub::Hub;
use coati_core::instrument::{Bound, Instrument};
use coati_core::metrics::{Descriptor, Kind, Number};
use coati_core::pipeline::{Pipeline, PipelineConfig};

static COUNTER: OnceLock<Bound> = OnceLock::new();
static HANDLED: AtomicI64 = AtomicI64::new(0);

extern "C" fn handler(_signal: libc::c_int) {
    COUNTER.get().unwrap().add_int(1);
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_signal_handler_between_two_additions_loses_none() {
    let hub = Hub::new();
    hub.install(Pipeline::new(PipelineConfig::default(), hub.live().clone()));
    let runs = Descriptor::new("runs", Kind::Counter, "1", "");
    let counter = Instrument::new(hub.clone(), runs).unwrap().bind(&[]);
    // From here on the thread knows its cell.
    counter.add_int(1);
    let counter = COUNTER.get_or_init(|| counter);
    // SAFETY: the handler calls nothing that a handler must not.
    unsafe { libc::signal(libc::SIGUSR1, handler as *const () as libc::sighandler_t) };
    // SAFETY: always succeeds.
    let this = unsafe { libc::pthread_self() };
    let done = AtomicBool::new(false);
    let mut added = 1;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while HANDLED.load(Ordering::Relaxed) < 50 {
                // SAFETY: the thread lives on until this one has ended.
                unsafe { libc::pthread_kill(this, libc::SIGUSR1) };
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            (0..100).for_each(|_| counter.add_int(1));
            added += 100;
        }
    });
    let all = Number::Int(added + HANDLED.load(Ordering::Relaxed));
    assert_eq!(counter.series().unwrap().value(), all);
}
