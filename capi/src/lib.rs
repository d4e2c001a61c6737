//! The functions of the C interface of coati.
//!
//! `include/coati.h` is generated from this crate and says what holds for a caller; `coati.hpp`
//! wraps it for C++. Every function catches panics, every handle may be null, and what a pointer
//! owns is told by its type.

// C names for C types.
#![allow(non_camel_case_types)]
// One contract holds for all functions; it stands once, at the head of the header.
#![allow(clippy::missing_safety_doc)]

// In the order in which the header shows them.
pub mod version;

pub mod status;

pub mod types;

pub mod engine;

pub mod logger;

pub mod span;

pub mod current;

pub mod context;

pub mod metrics;

pub mod buffer;

pub mod last_error;

pub mod host;

#[cfg(all(test, unix))]
mod edge;
mod entry;
mod exit;
mod fields;
mod handle;
mod keys;
mod text;
