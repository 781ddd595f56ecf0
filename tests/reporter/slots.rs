//! Several processes of one type, and one that is started again.

use super::target::{Target, report, reports_in};
use health_reporter::{State, Status};
use std::os::unix::fs::PermissionsExt;

#[test]
fn f8_four_writers_of_one_type_never_fail_and_never_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut writers: Vec<_> = (0..4).map(|_| Target::start(dir.path(), &[])).collect();
    for writer in &mut writers {
        writer.tell("writes 400");
    }
    for writer in &writers {
        assert_eq!(writer.line(), "0", "writes that failed");
    }
    let files = ["camera.json", "camera@2.json", "camera@3.json", "camera@4.json"];
    assert_eq!(reports_in(dir.path()), files);
    let reports = ["camera", "camera@2", "camera@3", "camera@4"].map(|name| report(dir.path(), name));
    let mut pids = reports.each_ref().map(|report| report.pid.unwrap());
    pids.sort_unstable();
    let mut started: Vec<_> = writers.iter().map(|writer| u64::from(writer.pid())).collect();
    started.sort_unstable();
    assert_eq!(pids.as_slice(), started);
    assert_eq!(reports.each_ref().map(|report| report.instance), [None, Some(2), Some(3), Some(4)]);
    assert!(reports.iter().all(|report| report.heartbeat_count >= 400 && report.write_failures == 0));
}

#[test]
fn a_slot_is_free_as_soon_as_its_process_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Target::start(dir.path(), &[]);
    first.flushed();
    let mut second = Target::start(dir.path(), &[]);
    second.ask("flush");
    assert_eq!(report(dir.path(), "camera@2").pid, Some(u64::from(second.pid())));
    first.kill();
    let mut third = Target::start(dir.path(), &[]);
    assert_eq!(third.flushed().pid, Some(u64::from(third.pid())));
    assert_eq!(reports_in(dir.path()), ["camera.json", "camera@2.json"]);
}

#[test]
fn only_a_start_after_an_end_without_goodbye_is_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for restarts in 0..3 {
        let mut target = Target::start(dir.path(), &[]);
        assert_eq!(target.flushed().restart_count, restarts);
        target.kill();
    }
    let mut target = Target::start(dir.path(), &[]);
    target.ask("stop enough");
    assert_eq!(target.report().restart_count, 3);
    drop(target);
    let mut target = Target::start(dir.path(), &[]);
    let report = target.flushed();
    assert_eq!((report.restart_count, report.state), (3, State::Running));
}

#[test]
fn what_went_wrong_in_the_last_run_is_still_told_in_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.ask("error the lens fell off");
    target.flushed();
    target.kill();
    let mut target = Target::start(dir.path(), &[]);
    let report = target.flushed();
    assert_eq!(report.recent_errors[0].message, "the lens fell off");
    assert_eq!((report.overall_status, report.error_count), (Status::Healthy, 0));
}

#[test]
fn a_restart_count_that_cannot_grow_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let planted = format!(r#"{{"overall_status":"healthy","restart_count":{}}}"#, u64::MAX);
    std::fs::write(dir.path().join("camera.json"), planted).unwrap();
    let mut target = Target::start(dir.path(), &[]);
    assert_eq!(target.flushed().restart_count, u64::MAX);
}

#[test]
fn others_can_read_the_file_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start_in_shell(dir.path(), "umask 077; exec \"$@\"", &[]);
    target.flushed();
    let mode = |name: &str| dir.path().join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("camera.json"), mode(".staging-0")), (0o644, 0o700));
}
