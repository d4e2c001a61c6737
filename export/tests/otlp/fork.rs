//! A fork while an export is under way: parent and child both go on exporting their own.

use serde_json::json;

use crate::grpc_receiver::GrpcReceiver;
use crate::receiver::{Answer, PATIENCE, Receiver, Taken, numbers};
use crate::send::{log, sorted, start};

/// Runs `work` in a forked child.
fn in_child(work: impl FnOnce()) -> i32 {
    // SAFETY: the child runs `work` and leaves by `_exit`, without unwinding into the test harness.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(outcome.is_err())) };
    }
    assert!(pid > 0);
    pid
}

fn wait_for(pid: i32) {
    let mut status = 0;
    // SAFETY: a child of this process and a valid place for its status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "status {status}");
}

/// Forks while the parent's first request hangs; `release` lets it go on.
fn fork_under_way(
    url: &str,
    protocol: &str,
    release: impl FnOnce(),
    taken: impl Fn() -> Vec<Taken>,
) {
    let spool = tempfile::tempdir().unwrap();
    let engine = start(json!({"endpoint": url, "protocol": protocol, "spool": spool.path()}));
    log(&engine, 0..10);
    let children: Vec<_> = (1..4)
        .map(|child| {
            in_child(|| {
                log(&engine, child * 100..child * 100 + 50);
                assert!(engine.flush(PATIENCE), "{}", engine.health());
                let books = engine.shutdown(PATIENCE);
                assert_eq!((books.logs.recorded, books.logs.delivered), (50, 50), "{books:?}");
            })
        })
        .collect();
    log(&engine, 10..20);
    release();
    children.into_iter().for_each(wait_for);
    assert!(engine.flush(PATIENCE));
    let books = engine.shutdown(PATIENCE);
    assert_eq!((books.logs.recorded, books.logs.delivered), (20, 20));
    let expected: Vec<i64> =
        (0..20).chain((1..4).flat_map(|child| child * 100..child * 100 + 50)).collect();
    assert_eq!(sorted(numbers(&taken(), "i")), expected, "each once");
}

#[test]
fn parent_and_children_go_on_over_http() {
    let receiver = Receiver::start();
    receiver.always(Answer::HoldUntilReleased);
    let url = receiver.url();
    fork_under_way(
        &url,
        "http/protobuf",
        || {
            receiver.wait_seen(1);
            receiver.release();
        },
        || receiver.taken(),
    );
}

#[test]
fn parent_and_children_go_on_over_grpc() {
    let receiver = GrpcReceiver::start(None);
    receiver.hang(true);
    let url = format!("http://{}", receiver.address);
    fork_under_way(
        &url,
        "grpc",
        || {
            receiver.wait_seen(1);
            receiver.hang(false);
        },
        || receiver.taken(),
    );
}
