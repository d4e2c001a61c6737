//! Every Rust row of the budget table: all candidates in turn, one JSON object a line.
//!
//! `rows [rounds]`. Fails if anything was dropped.

use std::process::ExitCode;

use coati_benches::measure::{interleaved, two_threads};
use coati_benches::{all, output};

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).map_or(101, |rounds| rounds.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder for files");
    let mut candidates = all(folder.path());
    let mut measured = interleaved(&mut candidates, rounds);
    measured.extend(two_threads(&mut candidates, rounds));
    let mut whole = true;
    for figures in &measured {
        output::print(figures);
        if figures.drops > 0 {
            eprintln!("{} in {}: {} dropped", figures.name, figures.row, figures.drops);
            whole = false;
        }
    }
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
