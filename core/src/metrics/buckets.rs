//! From a double to its bucket: the exponential index without a logarithm, the explicit one by
//! search.
//!
//! At scale 6 bucket `i` holds (2^(i/64), 2^((i+1)/64)]. Upper ends are inclusive, so everything
//! works on `bits - 1`: an exact power of two falls into the octave below it by itself.

use super::boundaries::BOUNDARIES;

/// The scale at which histograms are recorded.
pub const SCALE: i32 = 6;
/// Buckets in an octave at [`SCALE`].
pub(super) const SUBS: usize = 64;
/// Octaves of the normal doubles, rounded up to a power of two.
pub(super) const OCTAVES: usize = 2048;

const FRACTION: u64 = (1 << 52) - 1;
/// `bits - 1` of the smallest normal double.
const LOWEST: u64 = f64::MIN_POSITIVE.to_bits() - 1;
/// How many `bits - 1` there are from the smallest normal double to the largest.
const NORMALS: u64 = f64::INFINITY.to_bits() - f64::MIN_POSITIVE.to_bits();

/// For each 128th of an octave the number that, added to a fraction, leaves its bucket above bit
/// 52. A 128th is narrower than any bucket, so that at most one boundary lies inside.
static STEPS: [u64; 128] = steps();

const fn steps() -> [u64; 128] {
    let mut table = [0; 128];
    let mut bucket = 0;
    let mut cell = 0;
    while cell < 128 {
        let start = (cell as u64) << 45;
        let end = start + (1 << 45);
        while bucket + 1 < 64 && BOUNDARIES[bucket + 1] <= start {
            bucket += 1;
        }
        table[cell] = (bucket as u64) << 52;
        if bucket + 1 < 64 && BOUNDARIES[bucket + 1] < end {
            table[cell] += (1 << 52) - BOUNDARIES[bucket + 1];
        }
        cell += 1;
    }
    table
}

/// Where a positive normal double counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Its biased exponent: octave 0 is 2^-1023.
    pub(super) octave: usize,
    /// The bucket inside the octave, below 64.
    pub(super) sub: usize,
}

impl Place {
    /// `None` for zero, negatives, subnormals, infinities and NaN.
    #[inline(always)]
    pub(super) fn of(value: f64) -> Option<Self> {
        let below = value.to_bits().wrapping_sub(1);
        if below.wrapping_sub(LOWEST) >= NORMALS {
            return None;
        }
        let cell = (below >> 45) as usize & 127;
        let sub = ((below & FRACTION) + STEPS[cell]) >> 52;
        Some(Self {
            octave: (below >> 52) as usize & (OCTAVES - 1),
            sub: sub as usize & (SUBS - 1),
        })
    }

    /// The place of a positive finite value; a subnormal one counts as the smallest normal.
    pub(super) fn of_magnitude(value: f64) -> Option<Self> {
        Self::of(value.max(f64::MIN_POSITIVE))
    }
}

/// The index at scale 0 of the bucket that an octave is.
pub(super) fn exponent(octave: usize) -> i32 {
    octave as i32 - 1023
}

/// The lower end of bucket `index` at `scale`, which is also the upper end of the one before;
/// rounded down, infinite beyond the doubles.
pub(super) fn lower_end(index: i32, scale: i32) -> f64 {
    let fine = i64::from(index) << (SCALE - scale);
    let (octave, sub) = (1023 + (fine >> 6), (fine & 63) as usize);
    match octave {
        1..=2046 => f64::from_bits((octave as u64) << 52 | BOUNDARIES[sub]),
        2047.. => f64::INFINITY,
        // Subnormal ends: exact enough at scale 6, where a single bucket has one.
        _ => ((fine as f64) / 64.0 + 52.0).exp2() * f64::EPSILON,
    }
}

/// The explicit bucket of `value`: upper bounds are inclusive, the last bucket has none.
pub(super) fn explicit(bounds: &[f64], value: f64) -> usize {
    if bounds.len() <= 32 {
        bounds.iter().map(|bound| usize::from(value > *bound)).sum()
    } else {
        bounds.partition_point(|bound| *bound < value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Little-endian base 2^32, enough for an exact check of 64th powers.
    fn multiply(a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut out = vec![0u32; a.len() + b.len()];
        for (i, &x) in a.iter().enumerate() {
            let mut carry = 0u64;
            for (j, &y) in b.iter().enumerate() {
                let sum = u64::from(x) * u64::from(y) + u64::from(out[i + j]) + carry;
                out[i + j] = sum as u32;
                carry = sum >> 32;
            }
            out[i + b.len()] = carry as u32;
        }
        out
    }

    /// Whether n^64 <= 2^power, n below 2^64.
    fn power_64_at_most(n: u64, power: usize) -> bool {
        let mut value = vec![n as u32, (n >> 32) as u32];
        for _ in 0..6 {
            value = multiply(&value, &value);
        }
        while value.last() == Some(&0) {
            value.pop();
        }
        let bits = value.len() * 32 - value.last().unwrap().leading_zeros() as usize;
        let is_power = value.iter().map(|limb| limb.count_ones()).sum::<u32>() == 1;
        bits <= power || (bits == power + 1 && is_power)
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic alone, and slow")]
    fn boundaries_are_exact() {
        for (s, &fraction) in BOUNDARIES.iter().enumerate() {
            let floor = (1u64 << 52) + fraction;
            assert!(power_64_at_most(floor, 52 * 64 + s), "{s} too high");
            assert!(!power_64_at_most(floor + 1, 52 * 64 + s), "{s} too low");
        }
    }

    #[test]
    fn every_boundary_splits_exactly() {
        let one = 1.0f64.to_bits();
        for (s, &fraction) in BOUNDARIES.iter().enumerate() {
            let at = Place::of(f64::from_bits(one + fraction)).unwrap();
            let above = Place::of(f64::from_bits(one + fraction + 1)).unwrap();
            assert_eq!(above, Place { octave: 1023, sub: s });
            let before = if s == 0 {
                Place { octave: 1022, sub: 63 }
            } else {
                Place { octave: 1023, sub: s - 1 }
            };
            assert_eq!(at, before);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic alone, and slow")]
    fn a_scan_of_an_octave_counts_boundaries() {
        for step in 0..100_000u64 {
            let fraction = step * ((1 << 52) / 100_000) + 1;
            let place = Place::of(f64::from_bits(1.0f64.to_bits() + fraction)).unwrap();
            let expected = BOUNDARIES.iter().filter(|b| **b < fraction).count() - 1;
            assert_eq!(place.sub, expected);
        }
    }

    #[test]
    fn the_ends_of_the_doubles() {
        assert_eq!(Place::of(f64::MIN_POSITIVE), Some(Place { octave: 0, sub: 63 }));
        assert_eq!(Place::of(f64::MAX), Some(Place { octave: 2046, sub: 63 }));
        for outside in [0.0, -0.0, -1.0, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert_eq!(Place::of(outside), None, "{outside}");
        }
        assert_eq!(Place::of_magnitude(5e-324), Place::of(f64::MIN_POSITIVE));
    }

    #[test]
    fn ends_cover_the_doubles() {
        assert_eq!(lower_end(-1022 * 64, SCALE), f64::MIN_POSITIVE);
        assert_eq!(lower_end(64, SCALE), 2.0);
        assert_eq!(lower_end(1, -10), f64::INFINITY);
        assert_eq!(lower_end(-2, 0), 0.25);
    }

    #[test]
    fn explicit_bounds_are_upper_inclusive() {
        let few = [1.0, 2.0, 5.0];
        assert_eq!([0.5, 1.0, 1.5, 2.0, 5.0, 6.0].map(|v| explicit(&few, v)), [0, 0, 1, 1, 2, 3]);
        let many: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!([-1.0, 0.0, 0.5, 99.0, 99.5].map(|v| explicit(&many, v)), [0, 0, 1, 99, 100]);
    }
}
