//! Disks that are full, read-only or do not answer, and a process without descriptors.

use super::target::{Target, milliseconds};
use crate::support::{eventually, run};
use health_reporter::Status;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

/// The hot path stays this fast whatever the disk does.
const CALL_P99: Duration = Duration::from_micros(50);

/// Tells something that cannot be written, and checks that nobody but the file suffers.
#[track_caller]
fn starve(target: &mut Target, problem: &str) {
    let old = target.report();
    target.ask("task starved");
    let answer = target.ask("flush");
    assert!(answer.contains(problem), "{answer}");
    assert!(target.ask("last_error").contains(problem));
    eventually("more than one failure", || (target.ask("failures") != "1").then_some(()));
    assert_eq!(target.ask("status"), "healthy");
    assert_eq!(target.report(), old);
}

/// Waits until the report is out again, with nobody asking for it, and tells how often it was not.
#[track_caller]
fn heals(target: &mut Target) {
    let healed =
        target.reports("a report that heals", |report| report.current_task.as_deref() == Some("starved"));
    assert!(healed.write_failures >= 2, "{}", healed.write_failures);
    assert_eq!(target.flushed().write_failures, 0);
}

#[test]
fn a_full_disk_is_counted_and_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start_on_tmpfs(dir.path(), "size=64k", &[]);
    target.flushed();
    let path = target.dir().join("filler");
    let mut filler = fs::File::create(&path).unwrap();
    while filler.write(&[0; 512]).is_ok() {}
    starve(&mut target, "No space left on device");
    fs::remove_file(path).unwrap();
    drop(filler);
    heals(&mut target);
}

#[test]
fn a_disk_without_inodes_is_counted_and_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start_on_tmpfs(dir.path(), "nr_inodes=12", &[]);
    target.flushed();
    let filler = |number: usize| target.dir().join(format!("filler-{number}"));
    let made = (0..).take_while(|number| fs::File::create(filler(*number)).is_ok()).count();
    let path = filler(0);
    assert!(made > 0);
    starve(&mut target, "No space left on device");
    fs::remove_file(path).unwrap();
    heals(&mut target);
}

#[track_caller]
fn remount(target: &Target, dir: &std::path::Path, options: &str) {
    let pid = target.pid().to_string();
    run(
        "nsenter",
        &["-t", &pid, "-m", "mount", "-o", &format!("remount,{options}"), &dir.display().to_string()],
    );
}

#[test]
fn a_file_system_that_turns_read_only_is_counted_and_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start_on_tmpfs(dir.path(), "size=64k", &[]);
    target.flushed();
    remount(&target, dir.path(), "ro");
    starve(&mut target, "Read-only file system");
    remount(&target, dir.path(), "rw");
    heals(&mut target);
}

#[test]
fn a_service_starts_where_nothing_can_be_written_yet() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start_on_tmpfs(dir.path(), "ro", &[]);
    assert!(target.ask("flush").contains("Read-only file system"));
    target.ask("record lens warning dusty");
    remount(&target, dir.path(), "rw");
    assert!(target.reports_status(Status::Warning).write_failures > 0);
}

#[test]
fn a_process_without_descriptors_is_counted_and_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.flushed();
    let limit = |target: &Target, descriptors: &str| {
        run("prlimit", &["--pid", &target.pid().to_string(), &format!("--nofile={descriptors}:")]);
    };
    limit(&target, "3");
    starve(&mut target, "Too many open files");
    limit(&target, "256");
    heals(&mut target);
}

#[track_caller]
fn calls_are_quick(target: &mut Target) {
    let answer = target.ask("calls 100000");
    let nanos: Vec<u64> = answer.split(' ').map(|word| word.parse().unwrap()).collect();
    println!(
        "100,000 calls while the disk hangs: median {} ns, p99 {} ns, longest {} ns",
        nanos[0], nanos[1], nanos[2]
    );
    assert!(Duration::from_nanos(nanos[1]) <= CALL_P99, "{answer}");
}

#[test]
fn a_disk_that_hangs_for_30_s_is_felt_by_nobody_who_does_not_wait_for_it() {
    let (dir, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut target = Target::start(dir.path(), &[]);
    let old = target.flushed();
    let hang = target.inject("renameat:delay_enter=30000000:when=1", log.path());
    let hung = Instant::now();
    target.ask("record disk error slow");
    calls_are_quick(&mut target);
    let answer = target.ask("flush");
    assert!(answer.ends_with("timed out"), "{answer}");
    assert!((5_000..6_000).contains(&milliseconds(&answer).as_millis()), "{answer}");
    calls_are_quick(&mut target);
    target.ask("record disk fatal still");
    assert_eq!(target.report(), old);
    std::thread::sleep(Duration::from_secs(25).saturating_sub(hung.elapsed()));
    assert_eq!(target.report(), old, "the disk hangs");
    target.reports_status(Status::Fatal);
    assert!(hung.elapsed() >= Duration::from_secs(29), "{:?}", hung.elapsed());
    assert!(hang.end());
}

#[test]
fn a_goodbye_does_not_wait_for_a_disk_that_hangs() {
    let (dir, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut target = Target::start(dir.path(), &[]);
    let old = target.flushed();
    let hang = target.inject("openat:delay_enter=6000000:when=1", log.path());
    let answer = target.ask("stop while it hangs");
    assert!((2_000..2_500).contains(&milliseconds(&answer).as_millis()), "{answer}");
    let asked = Instant::now();
    target.tell("return");
    assert!(target.ended().success());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(target.report(), old);
    hang.end();
}
