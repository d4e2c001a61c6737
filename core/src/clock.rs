//! The clock of the hot path: raw ticks now, wall time later.
//!
//! With an invariant time-stamp counter a tick is one TSC cycle, read without a system call and
//! without serialising the pipeline; elsewhere a tick is a nanosecond of the operating system's
//! monotonic clock. The drain thread turns ticks into wall time ([`Timeline`]).

mod timeline;
pub use timeline::Timeline;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::os;

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod tsc {
    use std::sync::atomic::{AtomicU8, Ordering};

    const UNKNOWN: u8 = 0;
    const USABLE: u8 = 1;
    const UNUSABLE: u8 = 2;
    static STATE: AtomicU8 = AtomicU8::new(UNKNOWN);

    #[inline(always)]
    pub fn usable() -> bool {
        // Relaxed: the answer is a property of the machine; every thread finds the same one.
        match STATE.load(Ordering::Relaxed) {
            USABLE => true,
            UNUSABLE => false,
            _ => detect(),
        }
    }

    #[cold]
    fn detect() -> bool {
        // Leaf 0x8000_0007, EDX bit 8: the counter runs at one rate in every power state.
        let highest = std::arch::x86_64::__cpuid(0x8000_0000).eax;
        let invariant =
            highest >= 0x8000_0007 && std::arch::x86_64::__cpuid(0x8000_0007).edx & (1 << 8) != 0;
        STATE.store(if invariant { USABLE } else { UNUSABLE }, Ordering::Relaxed);
        invariant
    }

    #[inline(always)]
    pub fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction.
        unsafe { std::arch::x86_64::_rdtsc() }
    }
}

/// The current tick.
#[inline(always)]
pub fn now() -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if tsc::usable() {
        return tsc::read();
    }
    os::monotonic_ns()
}

/// What a tick is: `"tsc"` or `"os"`.
pub fn source() -> &'static str {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if tsc::usable() {
        return "tsc";
    }
    "os"
}

/// How many ticks a second has; measured at the first call, which takes a millisecond.
pub fn per_second() -> f64 {
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    // Relaxed: the number alone; two threads may both measure it.
    let known = f64::from_bits(KNOWN.load(Ordering::Relaxed));
    if known > 0.0 {
        return known;
    }
    let measured = 1e9 / Timeline::start().ns_per_tick();
    KNOWN.store(measured.to_bits(), Ordering::Relaxed);
    measured
}
