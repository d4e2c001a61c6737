//! Head sampling: decided once per trace, from what every service sees alike.

use super::SpanContext;
use crate::ids::TraceId;

/// What decides on traces that begin here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Root {
    /// Keep all.
    On,
    /// Keep none.
    Off,
    /// Keep this share, chosen by the trace id, so that services with the same ratio agree.
    Ratio(f64),
}

/// A sampler with one of the names of `OTEL_TRACES_SAMPLER`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// For traces that begin here, or for all.
    pub root: Root,
    /// Whether a child does as its parent did.
    pub parent_based: bool,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { root: Root::On, parent_based: true }
    }
}

/// Names accepted by [`Sampler::from_name`].
pub const NAMES: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

const ON: u64 = 0;
const OFF: u64 = 1;
const RATIO: u64 = 2;
const PARENT_BASED: u64 = 4;

impl Sampler {
    /// The sampler called `name`, with the share `ratio` where it has one.
    pub fn from_name(name: &str, ratio: f64) -> Option<Self> {
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Root::On,
            "always_off" => Root::Off,
            "traceidratio" => Root::Ratio(ratio.clamp(0.0, 1.0)),
            _ => return None,
        };
        Some(Self { root, parent_based })
    }

    /// One word: kind in the low bits, then 56 bits of threshold.
    pub(crate) fn pack(self) -> u64 {
        let parent = if self.parent_based { PARENT_BASED } else { 0 };
        parent
            | match self.root {
                Root::On => ON,
                Root::Off => OFF,
                Root::Ratio(ratio) if ratio >= 1.0 => ON,
                Root::Ratio(ratio) => RATIO | ((ratio * (1u64 << 56) as f64) as u64) << 8,
            }
    }

    pub(crate) fn unpack(word: u64) -> Self {
        let root = match word & 3 {
            ON => Root::On,
            OFF => Root::Off,
            _ => Root::Ratio((word >> 8) as f64 / (1u64 << 56) as f64),
        };
        Self { root, parent_based: word & PARENT_BASED != 0 }
    }

    /// Whether the trace is kept.
    #[inline]
    pub fn sample(&self, parent: Option<&SpanContext>, trace_id: TraceId) -> bool {
        if let (true, Some(parent)) = (self.parent_based, parent) {
            return parent.is_sampled();
        }
        match self.root {
            Root::On => true,
            Root::Off => false,
            Root::Ratio(ratio) => below(trace_id, ratio),
        }
    }
}

/// OpenTelemetry's `TraceIdRatioBased`: the id's last 8 bytes, as a number, against the ratio; here
/// by their upper 56 bits.
fn below(trace_id: TraceId, ratio: f64) -> bool {
    let [.., a, b, c, d, e, f, g, _] = trace_id.0;
    let number = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
    number < (ratio * (1u64 << 56) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Generator;

    #[test]
    fn names_survive_packing() {
        for name in NAMES {
            let sampler = Sampler::from_name(name, 0.25).unwrap();
            assert_eq!(Sampler::unpack(sampler.pack()), sampler, "{name}");
        }
        assert_eq!(Sampler::from_name("sometimes", 1.0), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "arithmetic alone, and slow")]
    fn a_ratio_keeps_its_share_and_children_follow() {
        let generator = Generator::seeded();
        let sampler = Sampler::from_name("parentbased_traceidratio", 0.1).unwrap();
        let kept = (0..100_000).filter(|_| sampler.sample(None, generator.trace_id())).count();
        assert!((9_500..10_500).contains(&kept), "{kept}");
        let parent = SpanContext { trace_flags: 1, ..SpanContext::default() };
        assert!((0..100).all(|_| sampler.sample(Some(&parent), generator.trace_id())));
    }
}
