//! This process.

use std::fs;

use coati_core::metrics::{Kind, MetricError, Store};

use super::{Read, instrument, seconds, show};

pub(super) fn cpu(store: &Store) -> Result<Read, MetricError> {
    let description = "Processor time of this process by mode";
    let time = instrument(store, "process.cpu.time", Kind::Counter, "s", description)?;
    Ok(Box::new(move || {
        if let Some([user, system]) = stat([11, 12]) {
            show(&time, "cpu.mode", "user", seconds(user));
            show(&time, "cpu.mode", "system", seconds(system));
        }
    }))
}

pub(super) fn memory(store: &Store) -> Result<Read, MetricError> {
    let sum = |name, description| instrument(store, name, Kind::UpDownCounter, "By", description);
    let resident = sum("process.memory.usage", "Resident memory")?;
    let mapped = sum("process.memory.virtual", "Virtual memory")?;
    Ok(Box::new(move || {
        let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let mut pages = pages.split(' ').map_while(|field| field.trim().parse::<i64>().ok());
        if let (Some(all), Some(present)) = (pages.next(), pages.next()) {
            mapped.series(&[]).observe_int(all * page_bytes());
            resident.series(&[]).observe_int(present * page_bytes());
        }
    }))
}

pub(super) fn threads(store: &Store) -> Result<Read, MetricError> {
    let (name, description) = ("process.thread.count", "Threads of this process");
    let count = instrument(store, name, Kind::UpDownCounter, "{thread}", description)?;
    Ok(Box::new(move || {
        if let Some([threads]) = stat([17]) {
            count.series(&[]).observe_int(threads as i64);
        }
    }))
}

pub(super) fn descriptors(store: &Store) -> Result<Read, MetricError> {
    let (name, description) = ("process.unix.file_descriptor.count", "Open file descriptors");
    let count = instrument(store, name, Kind::UpDownCounter, "{file_descriptor}", description)?;
    Ok(Box::new(move || {
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them reads the directory.
            count.series(&[]).observe_int((open.count() as i64 - 1).max(0));
        }
    }))
}

/// Fields of `/proc/self/stat`, counted from the state on, which is 0.
fn stat<const N: usize>(fields: [usize; N]) -> Option<[u64; N]> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name before may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let all: Vec<&str> = rest.split(' ').collect();
    let mut found = [0; N];
    for (value, at) in found.iter_mut().zip(fields) {
        *value = all.get(at)?.trim().parse().ok()?;
    }
    Some(found)
}

fn page_bytes() -> i64 {
    // SAFETY: without preconditions.
    #[cfg(unix)]
    return unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(1) as i64;
    #[cfg(not(unix))]
    4096
}
