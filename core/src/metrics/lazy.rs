//! A pointer that is null until somebody needs what it points to.

use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::{mutant, order};
use std::marker::PhantomData;

/// An owned, lazily made `T`; never moved or freed before the `Lazy` itself is dropped.
pub(super) struct Lazy<T> {
    pointer: AtomicPtr<T>,
    owns: PhantomData<Box<T>>,
}

impl<T> Lazy<T> {
    pub(super) fn new() -> Self {
        Self { pointer: AtomicPtr::new(std::ptr::null_mut()), owns: PhantomData }
    }

    /// What is there, if anything.
    #[inline(always)]
    pub(super) fn get(&self) -> Option<&T> {
        // Acquire pairs with the Release in `get_or_make`: the contents are seen initialised.
        let pointer = self.pointer.load(order!(Acquire, "metrics_page_get"));
        // SAFETY: non-null means `get_or_make` put a leaked box there, freed only by `drop`.
        unsafe { pointer.as_ref() }
    }

    /// What is there, or what `make` gives; `None` only when `make` refuses.
    ///
    /// One thread alone makes most of these, yet the exchange keeps misuse from two threads sound.
    pub(super) fn get_or_make(&self, make: impl FnOnce() -> Option<Box<T>>) -> Option<&T> {
        if let Some(there) = self.get() {
            return Some(there);
        }
        let made = Box::into_raw(make()?);
        // Release publishes the contents to `get`; on failure Acquire takes the winner's.
        let winner = match self.pointer.compare_exchange(
            std::ptr::null_mut(),
            made,
            order!(Release, "metrics_page_make"),
            order!(Acquire, "metrics_page_lost"),
        ) {
            Ok(_) => made,
            Err(_) if mutant!("metrics_page_twice") => made,
            Err(other) => {
                // SAFETY: `made` came from `into_raw` above and was never shared.
                drop(unsafe { Box::from_raw(made) });
                other
            }
        };
        // SAFETY: a published box, freed only by `drop`.
        unsafe { winner.as_ref() }
    }
}

impl<T> Default for Lazy<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Lazy<T> {
    fn drop(&mut self) {
        // Relaxed: `&mut self` already orders this after every other access.
        let pointer = self.pointer.load(Ordering::Relaxed);
        if !pointer.is_null() {
            // SAFETY: a leaked box of ours, and nobody borrows from `self` any more.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
