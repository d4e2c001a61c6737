//! What the engine costs, with its peers beside it.
//!
//! Each thing measured is a [`candidate::Candidate`], defined once: the interleaved runner
//! (`src/bin/rows.rs`), from which `RESULTS.md` is made, and the criterion suites take the same
//! ones. Machines are shared and noisy: every figure is the minimum and the median of rounds in
//! which all candidates take turns.

pub mod candidate;
pub mod floor;
pub mod machine;
pub mod measure;
pub mod ours;
pub mod output;
#[cfg(feature = "peers")]
pub mod peers;
pub mod pipes;
pub mod workload;

/// Candidates for every row: what is ours, what the machine allows, and the peers.
pub fn all(folder: &std::path::Path) -> Vec<candidate::Candidate> {
    let mut all = ours::all(folder);
    all.extend(floor::all());
    #[cfg(feature = "peers")]
    all.extend(peers::all(folder));
    all
}
