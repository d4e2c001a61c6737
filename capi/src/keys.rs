//! Keys by address: what a call finds at the same place as the last one is not looked up again.
//!
//! A small direct-mapped table per thread. The address only chooses the place in it; the text is
//! compared, so a reused address cannot name another key.

use std::cell::Cell;

use coati_core::intern::{self, Id, MAX_LEN};

use crate::handle::slice;

const SLOTS: usize = 128;

#[derive(Clone, Copy)]
struct Entry {
    gist: [u64; 2],
    len: u32,
    id: u32,
    text: *const u8,
}

/// A thread's own table.
pub(crate) struct Cache([Cell<Entry>; SLOTS]);

/// Takes the table away with the thread.
struct Owner(Box<Cache>);

thread_local! {
    /// Null before the first look-up and after the thread's end.
    static TABLE: Cell<*const Cache> = const { Cell::new(std::ptr::null()) };
    // On the heap: memory of thread-locals that are found without a call is scarce.
    static OWNER: Owner = Owner(Box::new(Cache([const { Cell::new(Entry::NONE) }; SLOTS])));
}

coati_core::thread_address!(
    fn address() and fn known_address() -> *const Cell<*const Cache>,
    of TABLE, as "coati_capi_keys_0_1"
);

impl Drop for Owner {
    fn drop(&mut self) {
        TABLE.with(|table| table.set(std::ptr::null()));
    }
}

/// This thread's table; none when the thread is about to end.
#[inline(always)]
pub(crate) fn cache<'a>() -> Option<&'a Cache> {
    // SAFETY: a thread-local without a destructor lives as long as its thread.
    let table = unsafe { &*address() }.get();
    // SAFETY: null, or the table that its owner takes away only when the thread ends and no call
    // is under way; a reference to cells cannot leave the thread.
    unsafe { table.as_ref() }.or_else(first)
}

#[cold]
#[inline(never)]
fn first<'a>() -> Option<&'a Cache> {
    let made = OWNER.try_with(|owner| std::ptr::from_ref(&*owner.0)).ok()?;
    TABLE.with(|table| table.set(made));
    // SAFETY: as above.
    Some(unsafe { &*made })
}

/// The id of `key`; `None` where it has none and the text itself has to be written.
pub(crate) fn id(key: &[u8]) -> Option<Id> {
    match cache() {
        // SAFETY: a slice is readable.
        Some(cache) => unsafe { cache.id_at(key.as_ptr(), key.len()) },
        None => intern::intern(std::str::from_utf8(key).ok()?),
    }
}

#[inline(always)]
fn slot(key: *const u8, len: usize) -> usize {
    let mixed = (key as u64 ^ (len as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 57) as usize
}

impl Cache {
    /// The id of the key of `len` bytes at `key`; `None` where it has none and the text itself has
    /// to be written, or where there is nothing that could be a key.
    ///
    /// # Safety
    /// `key` is null or readable for `len` bytes.
    #[inline(always)]
    pub(crate) unsafe fn id_at(&self, key: *const u8, len: usize) -> Option<Id> {
        let cell = &self.0[slot(key, len)];
        let entry = cell.get();
        // No entry has the length 0, none one that is longer than any text.
        // SAFETY: not null, so readable.
        if entry.len as usize == len && !key.is_null() && unsafe { entry.is(key) } {
            return Some(Id(entry.id));
        }
        // SAFETY: the caller's promise.
        look_up(cell, unsafe { slice(key, len) }.ok()?)
    }
}

impl Entry {
    /// As long as no key is.
    const NONE: Self = Self { gist: [0; 2], len: u32::MAX, id: 0, text: std::ptr::null() };

    /// Whether `key`, as long as this key, is this key.
    ///
    /// # Safety
    /// It is readable for so many bytes.
    #[inline(always)]
    unsafe fn is(&self, key: *const u8) -> bool {
        let len = self.len as usize;
        // SAFETY: `text` has `len` bytes, the text of an interned key, which is never freed; the
        // caller's promise.
        unsafe {
            gist(key, len) == self.gist
                && (len <= 16
                    || std::slice::from_raw_parts(self.text, len)
                        == std::slice::from_raw_parts(key, len))
        }
    }
}

#[cold]
#[inline(never)]
fn look_up(cell: &Cell<Entry>, key: &[u8]) -> Option<Id> {
    if key.len() > MAX_LEN {
        return None;
    }
    let id = intern::intern(std::str::from_utf8(key).ok()?)?;
    let text = intern::text(id)?.as_bytes();
    if !text.is_empty() {
        // SAFETY: a slice is readable.
        let gist = unsafe { gist(text.as_ptr(), text.len()) };
        cell.set(Entry { gist, len: text.len() as u32, id: id.0, text: text.as_ptr() });
    }
    Some(id)
}

/// Two words that differ for any two texts of the same length of up to 16 bytes: the beginning and
/// the end, which may overlap.
///
/// # Safety
/// `from` is readable for `len` bytes, which are not 0.
#[inline(always)]
unsafe fn gist(from: *const u8, len: usize) -> [u64; 2] {
    // SAFETY: every read, unaligned, ends at or before `len`.
    unsafe {
        let word = |at: usize| from.add(at).cast::<u64>().read_unaligned();
        let half = |at: usize| u64::from(from.add(at).cast::<u32>().read_unaligned());
        match len {
            0..=3 => {
                [u64::from(*from) | u64::from(*from.add(len / 2)) << 8, (*from.add(len - 1)).into()]
            }
            4..=7 => [half(0), half(len - 4)],
            _ => [word(0), word(len - 8)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_compared_whole() {
        for len in 0..60 {
            // At one address, so that all meet in one place of the table.
            let mut key = vec![b'k'; len];
            let all_k = id(&key).unwrap();
            for at in 0..len {
                key[at] = b'x';
                let other = id(&key).unwrap();
                assert_eq!(intern::text(other).map(str::as_bytes), Some(&*key), "{len} {at}");
                key[at] = b'k';
                assert_eq!(id(&key), Some(all_k), "{len} {at}");
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
