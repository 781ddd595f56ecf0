//! What strangers put into the directory, and what they take away.

use super::target::{Target, names, report, reports_in, stages};
use crate::support::{Process, copy_program, eventually, example, run};

use health_reporter::{State, Status, read};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const NOBODY: u32 = 65_534;

/// A file that is not to be touched, and what it holds.
fn victim(dir: &Path) -> std::path::PathBuf {
    let victim = dir.join("victim");
    fs::write(&victim, "untouched").unwrap();
    victim
}

#[track_caller]
fn is_untouched(victim: &Path) {
    assert_eq!(fs::read_to_string(victim).unwrap(), "untouched");
    assert_eq!(victim.metadata().unwrap().permissions().mode() & 0o7777, 0o644);
}

#[test]
fn a_link_planted_at_the_report_is_replaced_not_followed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = victim(other.path());
    symlink(&victim, dir.path().join("camera.json")).unwrap();
    assert_eq!(Target::start(dir.path(), &[]).flushed().state, State::Running);
    assert!(dir.path().join("camera.json").symlink_metadata().unwrap().is_file());
    is_untouched(&victim);
}

#[test]
fn a_link_planted_at_the_lock_costs_the_slot_and_nothing_else() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = victim(other.path());
    symlink(&victim, dir.path().join(".camera.lock")).unwrap();
    symlink(other.path().join("made"), dir.path().join(".camera@2.lock")).unwrap();
    let mut target = Target::start(dir.path(), &[]);
    assert!(target.ask("flush").ends_with(" ok"));
    assert_eq!(reports_in(dir.path()), ["camera@3.json"]);
    assert_eq!(names(other.path()), ["victim"]);
    is_untouched(&victim);
}

#[test]
fn a_pipe_planted_at_the_lock_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    run("mkfifo", &[dir.path().join(".camera.lock").to_str().unwrap()]);
    let mut target = Target::start(dir.path(), &[]);
    assert!(target.ask("flush").ends_with(" ok"));
}

#[test]
fn a_link_planted_at_the_staging_directory_is_refused_until_it_is_gone() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(other.path(), dir.path().join(".staging-0")).unwrap();
    let mut target = Target::start(dir.path(), &[]);
    assert!(target.ask("flush").contains("failed"));
    assert_eq!((names(other.path()), reports_in(dir.path())), (vec![], vec![]));
    fs::remove_file(dir.path().join(".staging-0")).unwrap();
    target.reports("a report", |report| report.write_failures > 0);
    assert_eq!(names(other.path()), [""; 0]);
}

#[test]
fn a_staging_directory_of_somebody_else_is_refused_until_it_is_gone() {
    for make_foreign in [
        (|staging: &Path| chown(staging, Some(NOBODY), None)) as fn(&Path) -> std::io::Result<()>,
        |staging| fs::set_permissions(staging, fs::Permissions::from_mode(0o777)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let staging = dir.path().join(".staging-0");
        fs::create_dir(&staging).unwrap();
        make_foreign(&staging).unwrap();
        let mut target = Target::start(dir.path(), &[]);
        let answer = target.ask("flush");
        assert!(answer.contains(".staging-0") && answer.contains("remove it"), "{answer}");
        assert_eq!((names(&staging), reports_in(dir.path())), (vec![], vec![]));
        fs::remove_dir(&staging).unwrap();
        target.reports("a report", |report| report.write_failures > 0);
    }
}

#[test]
fn what_looks_like_a_stage_is_swept_and_never_opened() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (staging, victim) = (dir.path().join(".staging-0"), victim(other.path()));
    fs::create_dir(&staging).unwrap();
    fs::set_permissions(&staging, fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&victim, staging.join("camera.0123456789abcdef")).unwrap();
    fs::write(staging.join("camera.00000000000000ff"), "torn").unwrap();
    fs::write(staging.join("camera@2.00000000000000ff"), "of a living process").unwrap();
    fs::create_dir(staging.join("camera.ffffffffffffffff")).unwrap();
    fs::write(staging.join("camera@3.00000000000000ff"), "of a process that was killed hours ago").unwrap();
    run("touch", &["-d", "2 hours ago", staging.join("camera@3.00000000000000ff").to_str().unwrap()]);
    Target::start(dir.path(), &[]).flushed();
    assert_eq!(stages(dir.path()), ["camera.ffffffffffffffff", "camera@2.00000000000000ff"]);
    is_untouched(&victim);
}

#[test]
fn a_directory_where_the_report_should_be_is_told_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let planted = dir.path().join("camera.json");
    fs::create_dir(&planted).unwrap();
    let mut target = Target::start(dir.path(), &[]);
    assert!(target.ask("flush").contains("failed"));
    assert_eq!(stages(dir.path()), [""; 0]);
    fs::remove_dir(planted).unwrap();
    target.reports("a report", |report| report.write_failures > 0);
}

#[test]
fn in_a_directory_for_all_a_file_of_another_user_costs_the_slot() {
    let (dir, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(tools.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = tools.path().join("fault_target");
    copy_program(example("fault_target"), &program);
    let foreign = r#"{"overall_status":"healthy","restart_count":7}"#;
    fs::write(dir.path().join("camera.json"), foreign).unwrap();
    let mut as_nobody = Command::new("setpriv");
    as_nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).arg(dir.path());
    let mut target = Target::from_command(dir.path(), &mut as_nobody);
    let answer = target.ask("flush");
    assert!(answer.ends_with(" ok"), "{answer}");
    assert_eq!(fs::read_to_string(dir.path().join("camera.json")).unwrap(), foreign);
    assert_eq!(report(dir.path(), "camera@2").restart_count, 0);
}

#[test]
fn a_directory_that_is_removed_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let health = dir.path().join("health");
    let mut target = Target::start(&health, &["interval_ms=100"]);
    let before = target.flushed();
    fs::remove_dir_all(&health).unwrap();
    let again = target.reports("a report in the new directory", |_| true);
    assert_eq!((again.restart_count, again.pid), (0, before.pid));
    assert!(again.heartbeat_count > before.heartbeat_count);
    assert_eq!(reports_in(&health), ["camera.json"]);
}

#[test]
fn a_directory_that_is_moved_away_is_left_at_the_next_heartbeat() {
    let dir = tempfile::tempdir().unwrap();
    let (health, moved) = (dir.path().join("health"), dir.path().join("moved"));
    let mut target = Target::start(&health, &["interval_ms=500"]);
    target.flushed();
    fs::rename(&health, &moved).unwrap();
    // Unless the reporter was faster.
    fs::create_dir_all(&health).unwrap();
    let away = Instant::now();
    while !health.join("camera.json").exists() {
        assert!(
            away.elapsed() < Duration::from_secs(5),
            "still writes into the directory that was moved away"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("found its directory again after {:?}", away.elapsed());
    let moved_on = target.report();
    let left = report(&moved, "camera");
    assert!(moved_on.heartbeat_count > left.heartbeat_count);
    target.reports("the next beat", |report| report.heartbeat_count > moved_on.heartbeat_count);
    assert_eq!(report(&moved, "camera"), left);
}

#[test]
fn a_lock_that_is_removed_does_not_let_two_processes_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Target::start(dir.path(), &[]);
    first.flushed();
    first.kill();
    fs::remove_file(dir.path().join(".camera.lock")).unwrap();
    let mut racers: Vec<_> = (0..4).map(|_| Target::start(dir.path(), &[])).collect();
    for racer in &mut racers {
        assert!(racer.ask("flush").ends_with(" ok"));
    }
    let each = reports_in(dir.path());
    assert_eq!(each, ["camera.json", "camera@2.json", "camera@3.json", "camera@4.json"]);
}

#[test]
fn what_can_be_put_into_a_directory_costs_a_reader_one_line_each() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("good.json"), r#"{"overall_status":"healthy"}"#).unwrap();
    symlink(path("good.json"), path("link.json")).unwrap();
    fs::create_dir(path("directory.json")).unwrap();
    run("mkfifo", &[path("pipe.json").to_str().unwrap()]);
    let _socket = std::os::unix::net::UnixDatagram::bind(path("socket.json")).unwrap();
    fs::File::create(path("huge.json")).unwrap().set_len(1 << 40).unwrap();
    symlink("/dev/zero", path("endless.json")).unwrap();
    fs::write(path("torn.json"), "{\"overall_status\": \"hea").unwrap();
    let started = Instant::now();
    let directory = read::Directory::open(dir.path()).unwrap();
    let listing = directory.list(|_| false).unwrap();
    let usable = |name: &&health_reporter::ServiceName| directory.read(name, &mut Vec::new()).is_ok();
    let good: Vec<_> = listing.names.iter().filter(usable).map(ToString::to_string).collect();
    assert_eq!((good, listing.names.len()), (vec!["good".to_owned()], 8));
    assert!(started.elapsed() < Duration::from_secs(1));
    for (name, problem) in
        [("link", "symbolic link"), ("pipe", "no regular file"), ("socket", "no regular file")]
    {
        let error = directory.read(&name.parse().unwrap(), &mut Vec::new()).unwrap_err().error.to_string();
        assert!(error.contains(problem), "{name}: {error}");
    }
}

#[test]
fn a_file_that_lost_its_mode_has_it_again_after_the_next_write() {
    let dir = tempfile::tempdir().unwrap();
    let mut target = Target::start(dir.path(), &[]);
    target.flushed();
    let file = dir.path().join("camera.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    target.ask("record lens warning dusty");
    target.reports_status(Status::Warning);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

/// Whoever may lock it can keep the service silent.
#[test]
fn nobody_else_may_open_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let _target = { Target::start(dir.path(), &[]).flushed() };
    let mode = fs::metadata(dir.path().join(".camera.lock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Where a stranger's link leads is the stranger's choice.
#[test]
fn a_directory_behind_the_link_of_a_stranger_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    Target::start(&link, &[]).flushed();
    run("chown", &["-h", "65534", link.to_str().unwrap()]);
    let mut target = Target::start(&link, &["service=other"]);
    assert!(target.ask("flush").contains("is a link of user 65534"));
    assert!(!real.join("other.json").exists());
}

/// In a directory like /tmp somebody else may take the name of a file that was removed: then it is his.
#[test]
fn a_name_that_was_taken_is_given_up_for_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    // The program may lie below a directory that only root may enter.
    let program = dir.path().join("fault_target");
    copy_program(example("fault_target"), &program);
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups", program.to_str().unwrap()];
    let words = [dir.path().to_str().unwrap(), "interval_ms=100"];
    let _process = Process::start(Command::new("setpriv").args(user).args(words));
    eventually("its report", || dir.path().join("camera.json").exists().then_some(()));
    fs::remove_file(dir.path().join("camera.json")).unwrap();
    fs::write(dir.path().join(".foreign"), r#"{"overall_status":"healthy"}"#).unwrap();
    fs::rename(dir.path().join(".foreign"), dir.path().join("camera.json")).unwrap();
    eventually("a report beside it", || dir.path().join("camera@2.json").exists().then_some(()));
}
