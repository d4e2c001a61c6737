//! The rows under criterion, for a closer look at one of them: `cargo bench -p coati-benches
//! --features peers -- rust_log`. The candidates are those of the interleaved runner.

use std::time::Duration;

use coati_benches::candidate::Candidate;
use coati_benches::{all, measure};
use criterion::{Criterion, Throughput};

fn row(criterion: &mut Criterion, row: &str, candidates: &mut [Candidate]) {
    let mut group = criterion.benchmark_group(row);
    group.throughput(Throughput::Elements(1));
    // What happens between rounds takes a hundred times as long as they do.
    group.warm_up_time(Duration::from_millis(20)).measurement_time(Duration::from_millis(200));
    group.sample_size(20);
    for candidate in candidates.iter_mut().filter(|candidate| candidate.row == row) {
        let name = format!("{}: {}", candidate.kind.name(), candidate.name);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|calls| in_rounds(candidate, calls));
        });
        assert_eq!((candidate.dropped)(), 0, "dropped by {}", candidate.name);
    }
    group.finish();
}

/// As many calls as asked for, in rounds that fit rings and queues.
fn in_rounds(candidate: &mut Candidate, calls: u64) -> Duration {
    let mut left = usize::try_from(calls).expect("a count");
    let mut time = Duration::ZERO;
    while left > 0 {
        let now = left.min(candidate.calls);
        time += measure::round(candidate, now);
        left -= now;
    }
    time
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder for files");
    let mut candidates = all(folder.path());
    let mut rows: Vec<_> = candidates.iter().map(|candidate| candidate.row).collect();
    rows.sort_unstable();
    rows.dedup();
    let mut criterion = Criterion::default().configure_from_args();
    for name in rows {
        row(&mut criterion, name, &mut candidates);
    }
    criterion.final_summary();
}
