//! The table of causes, row by row, at the first sight of a service.

use crate::world::*;
use health_reporter::Status::{self, Error, Fatal, Healthy, Unknown, Warning};
use health_reporter::read::ReadError;
use health_reporter::{State as Life, WatchedLoop};
use healthcheck_core::Cause::{self, *};
use healthcheck_core::FileSystem::{Full, ReadOnly};
use healthcheck_core::ProcessSight::Gone;
use healthcheck_core::{ProcessFacts, ProcessSight, ProcessState, ServiceFacts};

type Row = (&'static str, ServiceFacts, Status, Cause, &'static str);

fn check_rows(rows: Vec<Row>) {
    for (row, facts, status, cause, message) in rows {
        for once in [false, true] {
            let mut world = World::new().expecting("camera");
            world.policy.once = once;
            let transitions = world.see("camera", facts.clone());
            assert_eq!(world.judged("camera"), (status, cause), "{row}");
            assert_eq!(transitions.len(), 1, "{row}: first sight is a transition");
            assert_eq!(
                (transitions[0].from, transitions[0].to, transitions[0].cause),
                (Unknown, status, cause)
            );
            assert_eq!(world.verdict("camera").message, message, "{row}");
            assert!(!world.verdict("camera").reasons.is_empty(), "{row}");
        }
    }
}

#[test]
fn a_service_is_believed() {
    let w = World::new();
    check_rows(vec![
        ("healthy", w.beat(3.0), Healthy, SelfReported, ""),
        (
            "a task",
            w.beat(3.0).says(|r| r.current_task = Some("indexing".into())),
            Healthy,
            SelfReported,
            "indexing",
        ),
        ("starting", w.beat(3.0).says(|r| r.state = Life::Starting), Healthy, SelfReported, "starting"),
        ("stopping", w.beat(3.0).says(|r| r.state = Life::Stopping), Healthy, SelfReported, "stopping"),
        ("overall", w.beat(3.0).says(|r| r.overall_status = Fatal), Fatal, SelfReported, "it reports fatal"),
        (
            "unknown",
            w.beat(3.0).says(|r| r.overall_status = Unknown),
            Unknown,
            SelfReported,
            "it reports unknown",
        ),
        ("nobody to look at", w.beat(3.0).by(elsewhere()), Healthy, SelfReported, ""),
        ("a plain file", w.plain(100.0), Healthy, SelfReported, ""),
    ]);
}

#[test]
fn the_worst_check_speaks_for_a_service() {
    let w = World::new();
    check_rows(vec![
        (
            "a check is worse than the whole",
            w.beat(3.0).says(|r| r.checks = vec![check("queue", Warning, "812 of 1000")]),
            Warning,
            SelfReported,
            "queue: 812 of 1000",
        ),
        (
            "several checks",
            w.beat(3.0).says(|r| {
                r.checks = vec![
                    check("a", Warning, "slow"),
                    check("b", Healthy, ""),
                    check("c", Error, "lost"),
                    check("d", Unknown, ""),
                ];
            }),
            Error,
            SelfReported,
            "c: lost, and 2 more",
        ),
        (
            "the whole is worse than its checks",
            w.beat(3.0).says(|r| {
                r.overall_status = Error;
                r.checks = vec![check("a", Warning, "")];
            }),
            Error,
            SelfReported,
            "it reports error, a: warning",
        ),
    ]);
}

#[test]
fn a_process_that_ended_without_a_goodbye_crashed() {
    let w = World::new();
    let dead = "last beat 3 s ago, was up 4 h 12 min";
    let message = |how: &str| -> &'static str { format!("{how}, {dead}").leak() };
    check_rows(vec![
        ("gone", w.beat(3.0).by(Gone), Error, Crashed, message("died, exit unknown")),
        ("killed", w.beat(3.0).by(zombie(9)), Error, Crashed, message("crashed (signal 9)")),
        ("dumped core", w.beat(3.0).by(zombie(139)), Error, Crashed, message("crashed (signal 11)")),
        ("exit", w.beat(3.0).by(zombie(3 << 8)), Error, Crashed, message("crashed (exit 3)")),
        (
            "also when it had complained",
            w.beat(3.0).by(Gone).says(|r| r.overall_status = Fatal),
            Error,
            Crashed,
            message("died, exit unknown"),
        ),
        (
            "while stopping",
            w.beat(3.0).by(Gone).says(|r| r.state = Life::Stopping),
            Error,
            Crashed,
            message("died, exit unknown"),
        ),
        (
            "out of memory",
            ServiceFacts { oom: Some("oom-kill".into()), ..w.beat(3.0).by(zombie(9)) },
            Error,
            OomKilled,
            message("killed, out of memory"),
        ),
        (
            "an exit code is not the kernel's",
            ServiceFacts { oom: Some("oom-kill".into()), ..w.beat(3.0).by(zombie(3 << 8)) },
            Error,
            Crashed,
            message("crashed (exit 3)"),
        ),
    ]);
}

#[test]
fn a_pid_may_belong_to_another_process_by_now() {
    let w = World::new();
    let dead = "died, exit unknown, last beat 3 s ago, was up 4 h 12 min";
    let newer =
        |ticks| ProcessSight::Seen(ProcessFacts { start_ticks: ticks, ..process(ProcessState::Sleeping) });
    let untimed = |facts: ServiceFacts| facts.says(|r| r.pid_start_ticks = None);
    check_rows(vec![
        ("pid reused", w.beat(3.0).by(newer(TICKS + 1)), Error, Crashed, dead),
        ("pid reused, no ticks", untimed(w.beat(3.0)).by(newer(999_900)), Error, Crashed, dead),
        ("no ticks, the same", untimed(w.beat(3.0)).by(newer(999_000)), Healthy, SelfReported, ""),
    ]);
}

#[test]
fn the_deadline_says_what_is_to_be_looked_at() {
    let w = World::new();
    let stopped = |state| ProcessSight::Seen(process(state));
    let late = "no beat for 2 min, its deadline is 2 min";
    check_rows(vec![
        ("just in time", w.beat(119.9), Healthy, SelfReported, ""),
        ("late and alive", w.beat(120.0), Error, Hung, late),
        (
            "stopped by a signal",
            w.beat(120.0).by(stopped(ProcessState::Stopped)),
            Error,
            Hung,
            "no beat for 2 min, its deadline is 2 min, stopped by a signal (SIGSTOP)",
        ),
        ("stopped, and in time", w.beat(100.0).by(stopped(ProcessState::Stopped)), Healthy, SelfReported, ""),
        ("another namespace", w.beat(120.0).by(elsewhere()), Error, Overdue, late),
        ("no process", w.plain(120.0), Error, Overdue, late),
        (
            "its own deadline",
            w.plain(120.0).says(|r| r.deadline_s = Some(26.0 * HOUR)),
            Healthy,
            SelfReported,
            "",
        ),
    ]);
}

#[test]
fn a_file_system_that_takes_no_report_is_no_hang() {
    let w = World::new();
    let late = "no beat for 2 min, its deadline is 2 min";
    let dead = "died, exit unknown, last beat 2 min ago, was up 4 h 12 min";
    check_rows(vec![
        (
            "full",
            w.beat(120.0).on(Full),
            Error,
            ReporterCannotWrite,
            "cannot report: the file system is full, last beat 2 min ago",
        ),
        (
            "read-only",
            w.beat(120.0).on(ReadOnly),
            Error,
            ReporterCannotWrite,
            "cannot report: the file system is read-only, last beat 2 min ago",
        ),
        ("full, and in time", w.beat(100.0).on(Full), Healthy, SelfReported, ""),
        ("full, nobody to look at", w.beat(120.0).on(Full).by(elsewhere()), Error, Overdue, late),
        ("dead is not late", w.beat(120.0).by(Gone).on(Full), Error, Crashed, dead),
    ]);
}

#[test]
fn a_silent_loop_is_a_hang_unless_the_process_is_dead() {
    let w = World::new();
    let looping = |silence: f64| {
        let written = w.now.boottime.as_secs_f64() - 3.0;
        w.beat(3.0).says(|r| {
            let watched =
                |name: &str, beat| WatchedLoop { name: name.into(), beat_boottime_s: beat, limit_s: 10.0 };
            r.watched_loops = vec![watched("main", written - silence), watched("other", written - 1.0)];
        })
    };
    let dead = "died, exit unknown, last beat 3 s ago, was up 4 h 12 min";
    check_rows(vec![
        ("within its limit when it was written", looping(9.0), Healthy, SelfReported, ""),
        ("beyond", looping(12.0), Error, Hung, "loop main silent for 12 s, its limit is 10 s"),
        (
            "elsewhere",
            looping(12.0).by(elsewhere()),
            Error,
            Hung,
            "loop main silent for 12 s, its limit is 10 s",
        ),
        ("dead", looping(12.0).by(Gone), Error, Crashed, dead),
    ]);
}

#[test]
fn a_planned_end_is_healthy_and_a_job_that_failed_is_not() {
    let w = World::new();
    let job = |age: f64, status| {
        w.plain(age).says(|r| {
            r.state = Life::Finished;
            r.deadline_s = Some(26.0 * HOUR);
            r.overall_status = status;
        })
    };
    let exit = |key: &str, number: i64| {
        let mut exit = check("exit", Error, "");
        exit.metadata.insert(key.into(), number.into());
        job(60.0, Error).says(|r| r.checks = vec![exit])
    };
    let overdue = "last finished 1 d 2 h ago, due each 1 d 2 h";
    check_rows(vec![
        ("stopped", w.beat(30.0).by(Gone).says(|r| r.state = Life::Stopped), Healthy, Stopped, "stopped"),
        ("finished", job(2.0 * HOUR, Healthy), Healthy, Finished, "finished"),
        ("with a warning", job(60.0, Warning), Warning, SelfReported, "it reports warning"),
        ("failed", job(60.0, Error), Error, Crashed, "failed: it reports error"),
        ("fatally", job(60.0, Fatal), Error, Crashed, "failed: it reports fatal"),
        ("exit 3", exit("code", 3), Error, Crashed, "failed (exit 3)"),
        ("signal 9", exit("signal", 9), Error, Crashed, "killed by signal 9"),
        ("due again", job(26.0 * HOUR, Healthy), Error, Overdue, overdue),
        ("failed, due again", job(26.0 * HOUR, Error), Error, Overdue, overdue),
        ("warned, due again", job(26.0 * HOUR, Warning), Error, Overdue, overdue),
    ]);
}

#[test]
fn what_cannot_be_used_is_unknown() {
    let permission = ReadError::NotPermitted("may not be read".into());
    check_rows(vec![
        ("permissions", unusable(permission, None), Unknown, NotPermitted, "may not be read"),
        (
            "torn",
            torn(),
            Unknown,
            ReportUnreadable,
            "unreadable report: the text ends too early (torn or empty)",
        ),
        (
            "newer",
            unusable(ReadError::NewerVersion(2.0), None),
            Unknown,
            NewerVersion,
            "written in version 2, this program knows version 1: update it",
        ),
        ("no file", missing(), Error, NeverStarted, "no report since boot"),
    ]);
}

#[test]
fn each_cause_has_its_word() {
    for cause in
        [SelfReported, Crashed, OomKilled, CrashLooping, Hung, Overdue, ReporterCannotWrite, NeverStarted]
    {
        assert_eq!(serde_json::to_string(&cause).unwrap(), format!("\"{cause}\""));
    }
    for cause in
        [Missing, Stopped, Finished, ProbeFailed, Threshold, ReportUnreadable, NewerVersion, NotPermitted]
    {
        assert_eq!(serde_json::to_string(&cause).unwrap(), format!("\"{cause}\""));
    }
    assert_eq!((ProbeUnavailable.as_str(), NotObserved.as_str()), ("probe_unavailable", "not_observed"));
}
