use super::super::{OpenError, place::Holder};
use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Why the directory is not taken, without the path of the test.
#[track_caller]
fn refusal(dir: &Path) -> String {
    let error = Store::open(dir).unwrap_err();
    error.to_string().replace(dir.to_str().unwrap(), "D")
}

#[test]
fn one_monitor_holds_a_directory_and_the_second_is_told_who() {
    let dir = tempfile::tempdir().unwrap();
    let first = Monitor::start(dir.path());
    let error = Store::open(dir.path()).unwrap_err();
    let OpenError::Held { holder: Some(Holder { pid, since }), .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, std::process::id());
    assert!(jiff::Timestamp::now().duration_since(*since).as_secs() < 60, "{since}");
    let told = format!(
        "another monitor, pid {pid} since {since:.0}, holds {}: stop it, or set STATE_DIRECTORY",
        dir.path().display()
    );
    assert_eq!(error.to_string(), told);
    drop(first);
    Monitor::start(dir.path());
}

#[test]
fn a_holder_that_cannot_be_read_is_one_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Monitor::start(dir.path());
    for text in ["", "{\"pid\":-1}", "\u{1b}[2J", &"x".repeat(100_000)] {
        fs::write(dir.path().join("monitor.lock"), text).unwrap();
        assert_eq!(refusal(dir.path()), "another monitor holds D: stop it, or set STATE_DIRECTORY");
    }
}

#[test]
fn a_directory_is_made_for_us_alone_and_one_that_is_there_keeps_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    allow(dir.path(), 0o755);
    let state = dir.path().join("a/b");
    Monitor::start(&state);
    assert_eq!((mode(dir.path()), mode(&dir.path().join("a")), mode(&state)), (0o755, 0o700, 0o700));
    assert_eq!((mode(&database(&state)), mode(&state.join("monitor.lock")) & 0o022), (0o640, 0));
}

#[test]
fn a_database_that_everybody_may_read_is_so_no_more() {
    let dir = tempfile::tempdir().unwrap();
    Monitor::start(dir.path()).sees("camera", Status::Healthy);
    allow(&database(dir.path()), 0o664);
    let mut monitor = Monitor::start(dir.path());
    monitor.sees("camera", Status::Error);
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        assert_eq!(mode(&dir.path().join(file)) & 0o007, 0, "{file}");
    }
}

#[test]
fn a_directory_that_everybody_can_write_to_is_refused_unless_it_is_sticky() {
    let dir = tempfile::tempdir().unwrap();
    allow(dir.path(), 0o777);
    let told = "D: not used: can be written by everybody (mode 777): chmod o-w it, or set STATE_DIRECTORY";
    assert_eq!(refusal(dir.path()), told);
    assert_eq!(names(dir.path()), [""; 0]);
    allow(dir.path(), 0o1777);
    Monitor::start(dir.path()).sees("camera", Status::Healthy);
}

#[test]
fn no_link_is_followed_and_nothing_of_a_stranger_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    for name in ["monitor.lock", "state.db", "state.db-wal", "state.db-shm", "state.db-journal"] {
        let path = state.join(name);
        symlink(&elsewhere, &path).unwrap();
        assert!(refusal(&state).starts_with(&format!("D/{name}: not used: is ")), "{}", refusal(&state));
        fs::remove_file(&path).unwrap();
        fs::hard_link(&elsewhere, &path).unwrap();
        assert_eq!(refusal(&state), format!("D/{name}: not used: has a second name: remove it"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        if name != "monitor.lock" {
            assert_eq!(refusal(&state), format!("D/{name}: not used: is not a regular file: remove it"));
        }
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        chown(&path, Some(4711), None).unwrap();
        assert_eq!(refusal(&state), format!("D/{name}: not used: belongs to uid 4711: remove it"));
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
    Monitor::start(&state);
}

#[test]
fn a_directory_of_somebody_else_is_taken_by_root_alone() {
    let dir = tempfile::tempdir().unwrap();
    chown(dir.path(), Some(4711), None).unwrap();
    Monitor::start(dir.path()).sees("camera", Status::Healthy);
    chown(database(dir.path()), Some(4711), None).unwrap();
    Monitor::start(dir.path()).sees("camera", Status::Error);
    let program = std::env::current_exe().unwrap();
    let other = std::process::Command::new("setpriv")
        .args(["--reuid=815", "--clear-groups", "--inh-caps=-all"])
        .arg(program)
        .args(["--ignored", "--exact", "--nocapture", "state::tests::places::the_one_who_tries"])
        .env("STATE_TEST_DIR", dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(told.contains("not used: belongs to uid 4711: chown it to the user of the monitor"), "{told}");
}

#[test]
#[ignore = "another test starts it as another user"]
fn the_one_who_tries() {
    let Some(dir) = std::env::var_os("STATE_TEST_DIR") else { return };
    match Store::open(Path::new(&dir)) {
        Ok((store, ..)) => println!("taken: {:?}", store.problems()),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_directory_that_is_removed_is_made_again_with_all_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("state");
    let mut monitor = Monitor::start(&state_dir);
    monitor.sees("camera", Status::Healthy);
    fs::remove_dir_all(&state_dir).unwrap();
    let transitions = monitor.judge("core", Status::Error);
    assert!(!monitor.commit("core", &transitions).unwrap_err().wants_everything());
    assert!(monitor.commit("core", &transitions).unwrap_err().wants_everything());
    monitor.store.rewrite(&monitor.state, &monitor.alerts).unwrap();
    assert_eq!(monitor.commit("core", &transitions).unwrap(), [1]);
    assert!(matches!(Store::open(&state_dir), Err(OpenError::Held { .. })));
    let Monitor { store, state, .. } = monitor;
    drop(store);
    assert_eq!((kept(&state_dir), state.len()), (state, 2));
}

#[test]
fn a_database_that_is_removed_is_begun_again_with_all_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    monitor.sees("camera", Status::Healthy);
    let reader = Store::read_only(dir.path()).unwrap();
    assert!(!reader.is_outdated());
    fs::remove_file(database(dir.path())).unwrap();
    assert!(reader.is_outdated());
    monitor.gets_by("core", Status::Error);
    assert!(reader.is_outdated() && !Store::read_only(dir.path()).unwrap().is_outdated());
    assert!(monitor.store.problems()[0].contains("removed"), "{:?}", monitor.store.problems());
    let Monitor { store, state, .. } = monitor;
    drop(store);
    assert_eq!((kept(dir.path()), state.len()), (state, 2));
}
