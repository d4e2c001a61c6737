//! An open file that whole lines are appended to.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long to wait for a lock. Others hold it for a write or a rename only.
const PATIENCE: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Appender {
    file: File,
    identity: Identity,
    regular: bool,
    /// About when its first line was written.
    begun: SystemTime,
}

impl Appender {
    /// Opens or creates the file and its directories, and ends a torn last line.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Reading is needed to see whether the last line is whole.
        let open = || OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                open()?
            }
            opened => opened?,
        };
        let metadata = file.metadata()?;
        let begun = match metadata.len() {
            0 => SystemTime::now(),
            _ => metadata.created().or_else(|_| metadata.modified())?,
        };
        let regular = metadata.is_file();
        let mut opened = Self { file, identity: identity(&metadata), regular, begun };
        // Without the lock somebody else is writing, so that there was no crash.
        if regular && opened.lock_exclusive() {
            opened.end_torn_line()?;
            opened.unlock();
        }
        Ok(opened)
    }

    fn end_torn_line(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() == 0 {
            return Ok(());
        }
        let mut last = [0];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut last)?;
        if last != *b"\n" { self.file.write_all(b"\n") } else { Ok(()) }
    }

    pub fn is_regular(&self) -> bool {
        self.regular
    }

    /// Time since its first line; `None` if the clock went back.
    pub fn age(&self) -> Option<Duration> {
        self.begun.elapsed().ok()
    }

    /// Notes the size: the first line is still to come while that is 0.
    pub fn saw(&mut self, size: u64) {
        if size == 0 {
            self.begun = SystemTime::now();
        }
    }

    /// The size of the file, if it is the one at `path`.
    pub fn size_at(&self, path: &Path) -> Option<u64> {
        let metadata = fs::metadata(path).ok()?;
        (identity(&metadata) == self.identity).then_some(metadata.len())
    }

    /// Locks against a rotation; goes on without it where that takes too long.
    pub fn lock_shared(&self) {
        patiently(|| self.file.try_lock_shared());
    }

    /// Locks against all writers; `false` if that takes too long.
    pub fn lock_exclusive(&self) -> bool {
        patiently(|| self.file.try_lock())
    }

    pub fn unlock(&self) {
        let _ = self.file.unlock();
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Appends all of `bytes`, or, after an error, none of it where that is possible.
    pub fn write_whole(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut done = 0;
        let mut end = None;
        while done < bytes.len() {
            let failed = match self.file.write(&bytes[done..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) if done + written == bytes.len() => return Ok(()),
                Ok(written) => {
                    done += written;
                    let now = self.file.stream_position()?;
                    // Where another process wrote in between, cutting would cut its lines.
                    let joined = end.is_none_or(|before: u64| before + written as u64 == now);
                    end = Some(now);
                    if joined {
                        continue;
                    }
                    io::Error::other("another process wrote into the midst of a line")
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    if let Some(end) = end {
                        self.cut(end, done as u64)?;
                    }
                    error
                }
            };
            return Err(failed);
        }
        Ok(())
    }

    /// Takes back the last `length` bytes before `end`, if nothing was appended after them. What
    /// cannot be taken back is ended as a torn line when the file is opened again.
    fn cut(&mut self, end: u64, length: u64) -> io::Result<()> {
        if self.regular && self.lock_exclusive() && self.file.metadata()?.len() == end {
            self.file.set_len(end - length)?;
        }
        Ok(())
    }
}

impl Drop for Appender {
    /// A forked child may hold the same open file, and then closing it would not unlock it.
    fn drop(&mut self) {
        self.unlock();
    }
}

/// Whether the lock was got, or cannot be had on this file system at all.
fn patiently(attempt: impl Fn() -> Result<(), TryLockError>) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while let Err(TryLockError::WouldBlock) = attempt() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
    true
}

/// What tells files apart.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = Option<SystemTime>;

pub(super) fn identity(metadata: &Metadata) -> Identity {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    }
    #[cfg(not(unix))]
    metadata.created().ok()
}
