//! The names of closed files: `stem.20260131T235959Z-000001.extension`, then `.gz`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::encode::time::civil;

pub(super) const GZIP: &str = ".gz";
pub(super) const UNFINISHED: &str = ".gz.tmp";

#[derive(Clone, Debug)]
pub(super) struct Names {
    directory: PathBuf,
    /// `stem.`
    prefix: OsString,
    /// `.extension`, or nothing.
    suffix: OsString,
    /// Second and number of the last name given.
    last: (String, u32),
}

/// The forms of one closed file that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forms {
    pub plain: bool,
    pub gzip: bool,
    pub unfinished: bool,
}

impl Names {
    /// The names that belong to the file at `path`.
    pub fn of(path: &Path) -> io::Result<Self> {
        let (Some(directory), Some(stem)) = (path.parent(), path.file_stem()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        };
        let mut prefix = stem.to_owned();
        prefix.push(".");
        let mut suffix = OsString::new();
        if let Some(extension) = path.extension() {
            suffix.push(".");
            suffix.push(extension);
        }
        Ok(Self { directory: directory.into(), prefix, suffix, last: Default::default() })
    }

    /// A path nothing is at, after all that were given before.
    pub fn next(&mut self, now: SystemTime) -> PathBuf {
        let second = second(now).max(self.last.0.clone());
        if second != self.last.0 {
            self.last = (second, 0);
        }
        loop {
            self.last.1 += 1;
            let path = self.path(OsStr::new(&format!("{}-{:06}", self.last.0, self.last.1)));
            let taken = |path: &Path| path.symlink_metadata().is_ok();
            if !taken(&path) && !taken(&with(&path, GZIP)) {
                return path;
            }
        }
    }

    /// The path of a closed file that is not compressed.
    pub fn path(&self, moment: &OsStr) -> PathBuf {
        let mut name = self.prefix.clone();
        name.push(moment);
        name.push(&self.suffix);
        self.directory.join(name)
    }

    /// The closed files, oldest first, by the part of their name that is their moment.
    pub fn list(&self) -> io::Result<BTreeMap<String, Forms>> {
        let mut closed = BTreeMap::<String, Forms>::new();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(closed),
            entries => entries?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let Some((moment, form)) = self.parse(name.as_encoded_bytes()) else { continue };
            let forms = closed.entry(moment.into()).or_default();
            match form {
                b"" => forms.plain = true,
                b".gz" => forms.gzip = true,
                _ => forms.unfinished = true,
            }
        }
        Ok(closed)
    }

    /// The moment in a closed file's name, and what follows the extension.
    fn parse<'a>(&self, name: &'a [u8]) -> Option<(&'a str, &'a [u8])> {
        const SECOND: usize = "20260131T235959Z-".len();
        let rest = name.strip_prefix(self.prefix.as_encoded_bytes())?;
        let (second, rest) = rest.split_at_checked(SECOND)?;
        let sound = second.iter().enumerate().all(|(at, byte)| match at {
            8 => *byte == b'T',
            15 => *byte == b'Z',
            16 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let form = rest[digits..].strip_prefix(self.suffix.as_encoded_bytes())?;
        let moment = &name[self.prefix.len()..self.prefix.len() + SECOND + digits];
        let known = form.is_empty() || form == GZIP.as_bytes() || form == UNFINISHED.as_bytes();
        (sound && digits >= 6 && known).then_some((str::from_utf8(moment).ok()?, form))
    }
}

/// `path` with `end` at its end.
pub(super) fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn second(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (year, month, day) = civil(since / 86_400);
    let (hour, minute, second) = (since / 3600 % 24, since / 60 % 60, since % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_sort_and_never_repeat() {
        let directory = tempfile::tempdir().unwrap();
        let mut names = Names::of(&directory.path().join("a.b.jsonl")).unwrap();
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_208_000);
        let mut next = |seconds: i64| {
            let path = match seconds < 0 {
                true => names.next(noon - Duration::from_secs(seconds.unsigned_abs())),
                false => names.next(noon + Duration::from_secs(seconds as u64)),
            };
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        let given = [next(0), next(0), next(-5), next(1)];
        assert_eq!(given[0], "a.b.20240229T120000Z-000001.jsonl");
        assert_eq!(given[2], "a.b.20240229T120000Z-000003.jsonl");
        assert_eq!(given[3], "a.b.20240229T120001Z-000001.jsonl");
        assert!(given.is_sorted());

        fs::write(directory.path().join("a.b.20240229T120001Z-000002.jsonl.gz"), "").unwrap();
        assert_eq!(next(1), "a.b.20240229T120001Z-000003.jsonl");
    }

    #[test]
    fn only_own_names_are_listed() {
        let directory = tempfile::tempdir().unwrap();
        let mine = "20240229T120000Z-000001";
        for name in [
            format!("a.{mine}.jsonl"),
            format!("a.{mine}.jsonl.gz"),
            format!("a.{mine}.jsonl.gz.tmp"),
            format!("a.{mine}.jsonl.bak"),
            format!("a.77.{mine}.jsonl"),
            format!("b.{mine}.jsonl"),
            format!("a.{mine}.log"),
            "a.20240229T120000Z-1.jsonl".into(),
            "a.2024022xT120000Z-000001.jsonl".into(),
            "a.jsonl".into(),
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let names = Names::of(&directory.path().join("a.jsonl")).unwrap();
        let all = Forms { plain: true, gzip: true, unfinished: true };
        assert_eq!(names.list().unwrap(), BTreeMap::from([(mine.to_owned(), all)]));
    }
}
