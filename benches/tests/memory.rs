//! A tenth of the memory bench: growth is bounded by the table of defaults, not by what was recorded.

use std::process::Command;

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded_by_the_defaults() {
    let ran = Command::new(env!("CARGO_BIN_EXE_memory")).arg("0.1").output().unwrap();
    let printed = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{printed}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(printed.matches("\"ok\":true").count(), 6, "{printed}");
}
