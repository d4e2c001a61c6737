//! What cannot be sent now, on disk: bounded by size and age, sent oldest first.
//!
//! A file leaves the spool when its request is settled, so that nothing is sent twice within a run.
//! After a crash a request is sent again whose answer the crash had swallowed: at least once.

mod file;
mod folder;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coati_core::ledger::Reason;

use super::books::Books;
use super::signal::Signal;
use crate::settle::Share;
pub use file::Content;
use folder::Folder;

/// A file takes at least this much of the disk.
const BLOCK: u64 = 4096;

/// A request on disk.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
    stamp: Stamp,
    bytes: u64,
    /// Items in it; 0 where an earlier run has written it, until it is read.
    records: u64,
    /// What is to be settled with it; nothing where an earlier run has written it.
    shares: Vec<Share>,
}

/// The order of requests: when they were made, then their number in that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    millis: u64,
    number: u64,
}

impl Stamp {
    /// A stamp for what is made now.
    pub fn now(number: u64) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { millis: since.as_millis() as u64, number }
    }

    /// The same moment with another number.
    pub fn with_number(self, number: u64) -> Self {
        Self { number, ..self }
    }

    fn age(&self) -> Duration {
        Duration::from_millis(Self::now(0).millis.saturating_sub(self.millis))
    }
}

/// The spool of one exporter.
pub struct Spool {
    folder: Folder,
    queues: [VecDeque<Entry>; 3],
    bytes: u64,
    records: u64,
    most_bytes: u64,
    oldest: Duration,
    books: Books,
}

impl Spool {
    /// The spool under `root`, with what earlier runs have left.
    ///
    /// # Errors
    /// If there can be no folder of this process's own.
    pub fn open(
        root: &std::path::Path,
        most_bytes: u64,
        oldest: Duration,
        books: Books,
    ) -> io::Result<Self> {
        let folder = Folder::open(root)?;
        let (queues, bytes) = (Default::default(), 0);
        let mut spool = Self { folder, queues, bytes, records: 0, most_bytes, oldest, books };
        for path in spool.folder.files() {
            match described(&path) {
                Some((stamp, signal)) => {
                    let len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
                    let bytes = len.max(BLOCK);
                    let entry = Entry { path, stamp, bytes, records: 0, shares: Vec::new() };
                    spool.grow(&entry);
                    spool.insert(signal, entry);
                }
                None => spool.set_aside(&path),
            }
        }
        spool.bound();
        Ok(spool)
    }

    fn grow(&mut self, entry: &Entry) {
        self.bytes += entry.bytes;
        self.records += entry.records;
        self.show();
    }

    fn shrink(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes;
        self.records -= entry.records;
        self.show();
    }

    fn insert(&mut self, signal: Signal, entry: Entry) {
        let queue = &mut self.queues[signal as usize];
        let place = queue.partition_point(|other| other.stamp < entry.stamp);
        queue.insert(place, entry);
    }

    fn show(&self) {
        self.books.figure("spooled", self.records);
        self.books.figure("spool_bytes", self.bytes);
    }

    /// Writes a request; on an error what stood for it comes back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put(
        &mut self,
        stamp: Stamp,
        content: &Content,
        shares: Vec<Share>,
    ) -> Result<(), (io::Error, Vec<Share>)> {
        let Stamp { millis, number } = stamp;
        let (pid, signal) = (std::process::id(), content.signal.name());
        let name = format!("{millis:013}-{number:010}-{pid}-{signal}.otlp");
        let path = self.folder.path().join(name);
        match file::write(&path, content) {
            Ok(len) => {
                let (records, bytes) = (content.records, len.max(BLOCK));
                let entry = Entry { path, stamp, bytes, records, shares };
                self.grow(&entry);
                self.insert(content.signal, entry);
                self.bound();
                Ok(())
            }
            Err(error) => Err((error, shares)),
        }
    }

    /// Puts back what was taken and not sent.
    pub fn put_back(&mut self, signal: Signal, entry: Entry) {
        self.insert(signal, entry);
    }

    /// A request that was taken is settled: its file goes.
    pub fn remove(&mut self, entry: Entry) {
        self.shrink(&entry);
        let _ = fs::remove_file(entry.path);
    }

    /// Takes the oldest request of a signal. Its file stays until it is settled.
    pub fn take(&mut self, signal: Signal) -> Option<(Entry, Content)> {
        self.bound();
        loop {
            let mut entry = self.queues[signal as usize].pop_front()?;
            match file::read(&entry.path).ok().filter(|content| content.signal == signal) {
                Some(content) => {
                    self.shrink(&entry);
                    entry.records = content.records;
                    self.grow(&entry);
                    return Some((entry, content));
                }
                None => {
                    self.shrink(&entry);
                    self.set_aside(&entry.path);
                    self.books.lose(entry.shares, entry.records, Reason::Spool);
                }
            }
        }
    }

    fn set_aside(&self, path: &std::path::Path) {
        if self.folder.set_aside(path).is_err() {
            let _ = fs::remove_file(path);
        }
        self.books.count("spool_corrupt", 1);
        self.books.problem("spool", &format!("{}: corrupt, set aside", path.display()), 0);
    }

    /// Drops what is too old, and the oldest of what is too much.
    fn bound(&mut self) {
        loop {
            let fronts = self.queues.iter().filter_map(VecDeque::front).map(|entry| entry.stamp);
            let Some(first) = fronts.min() else { return };
            if self.bytes <= self.most_bytes && first.age() <= self.oldest {
                return;
            }
            for signal in Signal::ALL {
                let queue = &mut self.queues[signal as usize];
                if queue.front().is_none_or(|entry| entry.stamp != first) {
                    continue;
                }
                let Some(entry) = queue.pop_front() else { continue };
                self.shrink(&entry);
                let _ = fs::remove_file(&entry.path);
                self.books.count("spool_dropped", 1);
                self.books.lose(entry.shares, entry.records, Reason::Spool);
                break;
            }
        }
    }
}

impl Entry {
    /// When it was made.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// What is to be settled with it.
    pub fn take_shares(&mut self) -> Vec<Share> {
        std::mem::take(&mut self.shares)
    }

    /// Gives it what is to be settled with it.
    pub fn set_shares(&mut self, shares: Vec<Share>) {
        self.shares = shares;
    }
}

/// What a file's name says.
fn described(path: &std::path::Path) -> Option<(Stamp, Signal)> {
    let mut parts = path.file_stem()?.to_str()?.split('-');
    let millis = parts.next()?.parse().ok()?;
    let number = parts.next()?.parse().ok()?;
    let signal = parts.nth(1)?;
    let signal = Signal::ALL.into_iter().find(|known| known.name() == signal)?;
    Some((Stamp { millis, number }, signal))
}
