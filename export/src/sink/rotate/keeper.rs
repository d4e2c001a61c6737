//! Compresses closed files and deletes old ones, on a thread of its own.
//!
//! It finds its work by looking into the directory, so that what one process leaves undone the
//! next one does.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::RotateConfig;
use super::append::identity;
use super::names::{Forms, GZIP, Names, UNFINISHED, with};

/// How often files are looked at for their age alone.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How long whoever closes the file waits for work under way. The rest is for the next process.
const PATIENCE: Duration = Duration::from_secs(1);
const DAY: u64 = 86_400;

#[derive(Debug)]
pub(super) struct Keeper(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    names: Names,
    keep: Option<usize>,
    oldest: Option<Duration>,
    gzip: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Rounds asked for and rounds done.
    asked: u64,
    done: u64,
    running: bool,
    stopping: bool,
    problem: Option<String>,
}

impl Keeper {
    pub fn new(config: &RotateConfig, names: Names) -> Self {
        let idle = !config.gzip && config.keep.is_none() && config.keep_days.is_none();
        let shared = || Shared {
            names,
            keep: config.keep,
            oldest: config.keep_days.map(|days| Duration::from_secs(days.saturating_mul(DAY))),
            gzip: config.gzip,
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        Self((!idle).then(|| Arc::new(shared())))
    }

    /// Asks for a round and returns.
    pub fn tidy(&self) {
        let Some(shared) = &self.0 else { return };
        let mut state = shared.lock();
        state.asked += 1;
        if !state.running {
            let ours = shared.clone();
            let thread = thread::Builder::new().name("coati-rotate".into());
            match thread.spawn(move || ours.run()) {
                Ok(_) => state.running = true,
                Err(error) => state.problem = Some(format!("no thread for closed files: {error}")),
            }
        }
        shared.changed.notify_all();
    }

    pub fn take_problem(&mut self) -> Option<String> {
        self.0.as_ref()?.lock().problem.take()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let Some(shared) = &self.0 else { return };
        let mut state = shared.lock();
        state.stopping = true;
        shared.changed.notify_all();
        let _ = shared.changed.wait_timeout_while(state, PATIENCE, |state| state.running);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let idle = |state: &mut State| state.asked == state.done && !state.stopping;
            let waited = self.changed.wait_timeout_while(state, INTERVAL, idle);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.stopping && state.asked == state.done {
                state.running = false;
                self.changed.notify_all();
                return;
            }
            let asked = state.asked;
            drop(state);
            let tidied = self.tidy();
            state = self.lock();
            state.done = asked;
            if let Err(error) = tidied {
                state.problem = Some(format!("closed files: {error}"));
            }
        }
    }

    fn tidy(&self) -> io::Result<()> {
        let mut closed = self.names.list()?;
        for (moment, _) in closed.extract_if(.., |_, forms| !forms.plain && !forms.gzip) {
            drop_orphan(&self.names.path(OsStr::new(&moment)));
        }
        let excess = self.keep.map_or(0, |keep| closed.len().saturating_sub(keep));
        let mut result = Ok(());
        for (index, (moment, forms)) in closed.into_iter().enumerate() {
            let path = self.names.path(OsStr::new(&moment));
            let done = if index < excess || self.is_too_old(&path, forms) {
                delete(&path)
            } else if forms.plain && self.gzip {
                compress(&path)
            } else {
                Ok(())
            };
            result = result.and(done);
        }
        result
    }

    fn is_too_old(&self, path: &Path, forms: Forms) -> bool {
        let newest = if forms.plain { path.to_owned() } else { with(path, GZIP) };
        let modified = fs::metadata(newest).and_then(|metadata| metadata.modified());
        let age =
            modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        matches!((age, self.oldest), (Some(age), Some(oldest)) if age > oldest)
    }
}

/// Deletes what a compression left whose file is gone.
fn drop_orphan(path: &Path) {
    let unfinished = with(path, UNFINISHED);
    if claim(&unfinished).is_ok_and(|claimed| claimed.is_some()) {
        let _ = fs::remove_file(unfinished);
    }
}

fn delete(path: &Path) -> io::Result<()> {
    let mut result = Ok(());
    for end in ["", GZIP, UNFINISHED] {
        match fs::remove_file(with(path, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => result = Err(error),
            _ => {}
        }
    }
    result
}

/// Opens the unfinished file for this process alone; `None` if another is at it.
fn claim(unfinished: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(unfinished)?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Ok(None);
    }
    // Another process may have finished and renamed it since it was opened.
    let still = fs::metadata(unfinished).map(|there| identity(&there)).ok();
    Ok((still == Some(identity(&file.metadata()?))).then_some(file))
}

/// Replaces the file by its compressed form, which has the same mode and modification time.
fn compress(path: &Path) -> io::Result<()> {
    match try_compress(path) {
        // Another process has compressed or deleted it, or somebody the whole directory.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn try_compress(path: &Path) -> io::Result<()> {
    let unfinished = with(path, UNFINISHED);
    let Some(target) = claim(&unfinished)? else { return Ok(()) };
    let result = compress_into(path, target).and_then(|()| {
        fs::rename(&unfinished, with(path, GZIP))?;
        fs::remove_file(path)
    });
    if result.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    result
}

fn compress_into(path: &Path, target: File) -> io::Result<()> {
    let mut source = File::open(path)?;
    let metadata = source.metadata()?;
    target.set_len(0)?;
    let mut encoder = GzEncoder::new(target, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    let target = encoder.finish()?;
    target.set_permissions(metadata.permissions())?;
    target.set_modified(metadata.modified()?)?;
    target.sync_all()
}
