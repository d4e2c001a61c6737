//! The last records, in memory: for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Lost, Routed, Sink};

/// Records kept for whoever asks, shared with the engine.
#[derive(Debug, Clone, Default)]
pub struct MemoryRecords(Arc<Mutex<VecDeque<String>>>);

impl MemoryRecords {
    /// Takes the JSON lines kept so far, without their line ends.
    pub fn take(&self) -> Vec<String> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *records).into()
    }
}

/// Keeps the last records as JSON lines.
pub struct Memory {
    records: MemoryRecords,
    capacity: usize,
    batch: Vec<String>,
}

impl Memory {
    /// Keeps at most `capacity` records in `records`; beyond that the oldest go.
    pub fn new(records: MemoryRecords, capacity: usize) -> Self {
        Self { records, capacity, batch: Vec::new() }
    }
}

impl Sink for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn accept(&mut self, record: &mut Routed<'_, '_>) {
        let line = String::from_utf8_lossy(record.json_line());
        self.batch.push(line.trim_end_matches('\n').to_owned());
    }

    fn commit(&mut self) -> Result<(), Lost> {
        let mut records = self.records.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.extend(self.batch.drain(..));
        let excess = records.len().saturating_sub(self.capacity);
        records.drain(..excess);
        Ok(())
    }
}
