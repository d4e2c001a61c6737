//! Ticks to wall time, continuous and never backwards.

use std::collections::VecDeque;

use super::{now, source};
use crate::os;

/// Straight pieces of the function from ticks to nanoseconds since the epoch.
///
/// Every second or so [`Timeline::anchor`] compares the function with the wall clock and starts a
/// new piece at the value already reached, with a slope that takes the error out over the next
/// second (slewing). A clock set forward by more than a second is followed at once; one set back
/// is approached at half speed, so that time stands still nowhere and runs backwards nowhere.
#[derive(Debug)]
pub struct Timeline {
    pieces: VecDeque<Piece>,
    /// Nanoseconds per tick over the longest interval seen so far.
    rate: f64,
    first: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    ticks: u64,
    wall: u64,
    slope: f64,
}

impl Piece {
    fn at(&self, ticks: u64) -> u64 {
        if ticks >= self.ticks {
            self.wall + ((ticks - self.ticks) as f64 * self.slope) as u64
        } else {
            self.wall.saturating_sub(((self.ticks - ticks) as f64 * self.slope) as u64)
        }
    }
}

/// Pieces kept for late records and long spans: over an hour at one a second.
const MAX_PIECES: usize = 4096;
/// The error is taken out over this long.
const SLEW_NS: f64 = 1e9;
/// How long the first measurement of the tick rate takes.
const CALIBRATION_NS: u64 = 1_000_000;
/// Looks at all clocks, of which the quickest counts.
const LOOKS: usize = 8;

/// All clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Moment {
    ticks: u64,
    mono: u64,
    wall: u64,
}

impl Moment {
    /// The thread may be suspended between one clock and the next, and a clock that is late by a
    /// second would bend the rate for as long: it is looked for the shortest time between two
    /// readings of the ticks.
    fn now() -> Self {
        let look = || {
            let before = now();
            let (mono, wall) = (os::monotonic_ns(), os::realtime_ns());
            let took = now().saturating_sub(before);
            (took, Self { ticks: before + took / 2, mono, wall })
        };
        let looks = std::iter::repeat_with(look).take(LOOKS);
        looks.min_by_key(|(took, _)| *took).map_or_else(|| look().1, |(_, moment)| moment)
    }

    /// Nanoseconds per tick since `earlier`, if both went on.
    fn rate_since(&self, earlier: &Self) -> Option<f64> {
        if source() == "os" {
            return Some(1.0);
        }
        let ticks = self.ticks.checked_sub(earlier.ticks).filter(|&ticks| ticks > 0)?;
        let mono = self.mono.checked_sub(earlier.mono).filter(|&mono| mono > 0)?;
        Some(mono as f64 / ticks as f64)
    }
}

impl Timeline {
    /// Measures the tick rate (one millisecond) and anchors the function to the wall clock.
    pub fn start() -> Self {
        let first = Moment::now();
        if source() != "os" {
            while os::monotonic_ns() - first.mono < CALIBRATION_NS {
                std::hint::spin_loop();
            }
        }
        let second = Moment::now();
        let rate = second.rate_since(&first).unwrap_or(1.0);
        let piece = Piece { ticks: second.ticks, wall: second.wall, slope: rate };
        Self { pieces: VecDeque::from([piece]), rate, first }
    }

    /// Compares with the wall clock and bends towards it. Call about once a second.
    pub fn anchor(&mut self) {
        let moment = Moment::now();
        self.rate = moment.rate_since(&self.first).unwrap_or(self.rate);
        self.bend(moment.ticks, moment.wall);
    }

    fn bend(&mut self, ticks: u64, wall: u64) {
        let Some(last) = self.pieces.back().copied() else { return };
        if ticks <= last.ticks {
            return;
        }
        let reached = last.at(ticks);
        let error = wall as f64 - reached as f64;
        let piece = if error > SLEW_NS {
            Piece { ticks, wall, slope: self.rate }
        } else {
            let correction = (error / SLEW_NS).max(-0.5);
            Piece { ticks, wall: reached, slope: self.rate * (1.0 + correction) }
        };
        self.pieces.push_back(piece);
        if self.pieces.len() > MAX_PIECES {
            self.pieces.pop_front();
        }
    }

    /// Wall time of `ticks` in nanoseconds since the epoch; non-decreasing in `ticks`.
    #[inline]
    pub fn wall_ns(&self, ticks: u64) -> u64 {
        match self.pieces.back() {
            Some(last) if ticks >= last.ticks => last.at(ticks),
            _ => self.older(ticks),
        }
    }

    fn older(&self, ticks: u64) -> u64 {
        let after = self.pieces.partition_point(|piece| piece.ticks <= ticks);
        let Some(piece) = self.pieces.get(after.saturating_sub(1)) else { return 0 };
        let value = piece.at(ticks);
        // A step forward starts the next piece above this one's end; stay below it all the same.
        self.pieces.get(after).map_or(value, |next| value.min(next.wall))
    }

    /// Nanoseconds per tick.
    pub fn ns_per_tick(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline() -> Timeline {
        let first = Moment { ticks: 0, mono: 0, wall: 0 };
        let piece = Piece { ticks: 1_000, wall: 5_000_000_000, slope: 1.0 };
        Timeline { pieces: VecDeque::from([piece]), rate: 1.0, first }
    }

    #[test]
    fn never_runs_backwards_when_the_clock_is_set_back_or_forward() {
        let mut t = timeline();
        let second = 1_000_000_000u64;
        let walls = [6 * second, 5 * second, 2 * second, 900 * second, 899 * second, 901 * second];
        for (i, wall) in walls.into_iter().enumerate() {
            t.bend(1_000 + (i as u64 + 1) * second, wall);
        }
        let mut last = 0;
        for ticks in (0..8 * second).step_by(10_000_019) {
            let wall = t.wall_ns(ticks);
            assert!(wall >= last, "{wall} after {last} at {ticks}");
            last = wall;
        }
    }

    #[test]
    fn takes_a_small_error_out_within_a_second() {
        let mut t = timeline();
        let wall = 5_000_000_000 + 1_000_000_000 + 40_000;
        t.bend(1_000_001_000, wall);
        assert_eq!(t.wall_ns(1_000_001_000), 6_000_000_000);
        let after = t.wall_ns(2_000_001_000);
        assert!(after.abs_diff(wall + 1_000_000_000) < 10, "{after}");
    }

    #[test]
    fn follows_the_wall_clock() {
        let begun = os::monotonic_ns();
        let t = Timeline::start();
        let (before, ticks, after) = (os::realtime_ns(), now(), os::realtime_ns());
        let wall = t.wall_ns(ticks);
        // A rate measured over a millisecond is right to a thousandth.
        let error = 1_000_000 + (os::monotonic_ns() - begun) / 1000;
        assert!(wall + error > before && wall < after + error, "{before} {wall} {after}");
    }
}
