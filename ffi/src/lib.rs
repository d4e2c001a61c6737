//! The C interface of coati as a shared and a static library: the functions of `coati-capi` under
//! their C names.
//!
//! `include/coati.h` is generated from that crate and says what holds for a caller; `coati.hpp`
//! wraps it for C++.

pub use coati_capi::*;
