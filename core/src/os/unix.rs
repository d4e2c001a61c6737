//! Unix: `mmap`, `clock_gettime`, `pthread_atfork`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;

/// A page-aligned, zero-filled mapping; unmapped on drop.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory that any thread may read, write or unmap; who may do so when
// is decided by the ring that owns it.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` only hands out a raw pointer.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes that belong to this process alone.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        Self::map(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    /// Maps a new owner-only file of `len` bytes. Its blocks are allocated first: a write into a
    /// sparse mapping on a full disk would kill the process with SIGBUS.
    pub fn file(path: &Path, len: usize) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        allocate_blocks(&file, len)?;
        Self::map(len, libc::MAP_SHARED, file.as_raw_fd())
    }

    fn map(len: usize, flags: i32, fd: i32) -> io::Result<Self> {
        // SAFETY: a null hint lets the kernel choose a free range, so nothing is overwritten.
        let base = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    /// The first byte.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the mapping is empty; never, as a mapping has at least one page.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are what `mmap` returned, and the owner is gone.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(target_os = "linux")]
fn allocate_blocks(file: &File, len: usize) -> io::Result<()> {
    // SAFETY: the descriptor is open for writing during the call.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len as libc::off_t) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate_blocks(mut file: &File, len: usize) -> io::Result<()> {
    use std::io::Write;
    let zeros = [0u8; 4096];
    let mut left = len;
    while left > 0 {
        let n = left.min(zeros.len());
        file.write_all(&zeros[..n])?;
        left -= n;
    }
    file.sync_all()
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// The operating system's monotonic clock, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Wall time in nanoseconds since the Unix epoch.
pub fn realtime_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}

/// Registers `child` to run in the child of every later `fork`.
pub fn at_fork_child(child: extern "C" fn()) {
    // Miri has neither `fork` nor this.
    if cfg!(miri) {
        return;
    }
    // SAFETY: the handler only stores to an atomic and to a const-initialised thread-local, which
    // is allowed between fork and exec.
    unsafe { libc::pthread_atfork(None, None, Some(child)) };
}

/// Fills `bytes` with randomness of the operating system.
pub fn random(bytes: &mut [u8]) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut filled = 0;
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            // SAFETY: pointer and length describe `rest`.
            let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
            if n > 0 {
                filled += n as usize;
            } else if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return super::fallback_random(&mut bytes[filled..]);
            }
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        use std::io::Read;
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes));
        if read.is_err() {
            super::fallback_random(bytes);
        }
    }
}
