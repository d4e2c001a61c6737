//! The one door through which atomics, cells and locks enter this crate.
//!
//! Built with `--cfg coati_loom` the same code runs on loom's types, so that a model checks what
//! ships and not a copy of it. Built with `--cfg coati_mutant` as well, the variable `COATI_MUTANT`
//! names one mutant: the ordering that [`order!`] calls so is `Relaxed`, or the guard that
//! [`mutant!`] calls so is left out. A model or test that does not fail then checks nothing.

#[cfg(not(coati_loom))]
mod imp {
    pub use std::sync::{Arc, Mutex, MutexGuard};

    /// Atomic types and fences.
    pub mod atomic {
        pub use std::sync::atomic::{
            AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
            Ordering, fence,
        };
    }

    /// `std::cell::UnsafeCell` with loom's closure interface.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// Wraps `value`.
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Calls `f` with a pointer that may be read through.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls `f` with a pointer that may be written through.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// One turn of a spin loop.
    #[inline(always)]
    pub fn spin_loop() {
        std::hint::spin_loop();
    }

    /// Whether [`add_at_once`] is one instruction.
    pub const AT_ONCE: bool = cfg!(target_arch = "x86_64");

    /// Adds to `cell`, of which the calling thread is the only writer, as a Relaxed load and store
    /// would. Where [`AT_ONCE`] says so, no signal handler of that thread comes between the two.
    #[inline(always)]
    pub fn add_at_once(cell: &atomic::AtomicU64, amount: u64) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: adds to the eight bytes of the cell, which are aligned: readers see the sum
        // before or after.
        unsafe {
            std::arch::asm!(
                "add qword ptr [{cell}], {amount}",
                cell = in(reg) cell.as_ptr(),
                amount = in(reg) amount,
                options(nostack),
            );
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        cell.store(own(cell).wrapping_add(amount), atomic::Ordering::Relaxed);
    }

    /// What the only writer of `cell` stored last; for that writer alone.
    #[inline(always)]
    pub fn own(cell: &atomic::AtomicU64) -> u64 {
        // Relaxed: a thread sees its own stores, and earlier owners' through the handover.
        cell.load(atomic::Ordering::Relaxed)
    }
}

#[cfg(coati_loom)]
mod imp {
    pub use loom::cell::UnsafeCell;
    pub use loom::sync::{Arc, Mutex, MutexGuard};

    /// Atomic types and fences.
    pub mod atomic {
        pub use loom::sync::atomic::{
            AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
            Ordering, fence,
        };
    }

    /// One turn of a spin loop: under loom the other threads must get their turn.
    pub fn spin_loop() {
        loom::thread::yield_now();
    }

    /// What the only writer of `cell` stored last. Not an atomic load: loom remembers one last
    /// access of each location, and this one would hide a reader's. It fails the model if another
    /// thread's store does not happen before it.
    pub fn own(cell: &atomic::AtomicU64) -> u64 {
        // SAFETY: loom checks that nobody stores meanwhile.
        unsafe { cell.unsync_load() }
    }
}

pub use imp::*;

/// Whether this is the mutant of this name; never in a build without mutants.
macro_rules! mutant {
    ($name:literal) => {
        cfg!(coati_mutant) && $crate::sync::is_mutant($name)
    };
}
pub(crate) use mutant;

/// An ordering that a model checks: `Relaxed` in the mutant of this name.
macro_rules! order {
    ($ordering:ident, $name:literal) => {
        if $crate::sync::mutant!($name) {
            $crate::sync::atomic::Ordering::Relaxed
        } else {
            $crate::sync::atomic::Ordering::$ordering
        }
    };
}
pub(crate) use order;

/// Whether the environment asks for the mutant of this name.
pub(crate) fn is_mutant(name: &str) -> bool {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    NAME.get_or_init(|| std::env::var("COATI_MUTANT").unwrap_or_default()) == name
}

/// Locks `mutex`; a panic of an earlier holder does not poison observability.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
