//! Metrics on a console: a thread that prints every series at an interval, and once at the end.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::config::ConsoleSink;
use crate::sink::Console;

/// Appends all series as they are now; `true` asks for lines for people.
pub type Lines = Box<dyn Fn(bool, &mut Vec<u8>) + Send>;

/// A running printer. Dropping it lets it print a last time, and end.
pub struct Printer {
    sinks: Vec<ConsoleSink>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stopping: bool,
    ended: bool,
}

impl Printer {
    /// Starts printing to `sinks` every `interval`.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(sinks: Vec<ConsoleSink>, interval: Duration, lines: Lines) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (ours, consoles) = (shared.clone(), sinks.clone());
        std::thread::Builder::new().name("coati-metrics".into()).spawn(move || {
            crate::drain::block_signals();
            let ours = Ending(ours);
            let mut consoles: Vec<_> = consoles.iter().map(Console::new).collect();
            let mut text = Vec::new();
            loop {
                let stopping = ours.0.wait(interval);
                for console in &mut consoles {
                    text.clear();
                    lines(console.is_pretty(), &mut text);
                    // A console that is gone is in health as soon as a record is meant for it.
                    let _ = console.write(&text);
                }
                if stopping {
                    return;
                }
            }
        })?;
        Ok(Self { sinks, shared })
    }

    /// Whether it prints to these.
    pub fn fits(&self, sinks: &[ConsoleSink]) -> bool {
        self.sinks == sinks
    }

    /// Lets it print a last time and waits for that until `deadline`.
    pub fn stop(&self, deadline: Instant) {
        self.ask();
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = self.shared.changed.wait_timeout_while(state, left, |state| !state.ended);
    }

    fn ask(&self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.ask();
    }
}

impl Shared {
    /// Waits for `interval`, or until it is to stop: `true` then.
    fn wait(&self, interval: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, interval, |state| !state.stopping);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopping
    }
}

/// Says that the thread has ended, however it did.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        self.0.changed.notify_all();
    }
}

/// Nanoseconds since the epoch.
pub fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64
}
