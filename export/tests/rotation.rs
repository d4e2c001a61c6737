//! The rotating file on a real file system, alone and shared.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use coati_export::sink::rotate::{RotateConfig, RotatingFile};
use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(120);

fn config(directory: &TempDir) -> RotateConfig {
    RotateConfig {
        path: directory.path().join("logs/coati.jsonl"),
        rotate_bytes: None,
        rotate_seconds: None,
        keep: None,
        keep_days: None,
        gzip: false,
    }
}

fn open(config: &RotateConfig) -> RotatingFile {
    RotatingFile::open(config.clone()).unwrap()
}

fn lines(numbers: impl IntoIterator<Item = u32>) -> String {
    numbers.into_iter().map(|number| format!("line {number}\n")).collect()
}

/// Every file beside `path` that is not `path`, in order.
fn closed(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file != path);
    files.sort();
    files
}

fn text(path: &Path) -> String {
    let mut text = String::new();
    let file = File::open(path).unwrap();
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => MultiGzDecoder::new(file).read_to_string(&mut text),
        false => { file }.read_to_string(&mut text),
    }
    .unwrap();
    text
}

fn everything(path: &Path) -> String {
    let mut files = closed(path);
    files.extend(path.exists().then(|| path.to_owned()));
    files.iter().map(|file| text(file)).collect()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn size_bounds_every_file_and_no_line_is_torn_or_lost() {
    let directory = tempfile::tempdir().unwrap();
    let config = RotateConfig { rotate_bytes: Some(100), ..config(&directory) };
    let mut file = open(&config);
    let all = lines(0..200);
    file.write_lines(lines(0..50).as_bytes()).unwrap();
    for number in 50..200 {
        file.write_lines(lines([number]).as_bytes()).unwrap();
    }
    let files = closed(&config.path);
    assert!(files.len() >= all.len() / 100);
    for file in files.iter().chain([&config.path]) {
        assert!(fs::metadata(file).unwrap().len() <= 100);
        assert!(text(file).ends_with('\n'));
    }
    assert_eq!(everything(&config.path), all, "closed files sort by age");

    let long = format!("{}\n", "x".repeat(500));
    file.write_lines(format!("{long}a\n{long}").as_bytes()).unwrap();
    assert_eq!(everything(&config.path), format!("{all}{long}a\n{long}"));
    assert_eq!(file.take_problem(), None);
}

#[test]
fn age_counts_from_the_first_line_and_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let config = RotateConfig { rotate_seconds: Some(1), ..config(&directory) };
    let mut file = open(&config);
    let mut written = 0..;
    wait_for("rotation by age", || {
        file.write_lines(lines(written.next()).as_bytes()).unwrap();
        closed(&config.path).len() == 1
    });
    wait_for("rotation by age across restarts", || {
        open(&config).write_lines(lines(written.next()).as_bytes()).unwrap();
        closed(&config.path).len() == 2
    });
    assert_eq!(everything(&config.path), lines(0..written.start));
}

#[test]
fn closed_files_are_compressed_and_keep_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let config = RotateConfig { rotate_bytes: Some(1000), gzip: true, ..config(&directory) };
    let mut file = open(&config);
    for number in 0..1000 {
        file.write_lines(lines([number]).as_bytes()).unwrap();
    }
    let is_gzip = |file: &PathBuf| file.to_string_lossy().ends_with(".jsonl.gz");
    wait_for("compression", || closed(&config.path).iter().all(is_gzip));
    assert_eq!(everything(&config.path), lines(0..1000));
    assert_eq!(file.take_problem(), None);
}

#[test]
fn what_a_dead_process_left_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    let config = RotateConfig { gzip: true, ..config(&directory) };
    let logs = config.path.parent().unwrap();
    fs::create_dir(logs).unwrap();
    let plain = logs.join("coati.20240229T120000Z-000001.jsonl");
    let time = SystemTime::now() - Duration::from_secs(100_000);
    fs::write(&plain, lines(0..5)).unwrap();
    OpenOptions::new().append(true).open(&plain).unwrap().set_modified(time).unwrap();
    fs::write(logs.join("coati.20240229T120000Z-000001.jsonl.gz.tmp"), "half of it").unwrap();
    fs::write(logs.join("coati.20240229T120000Z-000002.jsonl.gz.tmp"), "orphan").unwrap();
    let _file = open(&config);
    let compressed = logs.join("coati.20240229T120000Z-000001.jsonl.gz");
    wait_for("leftovers", || closed(&config.path) == [compressed.clone()]);
    assert_eq!(text(&compressed), lines(0..5));
    let kept = fs::metadata(&compressed).unwrap().modified().unwrap();
    assert!(kept.duration_since(time).unwrap_or_default() < Duration::from_millis(1));
}

#[test]
fn only_so_many_closed_files_stay() {
    for gzip in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&directory);
        let config = RotateConfig { rotate_bytes: Some(10), keep: Some(3), gzip, ..config };
        let mut file = open(&config);
        let other = config.path.with_file_name("coati.123.jsonl");
        fs::write(&other, "of another process").unwrap();
        for number in 10..30 {
            file.write_lines(lines([number]).as_bytes()).unwrap();
        }
        drop(file);
        let mine = || closed(&config.path).into_iter().filter(|file| *file != other);
        wait_for("three closed files", || mine().count() == 3);
        fs::remove_file(&other).unwrap();
        assert_eq!(everything(&config.path), lines(26..30));
    }
}

#[test]
fn old_closed_files_go() {
    let directory = tempfile::tempdir().unwrap();
    let config = RotateConfig { keep_days: Some(2), ..config(&directory) };
    let logs = config.path.parent().unwrap();
    fs::create_dir(logs).unwrap();
    let day = Duration::from_secs(86_400);
    for (number, age) in [(1, day * 3), (2, day)] {
        let path = logs.join(format!("coati.20240229T120000Z-00000{number}.jsonl.gz"));
        fs::write(&path, "").unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    let _file = open(&config);
    let young = logs.join("coati.20240229T120000Z-000002.jsonl.gz");
    wait_for("deletion by age", || closed(&config.path) == [young.clone()]);
}

#[test]
fn it_appends_and_ends_a_torn_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    open(&config).write_lines(b"a\n").unwrap();
    open(&config).write_lines(b"b\n").unwrap();
    OpenOptions::new().append(true).open(&config.path).unwrap().write_all(b"torn").unwrap();
    open(&config).write_lines(b"c\n").unwrap();
    assert_eq!(text(&config.path), "a\nb\ntorn\nc\n");
}

#[test]
fn removed_and_moved_files_are_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let mut file = open(&config);
    file.write_lines(b"a\n").unwrap();
    let moved = config.path.with_file_name("moved");
    fs::rename(&config.path, &moved).unwrap();
    file.write_lines(b"b\n").unwrap();
    assert_eq!((text(&moved).as_str(), text(&config.path).as_str()), ("a\n", "b\n"));
    fs::remove_file(&config.path).unwrap();
    file.write_lines(b"c\n").unwrap();
    assert_eq!(text(&config.path), "c\n");
    fs::remove_dir_all(config.path.parent().unwrap()).unwrap();
    file.write_lines(b"d\n").unwrap();
    file.sync().unwrap();
    assert_eq!(text(&config.path), "d\n");
}

#[test]
fn an_error_is_returned_and_the_next_call_tries_again() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let mut file = open(&config);
    let logs = config.path.parent().unwrap();
    fs::remove_dir_all(logs).unwrap();
    fs::write(logs, "in the way").unwrap();
    assert!(file.write_lines(b"a\n").is_err());
    assert!(file.write_lines(b"b\n").is_err());
    assert!(RotatingFile::open(config.clone()).is_err());
    fs::remove_file(logs).unwrap();
    file.write_lines(b"c\n").unwrap();
    assert_eq!(text(&config.path), "c\n");
}

#[cfg(unix)]
#[test]
fn a_link_stays_and_its_target_rotates() {
    let directory = tempfile::tempdir().unwrap();
    let config = RotateConfig { rotate_bytes: Some(4), ..config(&directory) };
    let target = directory.path().join("elsewhere/real.jsonl");
    fs::create_dir(target.parent().unwrap()).unwrap();
    fs::create_dir(config.path.parent().unwrap()).unwrap();
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, &config.path).unwrap();
    open(&config).write_lines(b"a\nb\nc\n").unwrap();
    assert!(config.path.is_symlink());
    let target = fs::canonicalize(target).unwrap();
    assert_eq!((closed(&target).len(), everything(&target).as_str()), (1, "a\nb\nc\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_written_to_and_never_rotated() {
    let directory = tempfile::tempdir().unwrap();
    let base = RotateConfig { rotate_bytes: Some(1), ..config(&directory) };
    let mut null = open(&RotateConfig { path: "/dev/null".into(), ..base.clone() });
    null.write_lines(b"a\nb\n").unwrap();
    let mut full = open(&RotateConfig { path: "/dev/full".into(), ..base });
    let error = full.write_lines(b"a\nb\n").unwrap_err();
    assert_eq!(error.error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!((null.take_problem(), full.take_problem()), (None, None));
}

/// Tests that need a process of their own run this binary again with this variable.
const ROLE: &str = "COATI_ROTATION_ROLE";

fn run_again(test: &str, role: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[cfg(unix)]
#[test]
fn a_batch_cut_short_is_taken_back() {
    if let Ok(path) = std::env::var(ROLE) {
        let config = RotateConfig { path: path.into(), ..config(&tempfile::tempdir().unwrap()) };
        let mut file = open(&config);
        file.write_lines(lines(0..10).as_bytes()).unwrap();
        let whole = fs::metadata(&config.path).unwrap().len();
        let limit = libc::rlimit { rlim_cur: whole + 12, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: plain system calls of this process, which is the test's own.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
        }
        assert!(file.write_lines(lines(10..20).as_bytes()).is_err());
        assert_eq!(text(&config.path), lines(0..10), "twelve bytes had been written");
        file.write_lines(lines([20]).as_bytes()).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    let mut child = run_again("a_batch_cut_short_is_taken_back", path.to_str().unwrap());
    assert!(child.wait().unwrap().success());
    assert_eq!(text(&path), lines((0..10).chain([20])));
}

#[test]
fn processes_share_a_file() {
    const LINES: u32 = 3000;
    let shared = |path: PathBuf| RotateConfig {
        path,
        rotate_bytes: Some(20_000),
        rotate_seconds: None,
        keep: None,
        keep_days: None,
        gzip: true,
    };
    if let Ok(role) = std::env::var(ROLE) {
        let (writer, path) = role.split_once(':').unwrap();
        let mut file = open(&shared(path.into()));
        for number in (0..LINES).step_by(3) {
            let line = |number| format!("{writer} {number} {}\n", "x".repeat(number as usize % 90));
            let batch: String = (number..number + 3).map(line).collect();
            file.write_lines(batch.as_bytes()).unwrap();
        }
        assert_eq!(file.take_problem(), None);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shared.jsonl");
    let role = |writer| format!("{writer}:{}", path.display());
    let children: Vec<_> =
        (0..4).map(|writer| run_again("processes_share_a_file", &role(writer))).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let _file = open(&shared(path.clone()));
    let is_gzip = |file: &PathBuf| file.to_string_lossy().ends_with(".jsonl.gz");
    wait_for("compression", || closed(&path).iter().all(is_gzip));
    assert!(closed(&path).len() > 10);

    let mut next = [0; 4];
    for line in everything(&path).lines() {
        let mut parts = line.split(' ');
        let mut number = || parts.next().unwrap().parse::<u32>().unwrap();
        let (writer, number) = (number() as usize, number());
        assert_eq!(number, next[writer], "each writer's lines are there once and in order");
        assert_eq!(parts.next().unwrap().len(), number as usize % 90, "and whole");
        next[writer] += 1;
    }
    assert_eq!(next, [LINES; 4]);
}
