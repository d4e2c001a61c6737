//! Records per second from one and from four producers to one JSON file, and the processor time of
//! all threads per record; one JSON object a line.
//!
//! `throughput [rounds [records]]`. Nobody may drop: callers wait, and the lines are counted.

use std::collections::BTreeMap;

use coati_benches::measure::{Measured, min_and_median};
use coati_benches::output;
use coati_benches::pipes::{self, Run};

/// Threads, and the rows of speed and of processor time.
const ROWS: [(usize, &str, &str); 2] =
    [(1, "drain_file", "drain_file_cpu"), (4, "drain_file_4p", "drain_file_4p_cpu")];

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let rounds = arguments.next().unwrap_or(5);
    let records = arguments.next().unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder for files");
    let mut runs: BTreeMap<(usize, usize), Vec<Run>> = BTreeMap::new();
    let mut pipes = pipes::all();
    for _ in 0..rounds {
        for (threads, (producers, ..)) in ROWS.iter().enumerate() {
            for (index, pipe) in pipes.iter_mut().enumerate() {
                let path = folder.path().join("all.jsonl");
                let run = pipes::run(pipe.as_mut(), *producers, records, &path);
                runs.entry((threads, index)).or_default().push(run);
                std::fs::remove_file(path).expect("the file just written");
            }
        }
    }
    for ((threads, index), runs) in runs {
        let (_, speed_row, cpu_row) = ROWS[threads];
        let print = |row, unit, (min, median)| {
            let (kind, name) = (pipes[index].kind(), pipes[index].name());
            let note = None;
            output::print(&Measured { row, kind, name, unit, min, median, rounds, drops: 0, note });
        };
        let (least, median) =
            min_and_median(runs.iter().map(|run| -run.per_second / 1e6).collect());
        print(speed_row, "M/s", (-least, -median));
        print(cpu_row, "ns", min_and_median(runs.iter().map(|run| run.cpu_ns).collect()));
    }
}
