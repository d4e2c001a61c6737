//! The metric store.
