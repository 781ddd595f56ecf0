use super::*;
use std::process::Command;

/// Runs one of the tests below on a file system of its own, which `prepare` changes: `$D` is the directory.
#[track_caller]
fn on_a_disk(options: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o {options} none \"$D\" && exec \"$@\"");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-ec", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", &format!("state::tests::disks::{test}")])
        .env("D", dir.path())
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The directory on a disk of its own; nothing where the test was not started by another one.
fn disk() -> Option<PathBuf> {
    std::env::var_os("D").map(PathBuf::from)
}

fn fill(dir: &Path) -> PathBuf {
    use std::io::Write;
    let path = dir.join("filler");
    let mut filler = std::fs::File::create(&path).unwrap();
    while filler.write(&[0; 512]).is_ok() {}
    path
}

fn remount(dir: &Path, options: &str) {
    let mount = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(dir).output().unwrap();
    assert!(mount.status.success(), "{}", String::from_utf8_lossy(&mount.stderr));
}

#[test]
fn a_disk_that_fills_up_keeps_nothing_until_there_is_room_and_then_everything_once() {
    on_a_disk("size=512k", "filling_up");
}

#[test]
#[ignore = "another test starts it on a disk of its own"]
fn filling_up() {
    let Some(dir) = disk() else { return };
    let mut monitor = Monitor::start(&dir);
    monitor.sees("camera", Status::Healthy);
    let filler = fill(&dir);
    // What the log has room for is kept.
    let mut kept = 1;
    let (name, unkept, error) = loop {
        let name = format!("service-{kept}");
        let transitions = monitor.judge(&name, Status::Error);
        match monitor.commit(&name, &transitions) {
            Ok(ids) => kept += ids.len(),
            Err(error) => break (name, transitions, error),
        }
        assert!(kept < 1_000);
    };
    assert!(error.to_string().contains("make room") && !error.wants_everything(), "{error}");
    assert!(monitor.commit(&name, &unkept).is_err());
    assert_eq!(Store::read_only(&dir).unwrap().transitions_after(0, 2_000).unwrap().len(), kept);
    std::fs::remove_file(filler).unwrap();
    monitor.commit(&name, &unkept).unwrap();
    let reader = Store::read_only(&dir).unwrap();
    assert_eq!(reader.transitions_after(0, 2_000).unwrap().len(), kept + 1);
    assert_eq!(reader.state().unwrap(), monitor.state);
}

#[test]
fn a_monitor_that_starts_on_a_full_disk_knows_what_was_kept_and_keeps_on_when_it_can() {
    on_a_disk("size=512k", "starting_on_a_full_disk");
}

#[test]
#[ignore = "another test starts it on a disk of its own"]
fn starting_on_a_full_disk() {
    let Some(dir) = disk() else { return };
    let mut first = Monitor::start(&dir);
    first.sees("camera", Status::Error);
    drop(first.store);
    let filler = fill(&dir);
    let mut monitor = Monitor::start(&dir);
    assert_eq!(monitor.state, first.state);
    let transitions = monitor.judge("core", Status::Error);
    if monitor.store.problems().is_empty() {
        println!("there was room for the index of the log");
    }
    let error = monitor.commit("core", &transitions).unwrap_err();
    assert!(error.to_string().contains("make room"), "{error}");
    std::fs::remove_file(filler).unwrap();
    monitor.gets_by("wall", Status::Healthy);
    let state = monitor.state.clone();
    drop(monitor);
    assert_eq!(kept(&dir), state);
}

#[test]
fn an_older_database_on_a_full_disk_is_read_as_it_is_and_brought_up_to_date_when_it_can() {
    on_a_disk("size=512k", "starting_with_an_older_database");
}

#[test]
#[ignore = "another test starts it on a disk of its own"]
fn starting_with_an_older_database() {
    let Some(dir) = disk() else { return };
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/state-v1.db");
    std::fs::copy(golden, database(&dir)).unwrap();
    let filler = fill(&dir);
    let mut monitor = Monitor::start(&dir);
    assert_eq!(monitor.state.len(), 2);
    assert!(monitor.store.problems()[0].contains("make room"), "{:?}", monitor.store.problems());
    let transitions = monitor.judge("core", Status::Error);
    monitor.commit("core", &transitions).unwrap_err();
    std::fs::remove_file(filler).unwrap();
    monitor.gets_by("wall", Status::Error);
    let known = all_of(&monitor.alerts);
    drop(monitor);
    assert_eq!(all_of(&kept_alerts(&dir)), known);
}

#[test]
fn a_monitor_watches_on_a_file_system_that_is_read_only() {
    on_a_disk("size=2m", "starting_read_only");
}

#[test]
#[ignore = "another test starts it on a disk of its own"]
fn starting_read_only() {
    let Some(dir) = disk() else { return };
    let mut first = Monitor::start(&dir);
    first.sees("camera", Status::Error);
    drop(first.store);
    remount(&dir, "ro");
    let mut monitor = Monitor::start(&dir);
    assert_eq!(monitor.state, first.state);
    let problems = monitor.store.problems();
    assert!(
        problems[0].contains("Read-only file system") && problems[0].contains("STATE_DIRECTORY"),
        "{problems:?}"
    );
    let transitions = monitor.judge("core", Status::Error);
    assert!(monitor.commit("core", &transitions).unwrap_err().to_string().contains("Read-only"));
    assert_eq!(Store::read_only(&dir).unwrap().state().unwrap(), first.state);
    remount(&dir, "rw");
    assert!(monitor.commit("core", &transitions).unwrap_err().wants_everything());
    monitor.store.rewrite(&monitor.state, &monitor.alerts).unwrap();
    assert_eq!(monitor.commit("core", &transitions).unwrap(), [2]);
    assert_eq!(monitor.store.problems(), [""; 0]);
    let state = monitor.state.clone();
    drop(monitor.store);
    assert_eq!(kept(&dir), state);
}

#[test]
fn a_directory_that_cannot_be_made_keeps_nobody_from_watching() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut monitor = Monitor::start(&file.join("state"));
    let problems = monitor.store.problems();
    assert!(
        problems[0].contains("Not a directory") && problems[0].contains("STATE_DIRECTORY"),
        "{problems:?}"
    );
    let transitions = monitor.judge("camera", Status::Error);
    assert!(!monitor.commit("camera", &transitions).unwrap_err().wants_everything());
    std::fs::remove_file(&file).unwrap();
    monitor.gets_by("camera", Status::Healthy);
    assert_eq!(monitor.store.problems(), [""; 0]);
}

#[test]
fn who_holds_the_database_is_not_waited_for_and_nothing_is_kept_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    let other = rusqlite::Connection::open(database(dir.path())).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let transitions = monitor.judge("camera", Status::Error);
    let begun = std::time::Instant::now();
    let error = monitor.commit("camera", &transitions).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("end the program that holds it"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    monitor.commit("camera", &transitions).unwrap();
    assert_eq!(monitor.store.last_transitions(&Subject::service("camera"), 9).unwrap().len(), 1);
}
