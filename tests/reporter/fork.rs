//! A service that forks: the child has a copy of the reporter, and none of its threads.

use super::target::{Target, command, reports_in};
use crate::support::run;
use health_reporter::{State, Status};
use std::path::{Path, PathBuf};

/// Each at another moment of what the other threads do.
const FORKS: usize = 200;
/// The child does what waits in the parent for up to 5 s.
const AT_ONCE_US: u64 = 500_000;

/// Between the program and its C library; `yield_now` forks.
fn forking_shim(dir: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/fork_on_yield.c");
    let shim = dir.join("fork_on_yield.so");
    run("cc", &["-shared", "-fPIC", "-O1", "-o", shim.to_str().unwrap(), source]);
    shim
}

#[test]
fn a_forked_child_writes_nothing_waits_for_nothing_and_its_end_is_not_the_parents() {
    let (dir, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut service = command(dir.path(), &["interval_ms=50"]);
    let mut target = Target::from_command(dir.path(), service.env("LD_PRELOAD", forking_shim(tools.path())));
    target.flushed();
    target.ask("busy");
    target.tell(&format!("fork {FORKS}"));
    let mut slowest = 0;
    for _ in 0..FORKS {
        let line = target.line();
        let (flushed, micros) = line.split_once(' ').unwrap();
        assert_eq!(flushed, "ended", "flush in the child");
        slowest = slowest.max(micros.parse().unwrap());
        let report = target.report();
        assert_eq!((report.pid, report.state), (Some(u64::from(target.pid())), State::Running));
    }
    assert_eq!(target.line(), format!("forked {FORKS}"));
    println!("{FORKS} children, the slowest did all its calls in {slowest} µs");
    assert!(slowest < AT_ONCE_US, "{slowest} µs");
    let report = target.flushed();
    assert_eq!((report.pid, report.state), (Some(u64::from(target.pid())), State::Running));
    assert_eq!((report.overall_status, report.error_count), (Status::Healthy, 0));
    assert!(report.checks.iter().all(|check| check.name != "child" && check.name != "goodbye"));
    assert_eq!(reports_in(dir.path()), ["camera.json"]);
}
