//! Open spans as others see them: for heartbeats and time-outs.
//!
//! Only what is watched stands here, in slots that its starters write and one watcher reads, each
//! guarded by a sequence number. Nobody waits: a reader that meets a change passes the slot over.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::SpanKind;
use crate::ids::{SpanId, TraceId};
use crate::intern::Id;
use crate::span::SpanContext;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
/// Slots that are made at once.
const BLOCK: usize = 256;
/// Slots that a thread takes at once, and keeps at most twice as many of.
const TAKEN: usize = 32;
/// Words of a name; the rest of a longer one is left out.
const NAME_WORDS: usize = 6;
const WORDS: usize = 8 + NAME_WORDS;

const OPEN: u64 = 1;
const LATE: u64 = 2;
const GENERATION: u64 = 4;

/// One span.
#[repr(align(128))]
struct Slot {
    /// Whether it is open and late, and how often the slot has been used.
    state: AtomicU64,
    /// When it was found late, in nanoseconds since the epoch.
    late_at: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            late_at: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }
}

/// The table of watched spans.
pub struct Watch {
    blocks: Box<[OnceLock<Box<[Slot; BLOCK]>>]>,
    /// Slots made so far.
    made: AtomicU32,
    free: Mutex<Vec<u32>>,
    used: AtomicBool,
}

/// A span that has begun.
pub(crate) struct Begun<'a> {
    pub context: &'a SpanContext,
    pub parent: SpanId,
    pub tracer: Id,
    pub kind: SpanKind,
    /// In ticks.
    pub start: u64,
    /// In nanoseconds, 0 for the setting's.
    pub timeout: u64,
    pub name: &'a str,
}

/// A watched span that is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Tells it from others in the same slot.
    pub generation: u64,
    /// Whether it has been found late.
    pub late: bool,
    /// Its ids and flags.
    pub context: SpanContext,
    /// Its parent's id, or none.
    pub parent: SpanId,
    /// The word of its tracer.
    pub tracer: Id,
    /// What it stands for.
    pub kind: SpanKind,
    /// When it began, in ticks.
    pub start: u64,
    /// Its own time-out in nanoseconds, 0 for none.
    pub timeout: u64,
    /// The name it began with, perhaps cut.
    pub name: String,
}

impl Watch {
    /// A table with room for so many spans.
    pub(crate) fn new(most: usize) -> Self {
        let blocks = most.clamp(BLOCK, 1 << 20).div_ceil(BLOCK);
        Self {
            blocks: (0..blocks).map(|_| OnceLock::new()).collect(),
            made: AtomicU32::new(0),
            free: Mutex::default(),
            used: AtomicBool::new(false),
        }
    }

    /// Whether anything has ever been watched.
    pub fn is_used(&self) -> bool {
        // Relaxed: a reader that comes too early comes again.
        self.used.load(Ordering::Relaxed)
    }

    /// Slots there are.
    pub fn slots(&self) -> u32 {
        // Acquire: pairs with the Release in `take`; the blocks below have been made.
        self.made.load(Ordering::Acquire)
    }

    fn slot(&self, slot: u32) -> Option<&Slot> {
        let block = self.blocks.get(slot as usize / BLOCK)?.get()?;
        Some(&block[slot as usize % BLOCK])
    }

    /// Takes slots for a thread.
    #[cold]
    fn take(&self, own: &mut Vec<u32>) {
        self.used.store(true, Ordering::Relaxed);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < TAKEN {
            let made = self.made.load(Ordering::Relaxed);
            if let Some(block) = self.blocks.get(made as usize / BLOCK) {
                block.get_or_init(|| Box::new([const { Slot::new() }; BLOCK]));
                free.extend((made..made + BLOCK as u32).rev());
                self.made.store(made + BLOCK as u32, Ordering::Release);
            }
        }
        let left = free.len().saturating_sub(TAKEN);
        own.extend(free.drain(left..));
    }

    /// Gives slots back.
    pub(crate) fn give(&self, slots: impl IntoIterator<Item = u32>) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(slots);
    }

    /// Watches a span from now on; where it stands. Without room it is not watched.
    pub(crate) fn begin(&self, own: &mut Vec<u32>, span: &Begun<'_>) -> u32 {
        if own.is_empty() {
            self.take(own);
        }
        let Some(index) = own.pop() else { return NONE };
        let Some(slot) = self.slot(index) else { return NONE };
        let mut name = [0u8; NAME_WORDS * 8];
        let cut = span.name.floor_char_boundary(name.len());
        name[..cut].copy_from_slice(&span.name.as_bytes()[..cut]);
        let [high, low] = bytemuck::cast::<_, [u64; 2]>(span.context.trace_id);
        let meta = u64::from(span.tracer.0)
            | (span.kind as u64) << 32
            | u64::from(span.context.trace_flags) << 40
            | (cut as u64) << 48;
        let words = [
            high,
            low,
            bytemuck::cast(span.context.span_id),
            bytemuck::cast(span.parent),
            span.start,
            span.timeout,
            meta,
            0,
        ];
        let generation = (slot.state.load(Ordering::Relaxed) / GENERATION + 1) * GENERATION;
        // Whoever sees one of the words below sees the slot closed before: pairs with the fence in
        // `read`.
        fence(Ordering::Release);
        let name: [u64; NAME_WORDS] = bytemuck::cast(name);
        for (to, word) in slot.words.iter().zip(words.into_iter().chain(name)) {
            to.store(word, Ordering::Relaxed);
        }
        // Release: who finds it open finds the words.
        slot.state.store(generation | OPEN, Ordering::Release);
        index
    }

    /// The span in a slot has ended; when it was found late, if it was.
    pub(crate) fn end(&self, own: &mut Vec<u32>, index: u32) -> Option<u64> {
        let slot = self.slot(index)?;
        // AcqRel: exchanged, so that either the watcher's mark is seen here or the watcher sees the
        // end; with the mark comes its time.
        let state = slot
            .state
            .swap(slot.state.load(Ordering::Relaxed) & !(GENERATION - 1), Ordering::AcqRel);
        own.push(index);
        if own.len() > 2 * TAKEN {
            self.give(own.drain(TAKEN..));
        }
        (state & LATE != 0).then(|| slot.late_at.load(Ordering::Relaxed))
    }

    /// The span in a slot, if one is open there.
    pub fn read(&self, index: u32) -> Option<Open> {
        let slot = self.slot(index)?;
        let before = slot.state.load(Ordering::Acquire);
        if before & OPEN == 0 {
            return None;
        }
        let mut words = [0; WORDS];
        for (word, from) in words.iter_mut().zip(&slot.words) {
            *word = from.load(Ordering::Relaxed);
        }
        // Pairs with the fence in `begin`.
        fence(Ordering::Acquire);
        if slot.state.load(Ordering::Relaxed) & !LATE != before & !LATE {
            return None;
        }
        let [high, low, span_id, parent, start, timeout, meta, _, name @ ..] = words;
        let name: [u8; NAME_WORDS * 8] = bytemuck::cast(name);
        let name = &name[..(meta >> 48) as usize];
        Some(Open {
            generation: before / GENERATION,
            late: before & LATE != 0,
            context: SpanContext {
                trace_id: TraceId(bytemuck::cast([high, low])),
                span_id: SpanId(bytemuck::cast(span_id)),
                trace_flags: (meta >> 40) as u8,
                remote: false,
            },
            parent: SpanId(bytemuck::cast(parent)),
            tracer: Id(meta as u32),
            kind: SpanKind::from_u8((meta >> 32) as u8),
            start,
            timeout,
            name: String::from_utf8_lossy(name).into_owned(),
        })
    }

    /// Marks a span as late, which it tells of at its end; `false` where it has ended meanwhile or is
    /// marked already. For one watcher.
    pub fn mark_late(&self, index: u32, open: &Open, wall_ns: u64) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        slot.late_at.store(wall_ns, Ordering::Relaxed);
        let state = (open.generation * GENERATION) | OPEN;
        // Release: with the mark its time is seen.
        slot.state
            .compare_exchange(state, state | LATE, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("slots", &self.made).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Generator;

    fn begun<'a>(context: &'a SpanContext, name: &'a str, start: u64) -> Begun<'a> {
        let (parent, tracer, kind) = (SpanId([7; 8]), Id(9), SpanKind::Client);
        Begun { context, parent, tracer, kind, start, timeout: 5, name }
    }

    fn context() -> SpanContext {
        let ids = Generator::seeded();
        let (trace_id, span_id) = (ids.trace_id(), ids.span_id());
        SpanContext { trace_id, span_id, trace_flags: 3, remote: false }
    }

    #[test]
    fn what_begins_is_seen_until_it_ends() {
        let (watch, mut own) = (Watch::new(300), Vec::new());
        assert!(!watch.is_used());
        let context = context();
        let slot = watch.begin(&mut own, &begun(&context, "näme", 11));
        let open = watch.read(slot).unwrap();
        assert_eq!((&open.context, &*open.name, open.start), (&context, "näme", 11));
        assert_eq!(
            (open.parent, open.tracer, open.kind),
            (SpanId([7; 8]), Id(9), SpanKind::Client)
        );
        assert!((0..watch.slots()).filter(|slot| watch.read(*slot).is_some()).eq([slot]));
        assert_eq!(watch.end(&mut own, slot), None);
        assert_eq!(watch.read(slot), None);
        let again = watch.begin(&mut own, &begun(&context, &"é".repeat(50), 12));
        assert_eq!(again, slot);
        let open = watch.read(again).unwrap();
        assert_eq!((open.name, open.generation), ("é".repeat(24), 2));
    }

    #[test]
    fn a_mark_meets_its_span_or_nobody() {
        let (watch, mut own) = (Watch::new(1), Vec::new());
        let context = context();
        let slot = watch.begin(&mut own, &begun(&context, "a", 1));
        let open = watch.read(slot).unwrap();
        assert!(watch.mark_late(slot, &open, 77));
        assert!(watch.read(slot).unwrap().late);
        assert_eq!(watch.end(&mut own, slot), Some(77));
        assert!(!watch.mark_late(slot, &open, 79));
        let slot = watch.begin(&mut own, &begun(&context, "b", 2));
        assert!(!watch.mark_late(slot, &open, 80));
        assert_eq!(watch.end(&mut own, slot), None);
    }

    #[test]
    fn room_is_bounded_and_used_again() {
        let (watch, mut own) = (Watch::new(BLOCK), Vec::new());
        let context = context();
        let all: Vec<_> =
            (0..BLOCK).map(|_| watch.begin(&mut own, &begun(&context, "", 0))).collect();
        assert!(all.iter().all(|slot| *slot != NONE));
        assert_eq!(watch.begin(&mut own, &begun(&context, "", 0)), NONE);
        all.iter().for_each(|slot| {
            watch.end(&mut own, *slot);
        });
        assert!(own.len() <= 2 * TAKEN);
        let mut other = Vec::new();
        assert_ne!(watch.begin(&mut other, &begun(&context, "", 0)), NONE);
    }

    /// A reader beside a writer never sees one span's words under another's.
    #[test]
    fn what_is_read_is_whole() {
        let watch = Watch::new(1);
        let rounds: u64 = if cfg!(miri) { 50 } else { 50_000 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut own, mut context) = (Vec::new(), context());
                for n in 1..=rounds {
                    context.span_id = SpanId(n.to_le_bytes());
                    let name = n.to_string();
                    let slot = watch.begin(&mut own, &begun(&context, &name, n));
                    watch.end(&mut own, slot);
                }
            });
            for _ in 0..rounds {
                for open in (0..watch.slots()).filter_map(|slot| watch.read(slot)) {
                    assert_eq!(open.name, open.start.to_string());
                    assert_eq!(open.context.span_id.0, open.start.to_le_bytes());
                }
            }
        });
    }
}
