//! Lock-free recording core of coati.
//!
//! A caller's `record` is: level check, clock read, encode into this thread's ring. This crate
//! holds everything on that path and nothing that does I/O; `coati-export` drains what it records.

pub mod metrics;
pub mod sync;
