//! F11: how a service ends is told from how it is stopped.

use super::target::{Target, command};
use health_reporter::{Check, HealthReport, State, Status};
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;

fn check<'a>(report: &'a HealthReport, name: &str) -> Option<&'a Check> {
    report.checks.iter().find(|check| check.name == name)
}

fn ended(words: &[&str], command: &str) -> (HealthReport, std::process::ExitStatus) {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), words);
    target.flushed();
    target.tell(command);
    let status = target.ended();
    (target.report(), status)
}

#[test]
fn f11_an_error_out_of_main_is_no_goodbye() {
    let (report, status) = ended(&["run"], "fail no such camera");
    assert_eq!(status.code(), Some(1));
    assert_eq!((report.state, report.overall_status), (State::Running, Status::Error));
    assert_eq!(report.recent_errors[0].message, "no such camera");
}

#[test]
fn f11_a_run_that_returns_has_stopped_by_intention() {
    let (report, status) = ended(&["run"], "return");
    assert!(status.success());
    assert_eq!((report.state, report.overall_status), (State::Stopped, Status::Healthy));
    assert_eq!(check(&report, "goodbye").unwrap().message.as_deref(), Some("returned"));
}

#[test]
fn f11_neither_dropping_the_reporter_nor_exit_is_a_goodbye() {
    for command in ["return", "exit 3"] {
        let (report, _) = ended(&[], command);
        assert_eq!(report.state, State::Running, "{command}");
    }
}

#[test]
fn what_was_recorded_last_is_out_when_the_reporter_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.flushed();
    target.tell("task the very last thing\nreturn");
    target.ended();
    assert_eq!(target.report().current_task.as_deref(), Some("the very last thing"));
}

#[test]
fn f11_a_panic_is_recorded_with_its_place() {
    for words in [&[] as &[&str], &["run"]] {
        let (report, status) = ended(words, "panic the shutter jammed");
        assert_eq!(status.code(), Some(101));
        let message = &report.recent_errors[0].message;
        assert!(message.starts_with("panicked at ") && message.contains("fault_target.rs"), "{message}");
        assert!(message.ends_with(": the shutter jammed"), "{message}");
        assert_eq!((report.state, report.overall_status), (State::Running, Status::Error));
    }
}

#[test]
fn f11_a_signal_without_the_hook_is_a_crash_and_with_it_a_goodbye() {
    for (words, state) in [(&[] as &[&str], State::Running), (&["signals"], State::Stopped)] {
        for signal in [Signal::TERM, Signal::INT] {
            let dir = tempfile::tempdir().unwrap();
            let mut target = Target::start(dir.path(), words);
            target.flushed();
            target.signal(signal);
            assert_eq!(target.ended().signal(), Some(signal.as_raw()), "as if nobody had caught it");
            let report = target.report();
            assert_eq!(report.state, state, "{words:?} {signal:?}");
            let said = check(&report, "goodbye").and_then(|check| check.message.clone());
            assert_eq!(said.is_some_and(|said| said.starts_with("SIG")), state == State::Stopped);
        }
    }
}

#[test]
fn nothing_is_written_after_a_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &["interval_ms=50"]);
    target.ask("stop the show is over");
    let goodbye = target.report();
    assert_eq!((goodbye.state, goodbye.overall_status), (State::Stopped, Status::Healthy));
    target.ask("error too late");
    assert_eq!(target.ask("flush"), "0 ended");
    target.ask("stop again");
    target.tell("return");
    target.ended();
    assert_eq!(target.report(), goodbye);
}

#[test]
fn a_job_that_is_done_says_until_when_that_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.ask("finish 93600");
    let report = target.report();
    assert_eq!((report.state, report.deadline_s), (State::Finished, Some(93_600.0)));
}

#[test]
fn a_service_that_is_not_ready_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &["starting"]);
    assert_eq!(target.flushed().state, State::Starting);
    target.ask("ready");
    assert_eq!(target.flushed().state, State::Running);
}

#[test]
fn a_wrong_word_at_the_start_is_told_and_a_missing_directory_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let refused = command(dir.path(), &["service=../camera"]).output().unwrap();
    assert!(!refused.status.success());
    let below = dir.path().join("not/there/yet");
    assert_eq!(Target::start(&below, &[]).flushed().overall_status, Status::Healthy);
}
