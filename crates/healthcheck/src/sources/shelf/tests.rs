//! Real files, some of them hostile.

use super::*;
use health_reporter::write::{Claim, Writer};
use health_reporter::{HealthReport, State, Status};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

const HEALTHY: &str = r#"{"overall_status":"healthy"}"#;

fn shelf() -> (TempDir, Shelf) {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::at(dir.path().to_owned());
    (dir, shelf)
}

fn put(dir: &TempDir, name: &str) {
    fs::write(dir.path().join(".stage"), HEALTHY).unwrap();
    fs::rename(dir.path().join(".stage"), dir.path().join(format!("{name}.json"))).unwrap();
}

fn name(name: &str) -> ServiceName {
    name.parse().unwrap()
}

fn names(names: &[ServiceName]) -> Vec<&str> {
    names.iter().map(ServiceName::as_str).collect()
}

/// What has changed, each of it read.
fn read_changed(shelf: &mut Shelf) -> Changed {
    let changed = shelf.changed(|_| false).unwrap();
    for name in &changed.names {
        let _ = shelf.read(name, MAX_REPORT_BYTES);
    }
    changed
}

#[test]
fn only_what_has_changed_is_told_and_what_vanished_once() {
    let (dir, mut shelf) = shelf();
    let mut writer = Writer::claim(dir.path(), &name("camera"), Claim::Exactly).unwrap();
    writer.write(&HealthReport::new(Status::Healthy)).unwrap();
    put(&dir, "core");
    assert_eq!(names(&read_changed(&mut shelf).names), ["camera", "core"]);
    for _ in 0..100 {
        assert_eq!(names(&read_changed(&mut shelf).names), [""; 0]);
        // Equally large, and within the same tick of the file system's clock.
        writer.write(&HealthReport::new(Status::Healthy)).unwrap();
        assert_eq!(names(&read_changed(&mut shelf).names), ["camera"]);
    }
    fs::remove_file(dir.path().join("core.json")).unwrap();
    let changed = read_changed(&mut shelf);
    assert_eq!((names(&changed.names), names(&changed.vanished)), (vec![], vec!["core"]));
    assert_eq!(names(&read_changed(&mut shelf).vanished), [""; 0]);
    put(&dir, "core");
    assert_eq!(names(&read_changed(&mut shelf).names), ["core"]);
}

#[test]
fn what_was_told_and_not_read_is_told_again() {
    let (dir, mut shelf) = shelf();
    put(&dir, "core");
    for _ in 0..2 {
        assert_eq!(names(&shelf.changed(|_| false).unwrap().names), ["core"]);
    }
    // Read, and replaced while nobody looked: by an event it is read at once, and not told again.
    assert!(shelf.read(&name("core"), MAX_REPORT_BYTES).is_ok());
    put(&dir, "core");
    assert!(shelf.read(&name("core"), MAX_REPORT_BYTES).is_ok());
    assert_eq!(names(&shelf.changed(|_| false).unwrap().names), [""; 0]);
}

#[test]
fn what_cannot_be_read_is_told_once_and_blocks_nobody() {
    let (dir, mut shelf) = shelf();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("torn.json"), "{").unwrap();
    fs::create_dir(at("folder.json")).unwrap();
    symlink("/etc/passwd", at("link.json")).unwrap();
    symlink("nowhere", at("nowhere.json")).unwrap();
    mknodat(CWD, at("pipe.json"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::File::create(at("vast.json")).unwrap().set_len(1 << 40).unwrap();
    for evil in [&b"a\nb.json"[..], b"\xff\xfe.json", b"a b.json", b"-rf.json"] {
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(evil)), HEALTHY).unwrap();
    }
    fs::write(at(".hidden.json"), HEALTHY).unwrap();
    put(&dir, "well");
    let changed = read_changed(&mut shelf);
    assert_eq!(names(&changed.names), ["folder", "link", "nowhere", "pipe", "torn", "vast", "well"]);
    assert_eq!((changed.rejected_count, changed.rejected.iter().all(|name| name.is_ascii())), (4, true));
    assert!(changed.rejected.iter().all(|name| !name.contains('\n')), "{:?}", changed.rejected);
    for name in changed.names {
        assert_eq!(shelf.read(&name, MAX_REPORT_BYTES).is_ok(), name.as_str() == "well", "{name}");
    }
    assert_eq!(names(&read_changed(&mut shelf).names), [""; 0]);
    assert!(shelf.buffer.capacity() <= KEPT_BYTES);
    // Mended, it is told.
    put(&dir, "torn");
    assert_eq!(names(&read_changed(&mut shelf).names), ["torn"]);
    fs::set_permissions(at("torn.json"), fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(names(&read_changed(&mut shelf).names), ["torn"]);
}

#[test]
fn a_directory_that_is_gone_says_nothing_of_its_reports_and_another_is_read_anew() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("health");
    let mut shelf = Shelf::at(path.clone());
    let at = name("camera");
    assert_eq!(shelf.read(&at, MAX_REPORT_BYTES).unwrap_err().error, ReadError::Missing);
    assert_eq!(shelf.changed(|_| false).unwrap_err().kind(), io::ErrorKind::NotFound);
    let mut report = HealthReport::new(Status::Healthy);
    for state in [State::Running, State::Stopped] {
        report.state = state;
        fs::create_dir(&path).unwrap();
        Writer::claim(&path, &at, Claim::Exactly).unwrap().write(&report).unwrap();
        assert!(matches!(shelf.reattach(), Attached::Another));
        assert!(matches!(shelf.reattach(), Attached::Same));
        assert_eq!(names(&shelf.changed(|_| false).unwrap().names), ["camera"]);
        assert_eq!(shelf.read(&at, MAX_REPORT_BYTES).unwrap().report.state, state);
        fs::remove_dir_all(&path).unwrap();
        assert!(matches!(shelf.reattach(), Attached::Not(error) if error.kind() == io::ErrorKind::NotFound));
        assert!(shelf.changed(|_| false).is_err());
    }
    assert_eq!(shelf.path(), path);
}

#[test]
fn what_is_known_of_one_directory_is_not_taken_for_what_is_in_the_next() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("health");
    let mut shelf = Shelf::at(path.clone());
    let at = name("camera");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("camera.json"), HEALTHY).unwrap();
    assert!(shelf.read(&at, MAX_REPORT_BYTES).is_ok());
    assert_eq!(shelf.file_system(), FileSystem::Free);
    fs::remove_dir_all(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(shelf.reattach(), Attached::Another));
    assert_eq!(names(&shelf.changed(|_| false).unwrap().vanished), ["camera"]);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert!(matches!(shelf.reattach(), Attached::Not(_)));
    assert!(matches!(shelf.read(&at, MAX_REPORT_BYTES).unwrap_err().error, ReadError::Unreadable(_)));
}

#[test]
fn of_very_many_reports_the_known_and_the_wanted_stay_and_no_more_than_there_is_room_for() {
    let (dir, mut shelf) = shelf();
    put(&dir, "z-known");
    assert!(shelf.read(&name("z-known"), MAX_REPORT_BYTES).is_ok());
    fs::write(dir.path().join("z-wanted.json"), HEALTHY).unwrap();
    fs::write(dir.path().join("source"), HEALTHY).unwrap();
    let count = 2 * MAX_FILES + 10;
    for index in 0..count {
        fs::hard_link(dir.path().join("source"), dir.path().join(format!("n{index:05}.json"))).unwrap();
    }
    let wanted = |name: &ServiceName| name.as_str() == "z-wanted";
    let changed = shelf.changed(wanted).unwrap();
    assert_eq!((changed.names.len(), changed.left_out), (MAX_FILES - 1, count - (MAX_FILES - 2)));
    assert_eq!(names(&changed.names[..2]), ["z-wanted", "n00000"]);
    assert_eq!(names(&changed.names[MAX_FILES - 2..]), ["n19997"]);
    for name in &changed.names {
        assert!(shelf.has_room_for(name) || wanted(name));
        assert!(shelf.read(name, MAX_REPORT_BYTES).is_ok());
    }
    // The room is used up: what is new is left out, what is known is still read.
    assert!(!shelf.has_room_for(&name("n30000")) && shelf.has_room_for(&name("n00000")));
    put(&dir, "z-known");
    put(&dir, "a-new");
    let changed = shelf.changed(wanted).unwrap();
    assert_eq!(names(&changed.names), ["z-known"]);
    assert_eq!((changed.left_out, shelf.known.len()), (count + 1 - (MAX_FILES - 2), MAX_FILES));
}
