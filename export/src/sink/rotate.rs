//! An append-only file of whole lines that is closed and begun anew by size and by age.
//!
//! Several processes may share it. Each writes under a shared `flock` on the file itself, after it
//! made sure that the path still leads there, and whoever rotates holds the exclusive one: when a
//! file gets its closed name, nobody writes to it any more. The same look at the path finds files
//! that were deleted or moved.

mod append;
mod keeper;
mod names;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use append::Appender;
use keeper::Keeper;
use names::Names;

use super::{Lost, lines};

/// What to write to and when to begin anew.
#[derive(Clone, Debug)]
pub struct RotateConfig {
    /// The file.
    pub path: PathBuf,
    /// Largest size; a single longer line gets a file to itself.
    pub rotate_bytes: Option<u64>,
    /// Highest age, counted from the first line.
    pub rotate_seconds: Option<u64>,
    /// How many closed files stay.
    pub keep: Option<usize>,
    /// How many days closed files stay, by modification time.
    pub keep_days: Option<u64>,
    /// Whether closed files are compressed.
    pub gzip: bool,
}

/// The file, open for one writer.
#[derive(Debug)]
pub struct RotatingFile {
    config: RotateConfig,
    names: Names,
    keeper: Keeper,
    current: Option<Appender>,
    problem: Option<String>,
}

/// Files that may be replaced under a single write before it gives up.
const MOST_REPLACED: u32 = 100;

impl RotatingFile {
    /// Opens or creates the file and its directories. A line torn by a crash is ended; what an
    /// earlier process left to compress or to delete is seen to.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn open(mut config: RotateConfig) -> io::Result<Self> {
        // Neither a change of the working directory nor a rotation may lead elsewhere.
        config.path = std::path::absolute(&config.path)?;
        if config.path.is_symlink() {
            config.path = fs::canonicalize(&config.path).unwrap_or(config.path);
        }
        let current = Some(Appender::open(&config.path)?);
        let names = Names::of(&config.path)?;
        let keeper = Keeper::new(&config, names.clone());
        keeper.tidy();
        Ok(Self { config, names, keeper, current, problem: None })
    }

    /// Appends `bytes`, which are whole lines. After an error the next call opens the file anew.
    ///
    /// # Errors
    /// Whatever the operating system says; the lines up to the last rotation have arrived.
    pub fn write_lines(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let mut written = 0;
        self.write_parts(bytes, &mut written).map_err(|error| {
            self.current = None;
            Lost { error, arrived: lines(&bytes[..written]) }
        })
    }

    /// Makes what was written survive a crash of the machine.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn sync(&mut self) -> io::Result<()> {
        self.current.as_ref().map_or(Ok(()), Appender::sync)
    }

    /// What last went wrong without losing a line: a rotation, a compression, a deletion.
    pub fn take_problem(&mut self) -> Option<String> {
        self.problem.take().or_else(|| self.keeper.take_problem())
    }

    fn write_parts(&mut self, mut bytes: &[u8], written: &mut usize) -> io::Result<()> {
        let mut may_rotate = true;
        while !bytes.is_empty() {
            let (file, size) = self.lock()?;
            let age = file.age();
            let room = self.room(size, age).filter(|_| may_rotate);
            let part = room.map_or(bytes.len(), |room| whole_lines(bytes, room, size == 0));
            if part == 0 {
                may_rotate = self.rotate();
                continue;
            }
            let file = self.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
            file.write_whole(&bytes[..part])?;
            file.unlock();
            bytes = &bytes[part..];
            *written += part;
        }
        Ok(())
    }

    /// The file at the path, under a shared lock, and its size.
    fn lock(&mut self) -> io::Result<(&mut Appender, u64)> {
        for _ in 0..MOST_REPLACED {
            let file = match self.current.take() {
                Some(file) => file,
                None => Appender::open(&self.config.path)?,
            };
            file.lock_shared();
            if let Some(size) = file.size_at(&self.config.path) {
                let file = self.current.insert(file);
                file.saw(size);
                return Ok((file, size));
            }
        }
        Err(io::Error::other("the file is replaced faster than it can be opened"))
    }

    /// Bytes that still fit into a file of this size and age; `None` if there is no limit.
    fn room(&self, size: u64, age: Option<Duration>) -> Option<u64> {
        self.current.as_ref().filter(|file| file.is_regular())?;
        let old = |limit| size > 0 && age.is_some_and(|age| age >= Duration::from_secs(limit));
        match self.config.rotate_seconds {
            Some(limit) if old(limit) => Some(0),
            _ => self.config.rotate_bytes.map(|limit| limit.saturating_sub(size)),
        }
    }

    /// Gives the file its closed name, unless another process just did. `false` if that cannot
    /// be done now: the file then goes on growing until it can.
    fn rotate(&mut self) -> bool {
        let Some(file) = self.current.take() else { return true };
        if !file.lock_exclusive() {
            self.current = Some(file);
            return false;
        }
        if file.size_at(&self.config.path).is_none() {
            return true;
        }
        let closed = self.names.next(SystemTime::now());
        match fs::rename(&self.config.path, &closed) {
            Ok(()) => {
                self.keeper.tidy();
                true
            }
            Err(error) => {
                let path = self.config.path.display();
                self.problem = Some(format!("cannot rotate {path}: {error}"));
                self.current = Some(file);
                false
            }
        }
    }
}

/// The length of the leading lines that fit into `room`; at least one line if `alone`.
fn whole_lines(bytes: &[u8], room: u64, alone: bool) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    if bytes.len() <= room {
        return bytes.len();
    }
    let line_end = |at: usize| at + 1;
    match bytes[..room].iter().rposition(|byte| *byte == b'\n') {
        Some(at) => line_end(at),
        None if alone => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), line_end),
        None => 0,
    }
}
