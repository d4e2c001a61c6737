//! The least that a row's work could take on this machine, without an engine around it.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use coati_core::clock;

use crate::candidate::{Candidate, Kind, Unit};
use crate::ours::scrape::{COUNTERS, SERIES};
use crate::workload::{bounds, value, values};

/// All of them.
pub fn all() -> Vec<Candidate> {
    vec![
        clocks_and_copy::<96>("rust_log", "clock read, copy of 96 bytes", 1),
        clocks_and_copy::<96>("rust_log_drain", "clock read, copy of 96 bytes", 1),
        clocks_and_copy::<256>("rust_span", "two clock reads, copy of 256 bytes", 2),
        counter(),
        histogram(),
        text("prometheus_10k", counter_lines()),
        text("prometheus_1000h", histogram_lines()),
    ]
}

/// Reads the clock and copies a record into a ring that nobody drains.
fn clocks_and_copy<const BYTES: usize>(
    row: &'static str,
    name: &'static str,
    clocks: usize,
) -> Candidate {
    let mut ring = vec![0u8; 1 << 20];
    let record = black_box([7u8; BYTES]);
    Candidate::new(row, Kind::Floor, name, 4096, move |calls| {
        let mut at = 0;
        for _ in 0..calls {
            let place = &mut ring[at..at + BYTES];
            place.copy_from_slice(&record);
            for word in place.as_chunks_mut::<8>().0.iter_mut().take(clocks) {
                *word = clock::now().to_le_bytes();
            }
            black_box(place.as_ptr());
            at = (at + BYTES) % ((1 << 20) - BYTES);
        }
    })
}

/// Adds to a cell that only this thread writes.
#[inline(always)]
fn add(cell: &AtomicU64, amount: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

fn counter() -> Candidate {
    let cell = AtomicU64::new(0);
    Candidate::new("rust_counter", Kind::Floor, "add of a single writer", 1 << 16, move |calls| {
        (0..calls).for_each(|_| add(&cell, 1));
    })
}

/// A bucket from the float's upper bits, and a sum.
fn histogram() -> Candidate {
    let cells: Vec<AtomicU64> = (0..1 << 17).map(|_| AtomicU64::new(0)).collect();
    let (sum, values) = (AtomicU64::new(0), values());
    let name = "bucket by bits, count and sum";
    Candidate::new("rust_histogram", Kind::Floor, name, 1 << 16, move |calls| {
        for i in 0..calls {
            let value = value(values, i);
            add(&cells[(value.to_bits() >> 46) as usize & 0x1_FFFF], 1);
            let total = f64::from_bits(sum.load(Ordering::Relaxed)) + value;
            sum.store(total.to_bits(), Ordering::Relaxed);
        }
    })
}

/// Lines as Prometheus' text of 10,000 counters has them, up to each number.
fn counter_lines() -> Vec<String> {
    let line = |i: usize| {
        let (metric, agent) = (i / SERIES, i % SERIES);
        format!("agent_metric_{metric}_milliseconds_total{{agent=\"agent-{agent}\",ok=\"true\"}} ")
    };
    (0..COUNTERS * SERIES).map(line).collect()
}

/// The same of 1,000 histograms: buckets, the last one, sum and count.
fn histogram_lines() -> Vec<String> {
    let of_one = |agent: usize| {
        let labels = format!("agent=\"agent-{agent}\",ok=\"true\"");
        let infinite = std::iter::once("+Inf".to_string());
        let ends = bounds().into_iter().map(|bound| bound.to_string()).chain(infinite);
        let bucket = |end| format!("agent_metric_0_milliseconds_bucket{{{labels},le=\"{end}\"}} ");
        let mut lines: Vec<String> = ends.map(bucket).collect();
        for part in ["sum", "count"] {
            lines.push(format!("agent_metric_0_milliseconds_{part}{{{labels}}} "));
        }
        lines
    };
    (0..SERIES).flat_map(of_one).collect()
}

/// Copies what stands before each number and writes the number behind it.
fn text(row: &'static str, lines: Vec<String>) -> Candidate {
    let name = "prepared lines copied, numbers written";
    Candidate::new(row, Kind::Floor, name, 1, move |calls| {
        for _ in 0..calls {
            let mut out = Vec::new();
            for (i, line) in lines.iter().enumerate() {
                out.extend_from_slice(line.as_bytes());
                out.extend_from_slice(itoa::Buffer::new().format(i % SERIES * 37).as_bytes());
                out.push(b'\n');
            }
            black_box(out);
        }
    })
    .unit(Unit::Milliseconds)
}
