//! A file of whole lines (rotation to come).
#![allow(missing_docs)]
use std::io::{self, Write};
#[derive(Clone)]
pub struct RotateConfig {
    pub path: std::path::PathBuf,
    pub rotate_bytes: Option<u64>,
    pub rotate_seconds: Option<u64>,
    pub keep: Option<usize>,
    pub keep_days: Option<u64>,
    pub gzip: bool,
}
pub struct RotatingFile(std::fs::File);
impl RotatingFile {
    pub fn open(c: RotateConfig) -> io::Result<Self> {
        if let Some(parent) = c.path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(Self(std::fs::OpenOptions::new().append(true).create(true).open(c.path)?))
    }
    pub fn write_lines(&mut self, b: &[u8]) -> io::Result<()> {
        self.0.write_all(b)
    }
    pub fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}
