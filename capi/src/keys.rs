//! Keys by address: what a call finds at the same place as the last one is not looked up again.
//!
//! A small direct-mapped table per thread. The address only chooses the place in it; the text is
//! compared, so a reused address cannot name another key.

use std::cell::Cell;

use coati_core::intern::{self, Id, MAX_LEN};

const SLOTS: usize = 128;

#[derive(Clone, Copy)]
struct Entry {
    text: *const u8,
    len: u32,
    id: u32,
}

/// A thread's own table.
pub(crate) struct Cache([Cell<Entry>; SLOTS]);

thread_local! {
    static CACHE: Cache =
        const { Cache([const { Cell::new(Entry { text: std::ptr::null(), len: u32::MAX, id: 0 }) }; SLOTS]) };
}

/// This thread's table.
#[inline(always)]
pub(crate) fn cache<'a>() -> &'a Cache {
    // SAFETY: a thread-local without a destructor lives as long as its thread, and a reference to
    // cells cannot leave the thread.
    unsafe { &*CACHE.with(std::ptr::from_ref) }
}

#[inline(always)]
fn slot(key: &[u8]) -> usize {
    let mixed =
        (key.as_ptr() as u64 ^ (key.len() as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 57) as usize
}

impl Cache {
    /// The id of `key`; `None` where it has none and the text itself has to be written.
    #[inline(always)]
    pub(crate) fn id(&self, key: &[u8]) -> Option<Id> {
        let entry = &self.0[slot(key)];
        let Entry { text, len, id } = entry.get();
        // SAFETY: `text` has `len` bytes, the text of an interned key, which is never freed.
        if len as usize == key.len() && unsafe { same(key.as_ptr(), text, key.len()) } {
            return Some(Id(id));
        }
        look_up(entry, key)
    }
}

#[cold]
#[inline(never)]
fn look_up(entry: &Cell<Entry>, key: &[u8]) -> Option<Id> {
    if key.len() > MAX_LEN {
        return None;
    }
    let id = intern::intern(std::str::from_utf8(key).ok()?)?;
    let text = intern::text(id)?;
    entry.set(Entry { text: text.as_ptr(), len: text.len() as u32, id: id.0 });
    Some(id)
}

/// As `memcmp`, inlined: words from the front and one, overlapping, from the back.
///
/// # Safety
/// Both have `len` bytes.
#[inline(always)]
unsafe fn same(a: *const u8, b: *const u8, len: usize) -> bool {
    // SAFETY: every read ends at or before `len`; reads are unaligned.
    unsafe {
        let differ = |at: usize| {
            let of = |text: *const u8| text.add(at).cast::<u64>().read_unaligned();
            of(a) ^ of(b)
        };
        let differ_half = |at: usize| {
            let of = |text: *const u8| text.add(at).cast::<u32>().read_unaligned();
            of(a) ^ of(b)
        };
        match len {
            0..=3 => (0..len).all(|at| *a.add(at) == *b.add(at)),
            4..=7 => differ_half(0) | differ_half(len - 4) == 0,
            8..=16 => differ(0) | differ(len - 8) == 0,
            _ => (0..len - 8).step_by(8).fold(0, |all, at| all | differ(at)) | differ(len - 8) == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(key: &[u8]) -> Option<Id> {
        cache().id(key)
    }

    #[test]
    fn texts_of_any_length_are_compared_whole() {
        for len in 0..60 {
            let a = vec![b'k'; len];
            // SAFETY: both have `len` bytes.
            assert!(unsafe { same(a.as_ptr(), a.clone().as_ptr(), len) });
            for at in 0..len {
                let mut b = a.clone();
                b[at] = b'x';
                // SAFETY: both have `len` bytes.
                assert!(!unsafe { same(a.as_ptr(), b.as_ptr(), len) }, "{len} {at}");
            }
        }
    }

    #[test]
    fn a_reused_address_is_a_new_key() {
        let mut key = *b"first";
        let first = id(&key).unwrap();
        assert_eq!(id(&key), Some(first));
        key = *b"other";
        let other = id(&key).unwrap();
        assert_ne!(first, other);
        assert_eq!(intern::text(other), Some("other"));
    }

    #[test]
    fn what_is_no_key_has_no_id() {
        assert_eq!(id(&[b'k'; MAX_LEN + 1]), None);
        assert_eq!(id(b"\xff"), None);
        assert_eq!(id(b"").and_then(intern::text), Some(""));
    }
}
