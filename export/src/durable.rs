//! Rings in files, so that a process's last records outlive `kill -9`.
//!
//! Each process has a directory `<pid>-<nanoseconds>` (a process id is used again) with a file per
//! ring and one of definitions: the texts of interned ids, without which a ring does not decode.
//! All of it is raw, unredacted data for the owner's eyes only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use coati_core::intern::{self, DefinitionSink, Id};
use coati_core::ring::Region;
use coati_core::thread::registry::MakeRegion;

use crate::health::Health;

/// Makes rings in a new directory under `parent`; in memory, with a problem in health, while that
/// cannot be done.
pub fn regions(parent: PathBuf, health: Arc<Health>) -> MakeRegion {
    let directory = prepare(&parent).map_err(|error| {
        health.problem("durability", &format!("{}: {error}", parent.display()), 0);
    });
    let next = AtomicU32::new(0);
    Box::new(move |capacity| {
        let Ok(directory) = &directory else { return Region::anonymous(capacity) };
        // Relaxed: only uniqueness matters.
        let name = format!("{:06}.ring", next.fetch_add(1, Ordering::Relaxed));
        Region::file(&directory.join(name), capacity).or_else(|error| {
            health.problem("durability", &format!("{}: {error}", directory.display()), 0);
            Region::anonymous(capacity)
        })
    })
}

fn prepare(parent: &Path) -> io::Result<PathBuf> {
    private_directory(parent)?;
    let name = format!("{}-{}", std::process::id(), coati_core::os::realtime_ns());
    let directory = parent.join(name);
    private_directory(&directory)?;
    let mut options = OpenOptions::new();
    options.append(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(directory.join("definitions"))?;
    intern::define_into(Box::new(Definitions(file)));
    Ok(directory)
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

/// One line per definition: the id, a space, the text as a JSON string. Each is one write, which
/// the page cache keeps when the process is killed.
struct Definitions(File);

impl DefinitionSink for Definitions {
    fn define(&self, id: Id, text: &str) {
        let line = format!("{} {}\n", id.0, serde_json::Value::from(text));
        // A full disk loses a name: the record then decodes with its number instead.
        let _ = (&self.0).write_all(line.as_bytes());
    }
}
