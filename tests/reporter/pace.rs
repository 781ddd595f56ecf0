//! When the report is written: at once, seldom, and never by the clock of the wall.

use super::target::Target;
use health_reporter::{HealthReport, Status};
use std::time::{Duration, Instant};

fn check_status(report: &HealthReport, name: &str) -> Option<Status> {
    report.checks.iter().find(|check| check.name == name).map(|check| check.status)
}

#[test]
fn a_status_change_is_visible_within_50_ms() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.flushed();
    let mut took: Vec<Duration> = (0_u64..200)
        .map(|number| {
            let status = [Status::Warning, Status::Healthy][usize::from(number % 2 == 1)];
            std::thread::sleep(Duration::from_millis(number * 37 % 60));
            let started = Instant::now();
            target.ask(&format!("record lens {status} {number}"));
            target.reports_status(status);
            started.elapsed()
        })
        .collect();
    took.sort_unstable();
    let (median, p95, longest) = (took[100], took[190], took[199]);
    println!("status changes: median {median:?}, p95 {p95:?}, longest {longest:?}");
    assert!(median <= Duration::from_millis(50) && longest <= Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_thousand_records_a_second_cost_one_write_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    let before = target.flushed().heartbeat_count;
    let records: u64 = target.ask("chatter 4").parse().unwrap();
    let writes = target.report().heartbeat_count - before;
    println!("{records} records, {writes} writes in 4 s");
    assert!(records > 1_000, "{records}");
    assert!((3..=5).contains(&writes), "{writes} writes in 4 s");
}

#[test]
fn f1_the_latest_record_of_each_check_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.ask("record lens error stuck");
    assert_eq!(target.flushed().overall_status, Status::Error);
    target.ask("record lens healthy");
    let report = target.flushed();
    assert_eq!((report.overall_status, report.checks.len()), (Status::Healthy, 1));
}

#[test]
fn an_error_without_a_check_is_over_after_three_quiet_intervals() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &["interval_ms=300"]);
    let recorded = Instant::now();
    target.ask("error the cable is loose");
    target.reports_status(Status::Error);
    let report = target.reports_status(Status::Healthy);
    assert!(recorded.elapsed() >= Duration::from_millis(900), "{:?}", recorded.elapsed());
    assert_eq!((check_status(&report, "errors"), report.error_count), (Some(Status::Healthy), 1));
    assert_eq!(report.recent_errors[0].message, "the cable is loose");
}

#[test]
fn a_fatal_error_stays_until_it_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &["interval_ms=50"]);
    target.ask("fatal the sensor is dead");
    target.ask("error and the cable is loose");
    let first = target.flushed();
    let later = target.reports("20 more beats", |report| report.heartbeat_count > first.heartbeat_count + 20);
    assert_eq!((later.overall_status, later.recent_errors[0].fatal), (Status::Fatal, true));
    target.ask("recover");
    assert_eq!(target.flushed().overall_status, Status::Healthy);
}

#[test]
fn a_watched_loop_that_falls_silent_is_written_at_its_limit_not_at_the_next_beat() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &["interval_ms=60000"]);
    target.ask("watch frames 1500");
    target.ask("watch slow 50000");
    target.flushed();
    target.ask("beat frames");
    let beaten = Instant::now();
    let is_late = |report: &HealthReport, name: &str| {
        let beat = report.watched_loops.iter().find(|watched| watched.name == name);
        let written = report.written_boottime_s.unwrap();
        beat.is_some_and(|beat| written > beat.beat_boottime_s + beat.limit_s)
    };
    let report = target.reports("a late loop", |report| is_late(report, "frames"));
    let took = beaten.elapsed();
    println!("silence of 1.5 s was out after {took:?}");
    assert!((Duration::from_millis(1400)..Duration::from_millis(2500)).contains(&took), "{took:?}");
    assert!(!is_late(&report, "slow"));
    target.ask("beat frames");
    target.reports("the loop that beats again", |report| !is_late(report, "frames"));
}

#[test]
fn a_blocked_runtime_is_a_late_loop() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &["interval_ms=60000"]);
    target.ask("runtime 400");
    let late = |report: &HealthReport| {
        let watched = report.watched_loops.first();
        watched.is_some_and(|it| report.written_boottime_s.unwrap() > it.beat_boottime_s + it.limit_s)
    };
    target.ask("task let it turn");
    assert!(!late(&target.flushed()));
    target.ask("block 1500");
    target.reports("the blocked runtime", late);
    target.reports("the runtime that turns again", |report| !late(report));
}

#[test]
fn the_report_beats_each_interval_with_nothing_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &["interval_ms=100", "deadline_ms=450"]);
    let first = target.flushed();
    assert_eq!((first.interval_s, first.deadline_s), (Some(0.1), Some(0.45)));
    let later = target.reports("10 beats", |report| report.heartbeat_count >= first.heartbeat_count + 10);
    let beats = (later.heartbeat_count - first.heartbeat_count) as f64;
    let pace = (later.written_boottime_s.unwrap() - first.written_boottime_s.unwrap()) / beats;
    assert!((0.08..0.25).contains(&pace), "{pace} s");
}

#[test]
fn a_heartbeat_costs_six_system_calls_and_the_sleep_before_it() {
    let (dir, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut target = Target::start(dir.path(), &["interval_ms=50"]);
    let first = target.flushed();
    let traced = target.strace(&["trace=all"], log.path());
    target.reports("30 beats", |report| report.heartbeat_count >= first.heartbeat_count + 30);
    traced.end();
    let log = std::fs::read_to_string(log.path()).unwrap();
    let counts = |line: &&str| {
        let sleeps = line.contains("FUTEX_WAIT") || line.contains("restart_syscall");
        // With debug assertions the standard library looks at a descriptor before it closes it.
        !sleeps && !line.starts_with("---") && !line.contains("F_GETFD")
    };
    let calls = log.lines().filter(counts).count();
    let beats = log.lines().filter(|line| line.starts_with("renameat")).count();
    println!("{calls} system calls for {beats} heartbeats");
    assert!(beats >= 25 && calls <= beats * 6 + 6, "{calls} calls, {beats} beats:\n{log}");
}
