//! Folders of spool files: one for each process, held by a lock, so that another process takes
//! over what a dead one has left and touches nothing of a living one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// This process's folder. Dropping it lets go of the lock.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lock: File,
    owner: u32,
}

const LOCK: &str = "lock";
const CORRUPT: &str = "corrupt";
/// Corrupt files beyond this many go, oldest first.
const KEPT_CORRUPT: usize = 64;

impl Folder {
    /// A folder of one's own under `root`, with what dead processes have left there.
    pub fn open(root: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        private(root)?;
        let now = coati_core::os::realtime_ns();
        // Relaxed: only uniqueness matters.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let owner = std::process::id();
        let path = root.join(format!("{owner}-{now}-{number}"));
        private(&path)?;
        let lock = lock_file(&path)?;
        lock.try_lock().map_err(io::Error::from)?;
        let folder = Self { path, lock, owner };
        folder.adopt(root);
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes over what is in folders whose lock nobody holds.
    fn adopt(&self, root: &Path) {
        for other in entries(root).filter(|path| path.is_dir() && *path != self.path) {
            if other.file_name().is_some_and(|name| name == CORRUPT) {
                continue;
            }
            let Ok(lock) = lock_file(&other) else { continue };
            if lock.try_lock().is_err() {
                continue;
            }
            for file in entries(&other).filter(|path| is_spooled(path)) {
                if let Some(name) = file.file_name() {
                    let _ = fs::rename(&file, self.path.join(name));
                }
            }
            // One that still holds something is left for the next time.
            if !entries(&other).any(|path| is_spooled(&path)) {
                let _ = fs::remove_dir_all(&other);
            }
        }
    }

    /// The spool files in it, oldest first.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = entries(&self.path).filter(|path| is_spooled(path)).collect();
        files.sort();
        files
    }

    /// Puts a file that cannot be read where nobody tries again.
    pub fn set_aside(&self, file: &Path) -> io::Result<()> {
        let root = self.path.parent().unwrap_or(&self.path);
        let corrupt = root.join(CORRUPT);
        private(&corrupt)?;
        let mut kept: Vec<_> = entries(&corrupt).collect();
        kept.sort();
        for old in kept.iter().rev().skip(KEPT_CORRUPT - 1) {
            let _ = fs::remove_file(old);
        }
        fs::rename(file, corrupt.join(file.file_name().unwrap_or_default()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            return;
        }
        if self.files().is_empty() {
            let _ = fs::remove_dir_all(&self.path);
        }
        // A forked child may hold the same open file, and then closing it would not unlock it.
        let _ = self.lock.unlock();
    }
}

fn entries(path: &Path) -> impl Iterator<Item = PathBuf> {
    let all = fs::read_dir(path).into_iter().flatten();
    all.filter_map(|entry| Some(entry.ok()?.path()))
}

fn is_spooled(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "otlp")
}

fn lock_file(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(folder.join(LOCK))
}

/// Creates `path` for this user alone.
fn private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
