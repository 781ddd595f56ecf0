//! Each system call of a write and of a claim fails, or is the last that the process makes.

use super::target::{Target, stages};
use health_reporter::{HealthReport, State, read};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

/// What strace calls them, and what the system says of them.
const ERRORS: [(&str, &str); 5] = [
    ("ENOSPC", "No space left"),
    ("EIO", "Input/output error"),
    ("EACCES", "Permission denied"),
    ("EMFILE", "Too many open files"),
    ("EROFS", "Read-only file system"),
];
const CALLS_OF_A_WRITE: [&str; 6] = ["openat", "fchmod", "fallocate", "write", "close", "renameat"];
const CALLS_OF_A_CLAIM: [&str; 9] =
    ["mkdir", "openat", "flock", "fchmod", "mkdirat", "getdents64", "write", "close", "renameat"];
/// More of one call than a claim makes.
const MANY: usize = 20;

/// What is done before the write, so that it has to do more than usual.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    /// The directory is gone, so the writer claims its slot anew.
    Removal,
}

struct Story {
    dir: tempfile::TempDir,
    log: tempfile::NamedTempFile,
    target: Target,
    told: usize,
}

impl Story {
    fn begin() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut target = Target::start(&dir.path().join("health"), &["deadline_ms=60000"]);
        target.ask("task old");
        target.flushed();
        Self { dir, log: tempfile::NamedTempFile::new().unwrap(), target, told: 0 }
    }

    fn health_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("health")
    }

    fn present(&self) -> Option<HealthReport> {
        present(&self.health_dir())
    }

    fn prepare(&self, before: Before) {
        if before == Before::Removal {
            fs::remove_dir_all(self.health_dir()).unwrap();
        }
    }

    /// One write during which one call fails; nothing if there was no such call.
    fn fail(&mut self, call: &str, nth: usize, error: (&str, &str), before: Before) -> Option<bool> {
        let old = self.present();
        self.told += 1;
        let task = format!("{call} {nth} {} {}", error.0, self.told);
        self.prepare(before);
        let injection = format!("{call}:error={}:when={nth}", error.0);
        let injected = self.target.inject(&injection, self.log.path());
        assert_eq!(self.target.ask(&format!("task {task}")), "ok", "the host goes on");
        let answer = self.target.ask("flush");
        let failed = !answer.ends_with(" ok");
        let (was_injected, told) = (injected.end(), self.target.ask("last_error"));
        if failed {
            assert!(
                was_injected && answer.contains(error.1) && told.contains(error.1),
                "{task}: {answer}; {told}"
            );
            let kept = if before == Before::Nothing { old } else { None };
            assert_eq!(self.present(), kept, "{task}: a failed write changes nothing");
        } else {
            let shown = self.present().and_then(|report| report.current_task);
            assert_eq!(
                shown.as_deref(),
                Some(&*task),
                "{answer}; {told}\n{}",
                fs::read_to_string(self.log.path()).unwrap()
            );
        }
        self.heals(failed);
        was_injected.then_some(failed)
    }

    /// The next write is as good as any other, and tells of those that failed.
    fn heals(&mut self, failed: bool) {
        let healed = self.target.flushed();
        assert_eq!(healed.write_failures > 0, failed);
        assert_eq!(self.target.ask("failures"), "0");
        assert_eq!(stages(&self.health_dir()), [""; 0]);
    }
}

/// The report, which is whole if it is there.
fn present(dir: &Path) -> Option<HealthReport> {
    match read::one(dir, &"camera".parse().unwrap()) {
        Ok(file) => Some(file.report),
        Err(unusable) if unusable.error == read::ReadError::Missing => None,
        Err(unusable) => panic!("torn: {}", unusable.error),
    }
}

/// How often each call failed, and how often the write failed with it.
fn fail_each(calls: &[&'static str], before: Before) -> BTreeMap<&'static str, (usize, usize)> {
    let mut story = Story::begin();
    let mut failures = BTreeMap::new();
    for call in calls {
        let count: &mut (usize, usize) = failures.entry(*call).or_default();
        for nth in 1..MANY {
            let Some(failed) = story.fail(call, nth, ERRORS[usize::from(nth % 2 == 0)], before) else {
                break;
            };
            *count = (count.0 + 1, count.1 + usize::from(failed));
        }
        for error in ERRORS {
            // A lock that may not be opened is another user's, and costs the slot: no failure.
            if (*call, before, error.0) != ("openat", Before::Removal, "EACCES") {
                story.fail(call, 1, error, before);
            }
        }
    }
    println!("calls that failed, and writes that failed with them: {failures:?}");
    failures
}

#[test]
fn any_call_of_a_write_may_fail() {
    let failures = fail_each(&CALLS_OF_A_WRITE, Before::Nothing);
    for call in ["openat", "fchmod", "write", "renameat"] {
        assert_eq!(failures[call], (1, 1), "{call}");
    }
    assert!(failures["close"].0 > 0);
}

#[test]
fn any_call_of_a_claim_may_fail() {
    let failures = fail_each(&CALLS_OF_A_CLAIM, Before::Removal);
    for call in ["openat", "mkdir", "mkdirat", "flock", "write", "renameat"] {
        assert!(failures[call].1 > 0, "{call}: {failures:?}");
    }
    assert!(failures["openat"].0 >= 5, "{failures:?}");
}

/// Whether there was such a call; if so, it was the last.
fn kill_at(call: &str, nth: usize, before: Before) -> bool {
    let mut story = Story::begin();
    let old = story.present();
    story.prepare(before);
    let injected = story.target.inject(&format!("{call}:signal=SIGKILL:when={nth}"), story.log.path());
    story.target.tell("task new\nflush\nreturn");
    let was_killed = story.target.ended().signal() == Some(9);
    injected.end();
    let left = story.present();
    let is_old = if before == Before::Nothing { left == old } else { left.is_none() };
    let is_new = left.as_ref().is_some_and(|report| report.current_task.as_deref() == Some("new"));
    assert!(is_old || is_new, "{call} {nth}: {left:?}");
    assert!(is_new || was_killed);
    let restarts = left.map_or(0, |report| report.restart_count + 1);
    assert_eq!(Target::start(&story.health_dir(), &[]).flushed().restart_count, restarts);
    assert_eq!(stages(&story.health_dir()), [""; 0], "{call} {nth}");
    was_killed
}

fn kill_at_each(calls: &[&str], before: Before) -> usize {
    calls.iter().map(|call| (1..MANY).take_while(|nth| kill_at(call, *nth, before)).count()).sum()
}

#[test]
fn any_call_of_a_write_may_be_the_last() {
    let kills = kill_at_each(&CALLS_OF_A_WRITE, Before::Nothing);
    assert!(kills >= 5, "{kills}");
}

#[test]
fn any_call_of_a_claim_may_be_the_last() {
    let kills = kill_at_each(&CALLS_OF_A_CLAIM, Before::Removal);
    assert!(kills >= 15, "{kills}");
}

#[test]
fn a_goodbye_survives_a_call_that_fails_once() {
    for call in ["openat", "write", "fsync", "renameat"] {
        let mut story = Story::begin();
        let injected = story.target.inject(&format!("{call}:error=EIO:when=1"), story.log.path());
        story.target.ask("finish 3600");
        assert!(injected.end(), "{call}");
        assert_eq!(story.present().unwrap().state, State::Finished, "{call}");
        assert_eq!(story.target.ask("failures"), "0");
    }
}

#[test]
fn a_finished_report_that_is_not_on_the_disk_is_not_shown() {
    let mut story = Story::begin();
    let old = story.present();
    let injected = story.target.inject("fsync:error=EIO:when=1+", story.log.path());
    let answer = story.target.ask("finish 3600");
    assert!(super::target::milliseconds(&answer).as_millis() < 2_500, "{answer}");
    assert!(injected.end());
    assert_eq!(story.present(), old);
    assert!(story.target.ask("last_error").contains("Input/output error"));
    assert_eq!(stages(&story.health_dir()), [""; 0]);
}
