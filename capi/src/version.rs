//! Which library this is.

use std::ffi::{CStr, c_char};

/// The version of this header. coati_abi_version returns that of the library; it grows when
/// something is added and a library with a smaller one lacks something.
pub const COATI_ABI_VERSION: u32 = 2;

/// The version of the binary interface.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub extern "C" fn coati_abi_version() -> u32 {
    COATI_ABI_VERSION
}

/// The version of the library, such as `0.1.0`; static.
#[cfg_attr(feature = "export", unsafe(no_mangle))]
pub extern "C" fn coati_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version without NUL"),
        };
    VERSION.as_ptr()
}
