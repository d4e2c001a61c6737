//! Rings in files, so that a process's last records outlive `kill -9`.
//!
//! Each process has a directory `<pid>-<nanoseconds>` (a process id is used again) with a file per
//! ring and one of definitions: the texts of interned ids, without which a ring does not decode. It
//! is removed at a shutdown that left nothing in flight, and stays after any other end.
//! All of it is raw, unredacted data for the owner's eyes only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use coati_core::intern::{self, Defining, DefinitionSink, Id};
use coati_core::record::write::definition;
use coati_core::ring::Region;

use crate::health::Health;

/// The files of one process's rings.
#[derive(Debug)]
pub struct RingFiles {
    /// None when it could not be made: rings are then in memory.
    directory: Option<PathBuf>,
    /// None once no more is recorded.
    definitions: Mutex<Option<Defining>>,
    next: AtomicU32,
    health: Arc<Health>,
}

impl RingFiles {
    /// A new directory under `parent`; a problem in health when that cannot be had.
    pub fn under(parent: &Path, health: &Arc<Health>) -> Arc<Self> {
        let prepared = prepare(parent).map_err(|error| {
            health.problem("durability", &format!("{}: {error}", parent.display()), 0);
        });
        let (directory, definitions) = prepared.ok().unzip();
        let (definitions, next) = (Mutex::new(definitions), AtomicU32::new(0));
        Arc::new(Self { directory, definitions, next, health: health.clone() })
    }

    /// Memory for one ring, in a file of its own.
    ///
    /// # Errors
    /// If there is no memory either.
    pub fn region(&self, capacity: usize) -> io::Result<Region> {
        let Some(directory) = &self.directory else { return Region::anonymous(capacity) };
        // Relaxed: only uniqueness matters.
        let name = format!("{:06}.ring", self.next.fetch_add(1, Ordering::Relaxed));
        Region::file(&directory.join(name), capacity).or_else(|error| {
            self.health.problem("durability", &format!("{}: {error}", directory.display()), 0);
            Region::anonymous(capacity)
        })
    }

    /// Lets go of the file of definitions: no record will need another.
    pub fn close(&self) {
        self.definitions.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Removes the files, which hold nothing that is not in a sink.
    pub fn remove(&self) {
        if let Some(directory) = &self.directory
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            self.health.problem("durability", &format!("{}: {error}", directory.display()), 0);
        }
    }
}

fn prepare(parent: &Path) -> io::Result<(PathBuf, Defining)> {
    private_directory(parent)?;
    let name = format!("{}-{}", std::process::id(), coati_core::os::realtime_ns());
    let directory = parent.join(name);
    private_directory(&directory)?;
    let mut options = OpenOptions::new();
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(directory.join("definitions"))?;
    Ok((directory, intern::define_into(Box::new(Definitions(file)))))
}

/// Creates `path` for this user alone, or checks that it is so.
fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::symlink_metadata(path)?;
        // SAFETY: geteuid has no preconditions and cannot fail.
        let owned = metadata.uid() == unsafe { libc::geteuid() };
        if !metadata.is_dir() || !owned || metadata.mode() & 0o077 != 0 {
            return Err(io::Error::other("not a directory that this user alone can use (0700)"));
        }
    }
    Ok(())
}

/// One record per definition, appended by one write, which the page cache keeps when the process
/// is killed.
struct Definitions(File);

impl DefinitionSink for Definitions {
    fn define(&self, id: Id, text: &str) {
        // A full disk loses a name: records then decode with its number instead.
        let _ = (&self.0).write_all(&definition(id, text));
    }
}
