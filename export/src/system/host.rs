//! The machine.

use std::fs;

use coati_core::metrics::{Kind, LabelValue, MetricError, Store};

use super::{Read, instrument, seconds, show};

pub(super) fn cpu(store: &Store) -> Result<Read, MetricError> {
    const MODES: [&str; 8] =
        ["user", "nice", "system", "idle", "iowait", "interrupt", "softirq", "steal"];
    let description = "Processor time of the host by mode";
    let time = instrument(store, "system.cpu.time", Kind::Counter, "s", description)?;
    Ok(Box::new(move || {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
        let mut ticks: Vec<u64> = line.split_whitespace().map_while(|t| t.parse().ok()).collect();
        if ticks.len() >= MODES.len() {
            // There is one mode for both kinds of interrupts.
            ticks[5] += ticks[6];
            for (at, mode) in MODES.iter().enumerate().filter(|(at, _)| *at != 6) {
                show(&time, "cpu.mode", mode, seconds(ticks[at]));
            }
        }
    }))
}

pub(super) fn memory(store: &Store) -> Result<Read, MetricError> {
    let (name, description) = ("system.memory.usage", "Memory of the host by state");
    let usage = instrument(store, name, Kind::UpDownCounter, "By", description)?;
    Ok(Box::new(move || {
        let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let bytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix(" kB")?.parse::<i64>().ok().map(|kib| kib * 1024)
        };
        let found = ["MemTotal", "MemFree", "Buffers", "Cached", "SReclaimable"].map(bytes);
        let [Some(total), Some(free), Some(buffers), Some(cached), slab] = found else { return };
        let cached = cached + slab.unwrap_or(0);
        let states = [
            ("used", total - free - buffers - cached),
            ("free", free),
            ("buffers", buffers),
            ("cached", cached),
        ];
        for (state, bytes) in states {
            let labels = [("system.memory.state", LabelValue::Str(state))];
            usage.series(&labels).observe_int(bytes.max(0));
        }
    }))
}
