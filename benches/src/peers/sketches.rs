//! Histograms for one thread without an engine around them: hdrhistogram and DDSketch.

use hdrhistogram::Histogram;
use sketches_ddsketch::{Config, DDSketch};

use crate::candidate::{Candidate, Kind};
use crate::workload::{value, values};

/// Both.
pub fn all() -> Vec<Candidate> {
    let mut high_dynamic_range =
        Histogram::<u64>::new_with_bounds(1, 1 << 40, 2).expect("good bounds");
    let (mut sketch, values) = (DDSketch::new(Config::defaults()), values());
    vec![
        Candidate::new("rust_histogram", Kind::Peer, "hdrhistogram", 1 << 16, move |calls| {
            for i in 0..calls {
                // Microseconds of milliseconds.
                high_dynamic_range.saturating_record((value(values, i) * 1000.0) as u64);
            }
        })
        .note("one thread, whole numbers, no sum, 1 % error"),
        Candidate::new("rust_histogram", Kind::Peer, "sketches-ddsketch", 1 << 14, move |calls| {
            (0..calls).for_each(|i| sketch.add(value(values, i)));
        })
        .note("one thread, 1 % error"),
    ]
}
