//! Something looked up once per pipeline and found by one load afterwards.

use std::sync::atomic::{AtomicPtr, Ordering};

use crate::sync::mutant;

/// The latest value and, until the place is dropped, the ones of earlier pipelines: another thread
/// may still be using them, and there is but one per restart or fork.
pub(crate) struct PerPipeline<T>(AtomicPtr<Node<T>>);

struct Node<T> {
    pipeline: u64,
    value: T,
    earlier: *mut Node<T>,
}

impl<T> std::fmt::Debug for PerPipeline<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PerPipeline")
    }
}

impl<T> PerPipeline<T> {
    /// Nothing looked up yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// What was looked up in the pipeline with this key.
    #[inline(always)]
    pub(crate) fn get(&self, pipeline: u64) -> Option<&T> {
        // Acquire: pairs with the Release in `put`.
        // SAFETY: null, or a node that lives until `drop`, which borrows exclusively.
        let node = unsafe { self.0.load(Ordering::Acquire).as_ref() }?;
        (node.pipeline == pipeline || mutant!("restart_key")).then_some(&node.value)
    }

    /// Keeps `value` as what was found in the pipeline with this key.
    pub(crate) fn put(&self, pipeline: u64, value: T) -> &T {
        let mut earlier = self.0.load(Ordering::Acquire);
        let node = Box::into_raw(Box::new(Node { pipeline, value, earlier }));
        loop {
            // Release: publishes the node's fields.
            match self.0.compare_exchange(earlier, node, Ordering::AcqRel, Ordering::Acquire) {
                // SAFETY: published, and freed only in `drop`.
                Ok(_) => return unsafe { &(*node).value },
                Err(other) => earlier = other,
            }
            // SAFETY: not published yet, so this thread alone has it.
            unsafe { (*node).earlier = earlier };
        }
    }
}

// SAFETY: an owned list of nodes; sending it sends its values.
unsafe impl<T: Send> Send for PerPipeline<T> {}
// SAFETY: the list only grows, by compare-and-swap; sharing it shares and (through `put`) sends
// values.
unsafe impl<T: Send + Sync> Sync for PerPipeline<T> {}

impl<T> Drop for PerPipeline<T> {
    fn drop(&mut self) {
        let mut next = *self.0.get_mut();
        while !next.is_null() {
            // SAFETY: made by `Box::into_raw` in `put`; nobody else can reach it any more.
            let node = unsafe { Box::from_raw(next) };
            next = node.earlier;
        }
    }
}
