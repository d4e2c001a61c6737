//! One request in one file: a head with a checksum, then the body as it will be sent.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::otlp::compose::Encoding;
use crate::otlp::signal::Signal;

const MAGIC: &[u8; 8] = b"coatiSP1";
const HEAD: usize = 8 + 4 + 1 + 1 + 2 + 8;

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The signal.
    pub signal: Signal,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// Items in the body.
    pub records: u64,
    /// The body.
    pub body: Vec<u8>,
}

/// Writes a file for its owner alone, under another name until it is whole.
pub fn write(path: &Path, content: &Content) -> io::Result<u64> {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[12] = content.signal as u8;
    head[13] = content.encoding as u8;
    head[16..].copy_from_slice(&content.records.to_le_bytes());
    let sum = checksum(&head, &content.body);
    head[8..12].copy_from_slice(&sum.to_le_bytes());
    let unfinished = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&unfinished).and_then(|mut file| {
        file.write_all(&head)?;
        file.write_all(&content.body)?;
        fs::rename(&unfinished, path)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok((HEAD + content.body.len()) as u64)
}

/// Reads a file; `InvalidData` where it is not as it was written.
pub fn read(path: &Path) -> io::Result<Content> {
    let corrupt = || io::Error::from(io::ErrorKind::InvalidData);
    let bytes = fs::read(path)?;
    let (head, body) = bytes.split_first_chunk::<HEAD>().ok_or_else(corrupt)?;
    let sum = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    if &head[..8] != MAGIC || sum != checksum(head, body) {
        return Err(corrupt());
    }
    let mut records = [0; 8];
    records.copy_from_slice(&head[16..]);
    Ok(Content {
        signal: Signal::from_u8(head[12]).ok_or_else(corrupt)?,
        encoding: Encoding::from_u8(head[13]).ok_or_else(corrupt)?,
        records: u64::from_le_bytes(records),
        body: body.to_vec(),
    })
}

/// Of everything but the checksum itself.
fn checksum(head: &[u8; HEAD], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&head[12..]);
    sum.update(body);
    sum.finalize()
}
