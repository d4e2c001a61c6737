//! Exporters of coati.

pub mod config;
pub mod prometheus;
