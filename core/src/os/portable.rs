//! Fall-backs for systems without Unix calls: heap memory, the standard library's clocks, no fork.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A page-aligned, zero-filled block of memory; freed on drop.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: plain memory; who may touch it when is decided by the ring that owns it.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` only hands out a raw pointer.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Allocates `len` bytes.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(len.max(1), 4096)
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, layout })
    }

    /// File-backed rings need shared mappings, which this fall-back does not have.
    pub fn file(_path: &Path, _len: usize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.layout.size()
    }

    /// Whether the block is empty; never.
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: allocated in `anonymous` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// Nanoseconds since the first call.
pub fn monotonic_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Wall time in nanoseconds since the Unix epoch.
pub fn realtime_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// There is no fork here.
pub fn at_fork_child(_child: extern "C" fn()) {}

/// Fills `bytes` with randomness.
pub fn random(bytes: &mut [u8]) {
    super::fallback_random(bytes);
}
