//! Keys by their text: what a call has looked up lately is found without a hash of all its bytes.
//!
//! A small direct-mapped table per thread. The first and the last eight bytes choose the place in
//! it, and are all there is to compare where a key has no more than sixteen. Where a key lies does
//! not matter.

use std::cell::Cell;
use std::hint::cold_path;

use coati_core::intern::{self, Id, MAX_LEN};

use crate::handle::slice;

const SLOTS: usize = 128;

/// A key and what is known of it.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Entry {
    gist: [u64; 2],
    len: usize,
    known: Known,
    text: *const u8,
}

/// What a key stands for.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    /// Its id.
    pub(crate) id: Id,
    /// One of [`BITS`] bits; most keys have another one than their neighbours.
    pub(crate) bit: u64,
}

/// With so many, 256 keys can be added up in a word.
const BITS: u32 = 56;

/// A thread's own table.
pub(crate) struct Cache([Cell<Entry>; SLOTS]);

/// Takes the table away with the thread.
struct Owner(Box<Cache>);

thread_local! {
    // On the heap: memory of thread-locals that are found without a call is scarce.
    static OWNER: Owner = Owner(Box::new(Cache([const { Cell::new(Entry::NONE) }; SLOTS])));
}

// Null before the first look-up and after the thread's end.
coati_core::thread_block!(fn address() -> *const Cell<*const Cache>, as "coati_capi_keys_0_1");

#[inline(always)]
fn table<'a>() -> &'a Cell<*const Cache> {
    // SAFETY: a thread-local without a destructor lives as long as its thread, and a reference to
    // a cell cannot leave the thread.
    unsafe { &*address() }
}

impl Drop for Owner {
    fn drop(&mut self) {
        table().set(std::ptr::null());
    }
}

/// This thread's table if it has one.
#[inline(always)]
pub(crate) fn known_cache<'a>() -> Option<&'a Cache> {
    // SAFETY: null, or the table that its owner takes away only when the thread ends and no call
    // is under way; a reference to cells cannot leave the thread.
    unsafe { table().get().as_ref() }
}

/// This thread's table; none when the thread is about to end.
#[inline(always)]
pub(crate) fn cache<'a>() -> Option<&'a Cache> {
    known_cache().or_else(first)
}

#[cold]
#[inline(never)]
fn first<'a>() -> Option<&'a Cache> {
    let made = OWNER.try_with(|owner| std::ptr::from_ref(&*owner.0)).ok()?;
    table().set(made);
    // SAFETY: as above.
    Some(unsafe { &*made })
}

/// The id of `key`; `None` where it has none and the text itself has to be written.
pub(crate) fn id(key: &[u8]) -> Option<Id> {
    match cache() {
        // SAFETY: a slice is readable.
        Some(cache) => unsafe { cache.look_up(key.as_ptr(), key.len()) }.map(|known| known.id),
        None => intern::intern(std::str::from_utf8(key).ok()?),
    }
}

#[inline(always)]
fn place([first, last]: [u64; 2]) -> usize {
    let mixed = (first ^ last.rotate_left(24)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 57) as usize
}

impl Cache {
    /// What the key of `len` bytes at `key` stands for, if it has been looked up lately. Calls
    /// nothing.
    ///
    /// # Safety
    /// `key` is null or readable for `len` bytes.
    #[inline(always)]
    pub(crate) unsafe fn find(&self, key: *const u8, len: usize) -> Option<Known> {
        if key.is_null() {
            cold_path();
            return None;
        }
        // SAFETY: the caller's promise.
        let gist = unsafe { gist(key, len) };
        let entry = self.0[place(gist)].as_ptr();
        // SAFETY: nobody else has the cell while this runs, which calls nothing.
        let entry = unsafe { &*entry };
        // SAFETY: the key is as long as the entry's, which is checked first.
        let is = entry.gist == gist
            && entry.len == len
            && (len < 8 || len <= 16 || unsafe { entry.is_between(key) });
        if !is {
            cold_path();
            return None;
        }
        Some(entry.known)
    }

    /// What the key of `len` bytes at `key` stands for; `None` where it has no id and the text
    /// itself has to be written, or where there is nothing that could be a key.
    ///
    /// # Safety
    /// As for [`Cache::find`].
    #[inline(never)]
    pub(crate) unsafe fn look_up(&self, key: *const u8, len: usize) -> Option<Known> {
        // SAFETY: the caller's promise.
        unsafe { self.find(key, len) }.or_else(|| {
            // SAFETY: likewise.
            let entry = Entry::new(unsafe { slice(key, len) }.ok()?)?;
            self.0[place(entry.gist)].set(entry);
            Some(entry.known)
        })
    }
}

impl Entry {
    /// As long as no key is.
    const NONE: Self = Self {
        gist: [0; 2],
        len: usize::MAX,
        known: Known { id: Id(0), bit: 0 },
        text: std::ptr::null(),
    };

    /// The entry of a key that has an id.
    #[cold]
    fn new(key: &[u8]) -> Option<Self> {
        if key.len() > MAX_LEN {
            return None;
        }
        let id = intern::intern(std::str::from_utf8(key).ok()?)?;
        let text = intern::text(id)?;
        // SAFETY: a text is readable.
        let gist = unsafe { gist(text.as_ptr(), text.len()) };
        let known = Known { id, bit: 1 << (id.0 % BITS) };
        Some(Self { gist, len: text.len(), known, text: text.as_ptr() })
    }

    /// Whether all between the first and the last eight bytes is the same.
    ///
    /// # Safety
    /// `key` is readable for the length of this entry's key, which is more than eight.
    #[inline(always)]
    unsafe fn is_between(&self, key: *const u8) -> bool {
        let mut at = 8;
        // SAFETY: both are readable so far; a text that has been interned is never freed.
        while at + 8 < self.len && unsafe { word(key, at) == word(self.text, at) } {
            at += 8;
        }
        at + 8 >= self.len
    }
}

/// Two words that differ for any two texts of the same length of up to 16 bytes: the beginning and
/// the end, which may overlap.
///
/// # Safety
/// `text` is readable for `len` bytes.
#[inline(always)]
unsafe fn gist(text: *const u8, len: usize) -> [u64; 2] {
    // SAFETY: every read, unaligned, lies inside `len` bytes.
    unsafe {
        let byte = |at: usize| u64::from(*text.add(at));
        let half = |at: usize| u64::from(text.add(at).cast::<u32>().read_unaligned());
        if len < 4 {
            cold_path();
            if len == 0 {
                return [0; 2];
            }
            [byte(0), byte(len / 2) | byte(len - 1) << 8]
        } else if len < 8 {
            [half(0), half(len - 4)]
        } else {
            [word(text, 0), word(text, len - 8)]
        }
    }
}

/// # Safety
/// `text` is readable for eight bytes from `at`.
#[inline(always)]
unsafe fn word(text: *const u8, at: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { text.add(at).cast::<u64>().read_unaligned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::at_the_end_of_a_page;

    /// The same twice: looked up, and found without a call.
    fn id_twice(key: &[u8]) -> Option<Id> {
        let first = id(key);
        let cache = cache().unwrap();
        // SAFETY: a slice is readable.
        let found = unsafe { cache.find(key.as_ptr(), key.len()) };
        assert_eq!(found.map(|known| known.id), first, "{key:?}");
        first
    }

    #[test]
    fn texts_of_any_length_are_compared_whole() {
        for len in 0..60 {
            // At one address.
            let mut key = vec![b'k'; len];
            let all_k = id_twice(&key).unwrap();
            for at in 0..len {
                for other in [b'x', 0] {
                    key[at] = other;
                    let other = id_twice(&key).unwrap();
                    assert_eq!(intern::text(other).map(str::as_bytes), Some(&*key), "{len} {at}");
                }
                key[at] = 0xff;
                assert_eq!(id_twice(&key), None, "{len} {at}");
                key[at] = b'k';
                assert_eq!(id_twice(&key), Some(all_k), "{len} {at}");
            }
        }
    }

    #[test]
    fn a_reused_address_is_a_new_key() {
        let mut key = *b"first";
        let first = id_twice(&key).unwrap();
        key = *b"other";
        let other = id_twice(&key).unwrap();
        assert_ne!(first, other);
        assert_eq!(intern::text(other), Some("other"));
    }

    #[test]
    fn what_is_no_key_has_no_id() {
        assert_eq!(id(&[b'k'; MAX_LEN + 1]), None);
        assert_eq!(id(b"\xff"), None);
        assert_eq!(id(b"").and_then(intern::text), Some(""));
        let cache = cache().unwrap();
        for len in [0, 1, 5, 9, 17, usize::MAX] {
            // SAFETY: null.
            unsafe {
                assert!(cache.find(std::ptr::null(), len).is_none());
                assert!(len == 0 || cache.look_up(std::ptr::null(), len).is_none());
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "protects pages")]
    fn nothing_behind_a_key_is_read() {
        for len in 0..41 {
            at_the_end_of_a_page(&vec![b'e'; len], |key| {
                let text = id_twice(key).and_then(intern::text);
                assert_eq!(text.map(str::as_bytes), Some(key));
            });
        }
    }

    #[test]
    fn keys_of_one_bit_or_more_never_add_up_to_other_bits() {
        let bits = || (0..u64::from(BITS)).map(|at| 1u64 << at);
        assert_eq!(bits().fold(0, u64::wrapping_add), bits().fold(0, |all, bit| all | bit));
        for bit in bits() {
            for count in 2..=256u64 {
                assert_ne!(bit.checked_mul(count), Some(bit));
            }
        }
    }
}
