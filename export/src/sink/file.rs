//! JSON lines in a rotating file.

use std::io;

use super::rotate::{RotateConfig, RotatingFile};
use super::{Lost, Routed, Sink};
use crate::config::FileSink;

/// A file of JSON lines. Opened at its first batch; it opens itself again after an error.
pub struct File {
    name: String,
    config: RotateConfig,
    file: Option<RotatingFile>,
    fsync: bool,
    batch: Vec<u8>,
}

impl File {
    /// The file that `config` describes.
    pub fn new(config: &FileSink, child: Option<u32>) -> Self {
        let path = child.map_or_else(|| config.path.clone(), |pid| config.path_in_child(pid));
        let name = format!("file {}", path.display());
        let fsync = config.fsync;
        let config = RotateConfig {
            path,
            rotate_bytes: config.rotate_bytes,
            rotate_seconds: config.rotate_seconds,
            keep: config.keep,
            keep_days: config.keep_days,
            gzip: config.gzip,
        };
        Self { name, config, file: None, fsync, batch: Vec::new() }
    }

    fn open(&mut self) -> io::Result<&mut RotatingFile> {
        if self.file.is_none() {
            self.file = Some(RotatingFile::open(self.config.clone())?);
        }
        self.file.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Sink for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn accept(&mut self, record: &mut Routed<'_, '_>) {
        record.append_json(&mut self.batch);
    }

    fn commit(&mut self) -> Result<(), Lost> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let written = self.open().map_err(Lost::from).and_then(|file| file.write_lines(&batch));
        self.batch = batch;
        self.batch.clear();
        written
    }

    fn problem(&mut self) -> Option<String> {
        self.file.as_mut().and_then(RotatingFile::take_problem)
    }

    fn sync(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) if self.fsync => file.sync(),
            _ => Ok(()),
        }
    }
}
