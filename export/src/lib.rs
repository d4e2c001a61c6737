//! Exporters of coati.

pub mod prometheus;
