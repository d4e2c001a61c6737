//! Names and keys, interned once to small ids.
//!
//! A hash table that only grows, without a lock: an id is the slot in which its text stands, and a
//! slot is claimed by one compare-and-swap. So a thread of a forked child can intern although a
//! thread of the parent was in the middle of it. Four levels, each four times the one before it:
//! a program with thirty names touches a few pages. When every probed slot is taken, callers write
//! the text itself into the record ([`crate::record::INLINE_KEY`]).

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The id of an interned text. Ids below [`FIRST_ID`] are reserved for [`reserved`] keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Id(pub u32);

/// Ids that stand for the keys the engine itself writes, apart from a user's field of that name.
pub mod reserved {
    use super::Id;
    /// `exception.type`
    pub const EXCEPTION_TYPE: Id = Id(1);
    /// `exception.message`
    pub const EXCEPTION_MESSAGE: Id = Id(2);
    /// `exception.stacktrace`
    pub const EXCEPTION_STACKTRACE: Id = Id(3);
    /// A log line's message as a value; see [`crate::record::flags::BODY`].
    pub const BODY: Id = Id(4);

    /// The logger of what is told of open spans.
    pub const OPEN_SPANS: Id = Id(5);
    /// [`crate::record::details::Details`] of a log line.
    pub const DETAILS: Id = Id(6);

    /// The text of a reserved id.
    pub fn text(id: Id) -> Option<&'static str> {
        match id {
            EXCEPTION_TYPE => Some("exception.type"),
            EXCEPTION_MESSAGE => Some("exception.message"),
            EXCEPTION_STACKTRACE => Some("exception.stacktrace"),
            BODY => Some("body"),
            OPEN_SPANS => Some("coati.spans"),
            DETAILS => Some("details"),
            _ => None,
        }
    }
}

/// The first id given to an interned text.
pub const FIRST_ID: u32 = 16;
/// Longer texts are not interned.
pub const MAX_LEN: usize = 256;

// Miri looks at the whole table whenever it is borrowed.
const FIRST_BITS: usize = if cfg!(miri) { 4 } else { 10 };
const LEVELS: [usize; 4] = [1 << FIRST_BITS, 4 << FIRST_BITS, 16 << FIRST_BITS, 64 << FIRST_BITS];
const SLOTS: usize = LEVELS[0] + LEVELS[1] + LEVELS[2] + LEVELS[3];
const PROBES: usize = 8;
/// Every id is below this.
pub const IDS: usize = FIRST_ID as usize + SLOTS;

struct Entry {
    text: Box<str>,
    /// The fork generation up to which every definition sink knows this entry.
    defined: AtomicU32,
}

static TABLE: [AtomicPtr<Entry>; SLOTS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; SLOTS];

fn hash(text: &[u8]) -> u64 {
    // FNV-1a: texts are short and this is the miss path.
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

fn slots(text: &str) -> impl Iterator<Item = usize> {
    let hash = hash(text.as_bytes());
    let mut base = 0;
    LEVELS.iter().enumerate().flat_map(move |(level, &len)| {
        let start = base;
        base += len;
        let first = (hash >> (level * 8)) as usize ^ (hash >> 32) as usize;
        (0..PROBES).map(move |probe| start + ((first + probe) & (len - 1)))
    })
}

fn entry(slot: usize) -> Option<&'static Entry> {
    // Acquire: pairs with the Release of the claiming exchange in `intern`, so the entry's fields
    // are visible.
    let entry = TABLE.get(slot)?.load(Ordering::Acquire);
    // SAFETY: a non-null pointer comes from `Box::into_raw` in `intern` and is never freed.
    unsafe { entry.as_ref() }
}

/// The id of `text`, new or not; `None` when the text is too long or the table is full.
pub fn intern(text: &str) -> Option<Id> {
    if text.len() > MAX_LEN {
        return None;
    }
    let mut fresh: *mut Entry = std::ptr::null_mut();
    let mut found = None;
    for slot in slots(text) {
        if let Some(entry) = entry(slot) {
            if *entry.text == *text {
                found = Some((slot, entry));
                break;
            }
            continue;
        }
        if fresh.is_null() {
            let text = text.into();
            fresh = Box::into_raw(Box::new(Entry { text, defined: AtomicU32::new(UNDEFINED) }));
        }
        // Release: publishes the entry's fields to the Acquire loads of `entry`. Acquire on
        // failure: the winner's fields are read below.
        match TABLE[slot].compare_exchange(
            std::ptr::null_mut(),
            fresh,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => {
                // SAFETY: `fresh` came from `Box::into_raw` above and now lives for ever.
                found = Some((slot, unsafe { &*fresh }));
                fresh = std::ptr::null_mut();
                break;
            }
            Err(winner) => {
                // SAFETY: a non-null entry is never freed.
                let winner = unsafe { &*winner };
                if *winner.text == *text {
                    found = Some((slot, winner));
                    break;
                }
            }
        }
    }
    if !fresh.is_null() {
        // SAFETY: `fresh` was never published, so this is its only owner.
        drop(unsafe { Box::from_raw(fresh) });
    }
    let (slot, entry) = found?;
    let id = Id(slot as u32 + FIRST_ID);
    definitions::ensure(id, entry);
    Some(id)
}

/// The text of `id`.
pub fn text(id: Id) -> Option<&'static str> {
    if id.0 < FIRST_ID {
        return reserved::text(id);
    }
    entry((id.0 - FIRST_ID) as usize).map(|entry| &*entry.text)
}

const UNDEFINED: u32 = u32::MAX;

pub use definitions::{Defining, DefinitionSink, define_into};

mod definitions {
    //! Where definitions are kept beside the rings, so that a file of records decodes without the
    //! process that wrote it.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, fence};

    use arc_swap::ArcSwapOption;

    use super::{AtomicPtr, AtomicU32, Entry, FIRST_ID, Id, Ordering, SLOTS, UNDEFINED, entry};

    /// Takes each definition before the first record that uses it is published; may see one twice.
    pub trait DefinitionSink: Send + Sync {
        /// Keeps that `id` stands for `text`.
        fn define(&self, id: Id, text: &str);
    }

    /// A place for a sink, used again once its sink has gone.
    struct Node {
        taken: AtomicBool,
        sink: ArcSwapOption<Box<dyn DefinitionSink>>,
        generation: AtomicU32,
        next: Option<&'static Node>,
    }

    /// A stack that only grows: there are as many places as engines with file-backed rings ran at
    /// once, and one for each fork on the way here.
    static SINKS: AtomicPtr<Node> = AtomicPtr::new(std::ptr::null_mut());

    fn nodes() -> impl Iterator<Item = &'static Node> {
        std::iter::successors(newest(), |node| node.next)
    }

    fn newest() -> Option<&'static Node> {
        // SAFETY: nodes are leaked; what changes in a published one is atomic.
        unsafe { SINKS.load(Ordering::Acquire).as_ref() }
    }

    /// Keeps a sink registered; dropping it lets go of the sink.
    #[must_use]
    pub struct Defining(&'static Node);

    impl std::fmt::Debug for Defining {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Defining")
        }
    }

    impl Drop for Defining {
        fn drop(&mut self) {
            // A forked child leaves its parent's sinks alone.
            if self.0.generation.load(Ordering::Relaxed) == crate::fork::generation() {
                self.0.sink.store(None);
                // Release: who takes the place next finds it empty.
                self.0.taken.store(false, Ordering::Release);
            }
        }
    }

    fn free_node() -> &'static Node {
        let claim = |node: &&Node| !node.taken.swap(true, Ordering::AcqRel);
        if let Some(node) = nodes().find(claim) {
            return node;
        }
        let node = Box::leak(Box::new(Node {
            taken: AtomicBool::new(true),
            sink: ArcSwapOption::empty(),
            generation: AtomicU32::new(UNDEFINED),
            next: None,
        }));
        loop {
            node.next = newest();
            let before = node
                .next
                .map_or(std::ptr::null_mut(), |next| std::ptr::from_ref::<Node>(next).cast_mut());
            // Release: publishes the node's fields.
            let pushed = SINKS.compare_exchange(before, node, Ordering::Release, Ordering::Relaxed);
            if pushed.is_ok() {
                return node;
            }
        }
    }

    /// Gives `sink` every definition there is and all that will come in this process, as long as
    /// the result is kept.
    pub fn define_into(sink: Box<dyn DefinitionSink>) -> Defining {
        let sink = Arc::new(sink);
        let node = free_node();
        node.generation.store(crate::fork::generation(), Ordering::Relaxed);
        node.sink.store(Some(sink.clone()));
        // SeqCst, as the fence in `ensure`: first the sink is registered, then the table is walked;
        // `intern` first makes the entry and then looks for sinks. One of the two sees the other,
        // so an entry made meanwhile is given.
        fence(Ordering::SeqCst);
        for slot in 0..SLOTS {
            if let Some(entry) = entry(slot) {
                sink.define(Id(slot as u32 + FIRST_ID), &entry.text);
            }
        }
        Defining(node)
    }

    pub(super) fn ensure(id: Id, entry: &Entry) {
        let generation = crate::fork::generation();
        // Acquire/Release: who finds the entry defined also finds the sinks' writes done, so the
        // definition is kept before any record that uses it.
        if entry.defined.load(Ordering::Acquire) == generation {
            return;
        }
        debug_assert_ne!(generation, UNDEFINED);
        fence(Ordering::SeqCst);
        for node in nodes() {
            let sink = node.sink.load();
            let ours = node.generation.load(Ordering::Relaxed) == generation;
            if let Some(sink) = sink.as_ref().filter(|_| ours) {
                sink.define(id, &entry.text);
            }
        }
        entry.defined.store(generation, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_one_id_in_every_thread() {
        let texts = if cfg!(miri) { 20 } else { 500 };
        let ids: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let intern = |i| intern(&format!("intern-test-{i}")).unwrap().0;
                        (0..texts).map(intern).collect()
                    })
                })
                .collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect()
        });
        for other in &ids[1..] {
            assert_eq!(&ids[0], other);
        }
        for (i, id) in ids[0].iter().enumerate() {
            assert_eq!(text(Id(*id)), Some(format!("intern-test-{i}").as_str()));
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_refused() {
        assert_eq!(intern(&"x".repeat(MAX_LEN + 1)), None);
        assert_eq!(text(Id(3)), Some("exception.stacktrace"));
        assert_eq!(text(Id(u32::MAX)), None);
    }
}
