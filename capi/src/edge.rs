//! Texts behind which nothing may be read.

/// Calls `f` with a copy of `text` whose last byte is the last one that may be read.
pub(crate) fn at_the_end_of_a_page(text: &[u8], f: impl FnOnce(&[u8])) {
    // SAFETY: always succeeds.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    assert!(text.len() <= page);
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
    // SAFETY: two pages of our own, of which the second is taken away; the copy ends where it
    // begins, and nobody uses either after they are gone.
    unsafe {
        let pages = libc::mmap(std::ptr::null_mut(), 2 * page, access, kind, -1, 0);
        assert_ne!(pages, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(pages.byte_add(page), page, libc::PROT_NONE), 0);
        let copy = pages.byte_add(page - text.len()).cast::<u8>();
        copy.copy_from_nonoverlapping(text.as_ptr(), text.len());
        f(std::slice::from_raw_parts(copy, text.len()));
        assert_eq!(libc::munmap(pages, 2 * page), 0);
    }
}
