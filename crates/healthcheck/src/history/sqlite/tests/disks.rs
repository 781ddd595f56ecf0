use super::*;
use crate::history::suite::beat;
use std::process::Command;

/// Runs one of the tests below on a file system of its own: `$D` is the directory.
#[track_caller]
fn on_a_disk(options: &str, test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("mount -t tmpfs -o {options} none \"$D\" && exec \"$@\"");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-ec", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", &format!("history::sqlite::tests::disks::{test}")])
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

#[test]
fn f18_a_full_disk_keeps_nothing_by_halves_and_afterwards_everything_once() {
    on_a_disk("size=1m", "filling_up");
}

#[test]
#[ignore = "another test starts it on a disk of its own"]
fn filling_up() {
    let Some(dir) = disk() else { return };
    let mut teller = teller(&dir);
    teller.tells([beat("camera", "a", "12:00:00")]);
    let filler = fill(&dir);
    // What the log has room for is taken in.
    let mut taken = 0;
    let (unkept, error) = loop {
        let entries =
            (0..20).map(|number| beat(&format!("service-{taken}-{number}"), "a", "12:00:00")).collect();
        let portion = teller.portion(entries);
        match teller.store.write(&portion) {
            Ok(()) => (teller.position, taken) = (portion.after, taken + 1),
            Err(error) => break (portion, error),
        }
        assert!(taken < 1_000);
    };
    assert!(error.to_string().contains("make room") && !error.is_elsewhere(), "{error}");
    assert!(teller.store.write(&unkept).unwrap_err().to_string().contains("make room"));
    assert_eq!(teller.store.position(&teller.origin).unwrap(), teller.position);
    assert_eq!(teller.store.statuses(&Selection::default()).unwrap().len(), 1 + 20 * taken);
    assert_eq!(
        Sqlite::to_read(database(&dir)).statuses(&Selection::default()).unwrap().len(),
        1 + 20 * taken
    );
    std::fs::remove_file(filler).unwrap();
    teller.store.write(&unkept).unwrap();
    assert!(teller.store.write(&unkept).unwrap_err().is_elsewhere());
    drop(teller);
    let mut again = returned(&dir);
    assert_eq!(again.store.statuses(&Selection::default()).unwrap().len(), 21 + 20 * taken);
    assert_eq!((again.position, again.store.remark()), (unkept.after, None));
}

#[test]
fn f18_a_disk_that_is_full_at_the_start_is_an_error_until_there_is_room() {
    on_a_disk("size=1m", "starting_on_a_full_disk");
}

#[test]
#[ignore = "another test starts it on a disk of its own"]
fn starting_on_a_full_disk() {
    let Some(dir) = disk() else { return };
    let filler = fill(&dir);
    let mut teller = teller(&dir);
    for _ in 0..3 {
        let error = teller.store.position(&teller.origin).unwrap_err();
        assert!(error.to_string().contains("make room"), "{error}");
    }
    std::fs::remove_file(filler).unwrap();
    teller.tells([beat("camera", "a", "12:00:00")]);
    assert_eq!((teller.runs("camera").len(), teller.store.remark()), (1, None));
}

#[test]
fn f18_a_file_system_that_is_read_only_is_an_error_until_it_is_not() {
    on_a_disk("size=1m", "starting_read_only");
}

#[test]
#[ignore = "another test starts it on a disk of its own"]
fn starting_read_only() {
    let Some(dir) = disk() else { return };
    teller(&dir).tells([beat("camera", "a", "12:00:00")]);
    let remount = |options: &str| {
        let mount =
            Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&dir).output().unwrap();
        assert!(mount.status.success(), "{}", String::from_utf8_lossy(&mount.stderr));
    };
    remount("ro");
    let mut teller = teller(&dir);
    let error = teller.store.write(&teller.portion(vec![beat("camera", "a", "12:01:00")])).unwrap_err();
    assert!(error.to_string().contains("writable"), "{error}");
    assert_eq!(Sqlite::to_read(database(&dir)).statuses(&Selection::default()).unwrap().len(), 1);
    remount("rw");
    let mut teller = returned(&dir);
    teller.tells([beat("camera", "a", "12:01:00")]);
    assert_eq!(teller.runs("camera")[0].heartbeats, 2);
}
