//! Whole ways from a log call to the lines of a file.

mod ours;
#[cfg(feature = "peers")]
mod tracing;

use std::path::Path;
use std::time::Instant;

use crate::candidate::Kind;
use crate::machine::process_cpu_ns;

/// Something that writes log lines into a file in another thread.
pub trait Pipe {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Whose it is.
    fn kind(&self) -> Kind;
    /// Begins to write to `path`.
    fn open(&mut self, path: &Path);
    /// What one producer calls `records` times, waiting where there is no room.
    fn producer(&self) -> Box<dyn FnOnce(usize) + Send>;
    /// Returns when every line is in the file.
    fn close(&mut self);
}

/// All of them.
pub fn all() -> Vec<Box<dyn Pipe>> {
    vec![
        Box::new(ours::Coati::default()),
        #[cfg(feature = "peers")]
        Box::new(tracing::NonBlocking::default()),
    ]
}

/// What a run took.
pub struct Run {
    /// Records per second, from the first call to the last line in the file.
    pub per_second: f64,
    /// Processor time of all threads in nanoseconds per record.
    pub cpu_ns: f64,
}

/// Lets `producers` write `records` lines together.
///
/// # Panics
/// If a line is missing.
pub fn run(pipe: &mut dyn Pipe, producers: usize, records: usize, path: &Path) -> Run {
    pipe.open(path);
    let (start, cpu) = (Instant::now(), process_cpu_ns());
    std::thread::scope(|scope| {
        for _ in 0..producers {
            let producer = pipe.producer();
            scope.spawn(move || producer(records / producers));
        }
    });
    pipe.close();
    let (wall, cpu) = (start.elapsed().as_secs_f64(), process_cpu_ns() - cpu);
    let written = std::fs::read(path).expect("the file just written");
    let lines = written.iter().filter(|&&byte| byte == b'\n').count();
    let expected = records / producers * producers;
    assert_eq!(lines, expected, "lines of {}", pipe.name());
    Run { per_second: expected as f64 / wall, cpu_ns: cpu as f64 / expected as f64 }
}
