use super::super::{Keeping, database::connect};
use super::*;
use healthcheck_core::Head;
use rusqlite::{Connection, OpenFlags};
use std::fs;

/// Kept for ever: each later version reads it.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/state-v1.db");

/// The story in the golden database.
fn tell(monitor: &mut Monitor) -> Vec<(i64, Transition)> {
    let mut story = monitor.sees("camera", Status::Healthy);
    monitor.pass(Duration::from_secs(7));
    story.extend(monitor.sees("camera", Status::Error));
    story.extend(monitor.sees("core@2", Status::Warning));
    story
}

#[test]
fn the_first_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    if !Path::new(GOLDEN).exists() {
        tell(&mut Monitor::start(dir.path()));
        fs::copy(database(dir.path()), GOLDEN).unwrap();
        panic!("the golden database was not there, and was made: it is never to change");
    }
    fs::copy(GOLDEN, database(dir.path())).unwrap();
    let mut monitor = Monitor::start(dir.path());
    assert_eq!(monitor.store.problems(), [""; 0]);
    let kept: Vec<_> = monitor.state.records().map(|(subject, _)| subject.to_string()).collect();
    assert_eq!(kept, ["service camera", "service core@2"]);
    let verdict = monitor.state.verdict(&Subject::service("camera")).unwrap();
    assert_eq!(
        (verdict.status, verdict.since.to_string().as_str()),
        (Status::Error, "2025-06-01T12:00:07.25Z")
    );
    let camera = monitor.store.last_transitions(&Subject::service("camera"), 9).unwrap();
    let told: Vec<_> =
        camera.iter().map(|(id, told)| (*id, told.from, told.to, told.cause.as_str())).collect();
    let expected = [
        (2, Status::Healthy, Status::Error, "self_reported"),
        (1, Status::Unknown, Status::Healthy, "self_reported"),
    ];
    assert_eq!(told, expected);
    monitor.pass(Duration::from_secs(60));
    assert_eq!(monitor.sees("camera", Status::Healthy)[0].0, 4);
}

/// What a program two versions later may have made of it.
fn grow(dir: &Path) {
    let connection = Connection::open(database(dir)).unwrap();
    let additions = "
        ALTER TABLE transitions ADD COLUMN incident INTEGER;
        CREATE TABLE outbox (id INTEGER PRIMARY KEY, notice TEXT NOT NULL);
        INSERT INTO outbox (notice) VALUES ('camera is down');
        UPDATE meta SET value = '3' WHERE key = 'schema_version';
        PRAGMA user_version = 3;";
    connection.execute_batch(additions).unwrap();
}

#[test]
fn a_newer_database_is_read_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Monitor::start(dir.path());
    let story = tell(&mut first);
    drop(first.store);
    grow(dir.path());
    let before = fs::read(database(dir.path())).unwrap();
    let mut monitor = Monitor::start(dir.path());
    assert!(monitor.store.is_read_only() && matches!(monitor.store.keeping, Keeping::Untouched { .. }));
    let told = "state.db was made by a newer healthcheck (schema 3, this one knows 1): it is watched on without being \
                kept; update this program";
    assert!(monitor.store.problems()[0].ends_with(told), "{:?}", monitor.store.problems());
    assert_eq!(monitor.state, first.state);
    assert_eq!(monitor.sees("camera", Status::Healthy), []);
    assert_eq!(monitor.store.last_transitions(&Subject::service("core@2"), 9).unwrap(), story[2..]);
    drop(monitor.store);
    assert_eq!(fs::read(database(dir.path())).unwrap(), before);
}

#[test]
fn a_state_of_a_newer_judge_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    tell(&mut Monitor::start(dir.path()));
    let connection = connect(&database(dir.path()), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let head: String =
        connection.query_row("SELECT value FROM meta WHERE key = 'head'", [], |row| row.get(0)).unwrap();
    let newer = head.replace("\"version\":1", "\"version\":2");
    assert!(serde_json::from_str::<Head>(&newer).is_ok() && newer != head);
    connection.execute("UPDATE meta SET value = ?1 WHERE key = 'head'", [newer]).unwrap();
    drop(connection);
    let mut monitor = Monitor::start(dir.path());
    assert!(monitor.store.is_read_only() && monitor.state.is_empty());
    assert!(monitor.store.problems()[0].contains("saved in version 2"), "{:?}", monitor.store.problems());
    assert_eq!(monitor.sees("camera", Status::Healthy), []);
}

#[test]
fn a_version_that_contradicts_itself_is_damage() {
    for sql in [
        "PRAGMA user_version = 3",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 7",
        "DELETE FROM meta",
    ] {
        let dir = tempfile::tempdir().unwrap();
        tell(&mut Monitor::start(dir.path()));
        Connection::open(database(dir.path())).unwrap().execute_batch(sql).unwrap();
        let mut monitor = Monitor::start(dir.path());
        assert!(
            monitor.state.is_empty() && monitor.store.problems()[0].contains("state.db.corrupt-1"),
            "{sql}"
        );
        monitor.sees("camera", Status::Healthy);
    }
}
