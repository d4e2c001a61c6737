//! Where records go. A sink takes redacted records, gathers them, and hands a batch over at once.

mod console;
mod file;
mod memory;
pub mod rotate;
mod unavailable;

use std::io;

use coati_core::ledger::Signal;
use coati_core::record::Level;

pub use console::Console;
pub use file::File;
pub use memory::{Memory, MemoryRecords};
pub use unavailable::Unavailable;

use crate::config;
use crate::encode::Clock;
use crate::encode::json::JsonEncoder;
use crate::otlp::{Context, Exporters};
use crate::redact::Redacted;
use crate::settle::Share;

/// One destination of records.
pub trait Sink: Send {
    /// Its name in health, such as `file coati.jsonl`.
    fn name(&self) -> &str;

    /// Takes a record. Nothing has to leave the process yet.
    fn accept(&mut self, record: &mut Routed<'_, '_>);

    /// Hands over everything taken since the last call; an error loses what it does not name.
    ///
    /// # Errors
    /// Whatever the destination says.
    fn commit(&mut self) -> Result<(), Lost>;

    /// Whether it learns only later what arrived: it is then given shares of what it took.
    fn settles_later(&self) -> bool {
        false
    }

    /// After a commit, where it settles later: it has to settle these records of what it took.
    fn owe(&mut self, _share: Share) {}

    /// After all shares of a commit, where it settles later: it may send what it took.
    fn hand_over(&mut self) {}

    /// What went wrong since the last call without losing a record.
    fn problem(&mut self) -> Option<String> {
        None
    }

    /// Makes what was handed over survive a crash of the machine, where that was asked for.
    ///
    /// # Errors
    /// Whatever the destination says.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a batch was not handed over, and how much of it was all the same.
#[derive(Debug)]
pub struct Lost {
    /// What the destination said.
    pub error: io::Error,
    /// How many records, from the first one on, have arrived.
    pub arrived: u64,
}

impl From<io::Error> for Lost {
    /// Nothing has arrived.
    fn from(error: io::Error) -> Self {
        Self { error, arrived: 0 }
    }
}

/// How many whole lines `bytes` are.
fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// A record on its way to the sinks. Its JSON line is made at most once.
pub struct Routed<'a, 'e> {
    /// What the rules leave of it.
    pub record: Redacted<'a>,
    /// When it was recorded.
    pub ticks: u64,
    /// What knows the ticks.
    pub clock: Clock<'e>,
    json: &'e mut JsonEncoder,
    line: &'e mut Vec<u8>,
    alone: bool,
}

impl<'a, 'e> Routed<'a, 'e> {
    /// `line` is a buffer that is used again. `alone`: one sink wants the record.
    #[inline(always)]
    pub fn new(
        record: Redacted<'a>,
        ticks: u64,
        clock: Clock<'e>,
        json: &'e mut JsonEncoder,
        line: &'e mut Vec<u8>,
        alone: bool,
    ) -> Self {
        line.clear();
        Self { record, ticks, clock, json, line, alone }
    }

    /// The record as a JSON line.
    pub fn json_line(&mut self) -> &[u8] {
        if self.line.is_empty() {
            self.json.line(&self.record, self.ticks, &self.clock, self.line);
        }
        self.line
    }

    /// Appends the record as a JSON line, or nothing if that panics.
    pub fn append_json(&mut self, out: &mut Vec<u8>) {
        if !self.alone {
            return out.extend_from_slice(self.json_line());
        }
        // Nobody else will ask for the line: it is made where it is to be.
        let whole = Whole { len: out.len(), out };
        self.json.line(&self.record, self.ticks, &self.clock, whole.out);
        std::mem::forget(whole);
    }
}

/// Takes back what was appended to a buffer, unless forgotten.
struct Whole<'a> {
    out: &'a mut Vec<u8>,
    len: usize,
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        self.out.truncate(self.len);
    }
}

/// Which records a sink wants.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    level: Level,
    logs: bool,
    spans: bool,
    internal: bool,
}

impl Filter {
    /// The filter of a configured sink. The engine's own notices go to consoles.
    pub fn of(sink: &config::Sink) -> Self {
        Self {
            level: sink.level(),
            logs: sink.wants(config::Signal::Logs),
            spans: sink.wants(config::Signal::Spans),
            internal: matches!(sink, config::Sink::Console(_)),
        }
    }

    /// Whether the sink wants it. Levels are of log lines; spans have none.
    #[inline]
    pub fn wants(&self, signal: Signal, level: Level) -> bool {
        match signal {
            Signal::Logs => self.logs && level >= self.level,
            Signal::Spans => self.spans,
            Signal::Internal => self.internal,
        }
    }
}

/// What sinks are built from besides their configuration.
pub struct Builder<'a> {
    /// The process id of a forked child.
    pub child: Option<u32>,
    /// What memory sinks keep.
    pub memory: &'a MemoryRecords,
    /// What OTLP sinks send through.
    pub exporters: &'a Exporters,
    /// What those need of the engine.
    pub context: &'a Context,
}

impl Builder<'_> {
    /// The sink that `config` describes.
    pub fn build(&self, config: &config::Sink) -> Box<dyn Sink> {
        match config {
            config::Sink::File(file) => Box::new(File::new(file, self.child)),
            config::Sink::Console(console) => Box::new(Console::new(console)),
            config::Sink::Memory(sink) => Box::new(Memory::new(self.memory.clone(), sink.capacity)),
            config::Sink::Otlp(otlp) => match self.exporters.sink(otlp, self.context) {
                Ok(sink) => sink,
                Err(error) => Box::new(Unavailable::new("otlp", &error)),
            },
        }
    }
}
