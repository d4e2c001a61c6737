//! Extremes between two reads, for each delta reader of a histogram series.

use super::cells::Extremes;
use crate::sync::{Mutex, lock};

/// What each delta reader has yet to report, by reader.
#[derive(Default)]
pub(super) struct Windows(Mutex<Vec<(u64, Extremes)>>);

impl Windows {
    /// Hands the extremes of an ended window to every reader.
    pub(super) fn close(&self, extremes: Extremes) {
        for (_, pending) in lock(&self.0).iter_mut() {
            pending.merge(extremes);
        }
    }

    /// What `reader` has pending; `None` on its first read, which joins it.
    pub(super) fn take(&self, reader: u64) -> Option<Extremes> {
        let mut windows = lock(&self.0);
        match windows.iter_mut().find(|(other, _)| *other == reader) {
            Some((_, pending)) => Some(std::mem::replace(pending, Extremes::NONE)),
            None => {
                windows.push((reader, Extremes::NONE));
                None
            }
        }
    }

    pub(super) fn leave(&self, reader: u64) {
        lock(&self.0).retain(|(other, _)| *other != reader);
    }
}
