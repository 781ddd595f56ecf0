use super::*;
use crate::history::suite::{beat, changed};
use health_reporter::Status;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

const ALWAYS: Window = Window { from: Timestamp::MIN, to: Timestamp::MAX };

#[test]
fn others_read_and_copy_while_one_writes() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut teller = teller(dir.path());
    teller.tells([beat("camera", "a", "12:00:00")]);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| look_and_copy(dir.path(), &is_over));
        for number in 1..=400 {
            let (from, to) = [(Status::Healthy, Status::Error), (Status::Error, Status::Healthy)][number % 2];
            let time = format!("13:{:02}:{:02}", number / 60, number % 60);
            let id = i64::try_from(number).unwrap();
            teller.tells([changed(id, "core", from, to, &time), beat("camera", "a", &time)]);
        }
        is_over.store(true, Ordering::Relaxed);
        let copies = reading.join().unwrap();
        println!("{copies} copies while 400 portions were written");
    });
    let copy = dir.path().join("last.db");
    teller.store.backup(&copy).unwrap();
    is_consistent(&copy);
    assert_eq!(
        Sqlite::to_read(copy.clone()).statuses(&Selection::default()),
        teller.store.statuses(&Selection::default())
    );
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

/// Until it is over, at least once; how many copies were made.
fn look_and_copy(dir: &Path, is_over: &AtomicBool) -> usize {
    let mut reader = Sqlite::to_read(database(dir));
    let (mut seen, mut copies) = (0, 0);
    while !is_over.load(Ordering::Relaxed) || copies == 0 {
        let judged = reader.judged(&Selection::default(), ALWAYS).unwrap();
        let changes: usize = judged.iter().map(|it| it.marks.len()).sum();
        assert!(changes >= seen, "{changes} after {seen}");
        seen = changes;
        let copy = dir.join(format!("copy-{copies}.db"));
        reader.backup(&copy).unwrap();
        is_consistent(&copy);
        copies += 1;
    }
    copies
}

/// A prune as root makes nothing that a monitor of another user could not open, and begins nothing anew under it.
#[test]
fn who_changes_a_little_makes_nothing_and_gives_nothing_away() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut guest = Sqlite::to_change(database(dir.path()));
    let error = guest.stock().unwrap_err().to_string();
    assert!(error.ends_with("there is no such file: `healthcheck monitor` writes it"), "{error}");
    assert_eq!(names_in(dir.path()), [""; 0]);
    teller(dir.path()).tells([beat("camera", "a", "12:00:00")]);
    for path in [dir.path(), &database(dir.path())] {
        std::os::unix::fs::chown(path, Some(4711), Some(4711)).unwrap();
    }
    let slice = guest.stock().unwrap().slices.remove(0);
    assert_eq!(guest.prune(&slice, 100).unwrap().rows, 1);
    for name in ["history.db", "history.db-shm", "history.db-wal"] {
        let metadata = dir.path().join(name).metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (4711, 4711, 0o640), "{name}");
    }
    drop(guest);
    std::fs::write(database(dir.path()), "no database ".repeat(1_000)).unwrap();
    let mut guest = Sqlite::to_change(database(dir.path()));
    let error = guest.stock().unwrap_err().to_string();
    assert!(error.contains("is damaged") && guest.remark().is_none(), "{error}");
    assert_eq!(names_in(dir.path()), ["history.db"]);
}

/// As many heartbeats of the one as changes of the other.
#[track_caller]
fn is_consistent(copy: &Path) {
    let connection = Connection::open(copy).unwrap();
    let word: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    let differ: i64 = connection
        .query_row(
            "SELECT (SELECT sum(heartbeats) FROM system_status_history WHERE service_name = 'camera')
                  - (SELECT count(*) FROM system_status_history WHERE service_name = 'core')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!((word.as_str(), differ), ("ok", 1), "{}", copy.display());
}

#[test]
fn what_is_not_there_names_who_writes_it_and_is_not_made() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut reader = Sqlite::to_read(database(dir.path()));
    let error = reader.hosts().unwrap_err().to_string();
    assert!(error.contains("history.db") && error.contains("`healthcheck monitor` writes it"), "{error}");
    assert_eq!(names_in(dir.path()), [""; 0]);
    let mut teller = teller(dir.path());
    teller.tells([beat("camera", "a", "12:00:00")]);
    assert_eq!(reader.statuses(&Selection::default()).unwrap().len(), 1);
    assert_eq!(database(dir.path()).metadata().unwrap().mode() & 0o777, 0o640);
    let mut written = Sqlite::to_read(database(dir.path()));
    let error = written.write(&teller.portion(vec![beat("camera", "a", "12:01:00")])).unwrap_err();
    assert!(error.to_string().contains("history.db"), "{error}");
}

#[test]
fn no_link_is_followed_and_no_directory_of_everybody_is_believed() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::write(&elsewhere, "").unwrap();
    symlink(&elsewhere, database(dir.path())).unwrap();
    let error = Sqlite::to_write(database(dir.path())).hosts().unwrap_err().to_string();
    assert!(error.contains("is not a regular file"), "{error}");
    assert!(Sqlite::to_read(database(dir.path())).hosts().is_err());
    assert_eq!(elsewhere.metadata().unwrap().len(), 0);
    let open = dir.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Sqlite::to_write(database(&open)).hosts().unwrap_err().to_string();
    assert!(error.contains("can be written by everybody"), "{error}");
}

/// Dropping goes by portions, and gives back what was used.
#[test]
fn what_is_dropped_makes_the_file_smaller() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut teller = teller(dir.path());
    teller.record = Record::Heartbeats;
    for minute in 0..60 {
        let second = |second| beat("camera", "indexing", &format!("12:{minute:02}:{second:02}"));
        teller.tells((0..60).map(second).collect::<Vec<_>>());
    }
    let before = teller.store.stock().unwrap();
    assert_eq!(
        (before.slices.len(), before.slices[0].rows, before.slices[0].bytes),
        (1, 3_600, before.bytes)
    );
    let mut steps = 0;
    loop {
        let pruned = teller.store.prune(&before.slices[0], 500).unwrap();
        assert!(pruned.rows <= 500);
        steps += 1;
        if pruned.is_done {
            break;
        }
    }
    let after = teller.store.stock().unwrap();
    assert!(
        steps == 8 && after.slices.is_empty() && after.bytes * 4 < before.bytes,
        "{steps} {before:?} {after:?}"
    );
    drop(teller);
    assert!(database(dir.path()).metadata().unwrap().len() * 4 < before.bytes);
}
