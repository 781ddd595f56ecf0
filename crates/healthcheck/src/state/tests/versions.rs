use super::super::{Keeping, database::connect};
use super::*;
use healthcheck_core::Head;
use healthcheck_core::alerts::{Act, OutgoingState, Silence};
use rusqlite::{Connection, OpenFlags};
use std::fs;

/// Kept for ever: each later version reads it.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/state-v1.db");
/// The same story, and who was told of it.
const GOLDEN_2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/state-v2.db");

/// The same story, and what was done in it.
const GOLDEN_3: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/state-v3.db");

/// The same, with the subjects of incidents each by itself.
const GOLDEN_4: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/state-v4.db");

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

#[test]
fn the_second_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(GOLDEN_2, database(dir.path())).unwrap();
    goes_on(dir.path());
    let reader = Store::read_only(dir.path()).unwrap();
    assert_eq!(reader.database().unwrap().len(), 16);
    let (ids, acts): (Vec<i64>, Vec<Act>) = reader.acts(9).unwrap().into_iter().unzip();
    assert_eq!((ids, acts), (vec![], vec![]), "what was done before is known to nobody");
}

/// A database that nobody brought to the newest version yet is read all the same.
#[test]
fn an_older_version_is_looked_at_as_it_is() {
    for golden in [GOLDEN, GOLDEN_2] {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(golden, database(dir.path())).unwrap();
        let reader = Store::read_only(dir.path()).unwrap();
        assert_eq!(reader.acts(9).unwrap(), []);
        assert!(reader.database().unwrap_err().to_string().contains("start its monitor once"));
        assert_eq!(reader.transition(2).unwrap().unwrap().to, Status::Error);
    }
}

#[test]
fn the_third_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(GOLDEN_3, database(dir.path())).unwrap();
    let name = Store::read_only(dir.path()).unwrap().database().unwrap();
    assert!(name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    let acts = Store::read_only(dir.path()).unwrap().acts(9).unwrap();
    let told: Vec<(i64, String, String)> =
        acts.iter().map(|(id, act)| (*id, act.at.to_string(), format!("{:?}", act.deed))).collect();
    let expected = [
        (0, "2025-06-01T12:00:00.25Z", "Started { boottime: 10000s }"),
        (3, "2025-06-01T12:00:14.25Z", "Silenced(Silence { id: 1, pattern: \"wall*\""),
        (
            3,
            "2025-06-01T12:00:14.25Z",
            "Acknowledged { incident: 2, subjects: [Subject { kind: Service, name: \"core@2\"",
        ),
    ];
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(expected) {
        assert!((told.0, &*told.1) == (expected.0, expected.1) && told.2.starts_with(expected.2), "{told:?}");
    }
    goes_on(dir.path());
    let reader = Store::read_only(dir.path()).unwrap();
    assert_eq!(reader.database().unwrap(), name);
    assert_eq!(reader.acts(9).unwrap()[..3], acts);
}

#[test]
fn the_fourth_version_is_read() {
    let dir = tempfile::tempdir().unwrap();
    if !Path::new(GOLDEN_4).exists() {
        let mut monitor = Monitor::start(dir.path());
        monitor.alerts.started(&monitor.now);
        tell_everything(&mut monitor);
        drop(monitor);
        fs::copy(database(dir.path()), GOLDEN_4).unwrap();
        panic!("the golden database was not there, and was made: it is never to change");
    }
    fs::copy(GOLDEN_4, database(dir.path())).unwrap();
    goes_on(dir.path());
}

/// A record of an incident that is none costs itself, also when its subjects are moved.
#[test]
fn what_is_damaged_hinders_no_newer_version() {
    for members in
        ["\"foo\"", "[\"foo\", 7, null, [], {}, {\"subject\":{\"kind\":\"service\"}}]", "{\"a\":\"b\"}", "7"]
    {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(GOLDEN_3, database(dir.path())).unwrap();
        let record = format!("{{\"members\":{members}}}");
        let connection = Connection::open(database(dir.path())).unwrap();
        connection.execute("UPDATE incidents SET record = ?1 WHERE id = 1", [record]).unwrap();
        connection
            .execute(
                "INSERT INTO incidents SELECT 9, opened, resolved, worst, '{' FROM incidents WHERE id = 1",
                [],
            )
            .unwrap();
        drop(connection);
        let monitor = Monitor::start(dir.path());
        assert_eq!(monitor.store.problems(), [""; 0], "{members}");
        let open: Vec<_> = monitor.alerts.open_incidents().map(|it| (it.id, it.members.len())).collect();
        assert_eq!(open, [(2, 1)], "{members}");
    }
}

/// What was known and told is known again.
#[track_caller]
fn goes_on(dir: &Path) {
    let mut monitor = Monitor::start(dir);
    assert_eq!(monitor.store.problems(), [""; 0]);
    let open: Vec<_> = monitor.alerts.open_incidents().map(|it| (it.id, it.members.len())).collect();
    assert_eq!(open, [(2, 1)]);
    let incidents = monitor.store.incidents(9).unwrap();
    let members: Vec<_> = incidents.iter().flat_map(|it| &it.members).map(|it| &*it.subject.name).collect();
    assert_eq!(members, ["core@2", "camera"]);
    assert!(incidents[0].resolved.is_none() && incidents[0].acknowledged.as_ref().unwrap().author == "ann");
    assert_eq!(incidents[1].resolved.unwrap().to_string(), "2025-06-01T12:00:21.25Z");
    let silences: Vec<_> = monitor.alerts.silences().map(|it| (it.id, it.pattern.as_str())).collect();
    assert_eq!(silences, [(1, "wall*")]);
    let told = |monitor: &Monitor, name| -> Vec<(OutgoingState, u32)> {
        let notices = monitor.store.notices_of(&Subject::service(name), 9).unwrap();
        notices.iter().map(|it| (it.state, it.attempts)).collect()
    };
    assert_eq!(told(&monitor, "camera"), [(OutgoingState::Waiting, 1), (OutgoingState::Accepted, 1)]);
    assert_eq!(told(&monitor, "core@2"), [(OutgoingState::Accepted, 1)]);
    let Some(outgoing) = monitor.alerts.channels_of(&Subject::service("camera")).remove(0).outgoing else {
        panic!("what could not be delivered is on its way no more")
    };
    assert_eq!(outgoing.last_error.unwrap(), "connection refused");
    assert_eq!(monitor.alerts.instance().len(), 8);
    monitor.pass(Duration::from_secs(60));
    monitor.sees("wall", Status::Error);
    assert_eq!(monitor.alerts.incident_of(&Subject::service("wall")), Some(3));
}

/// The story goes on, and an operator acts on it.
fn tell_everything(monitor: &mut Monitor) {
    tell(monitor);
    monitor.pass(Duration::from_secs(7));
    let (until, created) = (monitor.now.wall + SignedDuration::from_hours(24 * 365), monitor.now.wall);
    let (pattern, reason, author) = ("wall*".to_owned(), "it is rebuilt".to_owned(), "ann".to_owned());
    monitor.alerts.silence(Silence { id: 0, pattern, until, while_command: None, reason, author, created });
    monitor.alerts.acknowledge(2, "ann", monitor.now.wall).unwrap();
    monitor.pass(Duration::from_secs(7));
    monitor.sees("camera", Status::Healthy);
}

/// What a program two versions later may have made of it.
fn grow(dir: &Path) {
    let connection = Connection::open(database(dir)).unwrap();
    let additions = "
        ALTER TABLE transitions ADD COLUMN incident INTEGER;
        ALTER TABLE incidents ADD COLUMN blame TEXT;
        CREATE TABLE drills (id INTEGER PRIMARY KEY, notice TEXT NOT NULL);
        INSERT INTO drills (notice) VALUES ('this is a drill');
        UPDATE meta SET value = '6' WHERE key = 'schema_version';
        PRAGMA user_version = 6;";
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
    let told = "state.db was made by a newer healthcheck (schema 6, this one knows 4): it is watched on without being \
                kept; update this program";
    assert!(monitor.store.problems()[0].ends_with(told), "{:?}", monitor.store.problems());
    assert_eq!(monitor.state, first.state);
    let open = |alerts: &Alerts| alerts.open_incidents().cloned().collect::<Vec<_>>();
    assert_eq!((open(&monitor.alerts), open(&monitor.alerts).len()), (open(&first.alerts), 2));
    let (ours, theirs) = (monitor.alerts.instance(), first.alerts.instance());
    assert!(ours != theirs && ours.len() == 8, "what nobody keeps is not numbered as what somebody does");
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
        "PRAGMA user_version = 5",
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
