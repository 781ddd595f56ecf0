use super::*;
use crate::history::suite::{beats, changed, machine};
use crate::history::{Entry, Presence};
use health_reporter::Status::{Error, Healthy, Unknown};
use healthcheck_core::history::Bin;
use healthcheck_core::{Gap, GapReason, Subject};
use std::fs;

/// Kept for ever: each later version reads them.
const GOLDEN: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/history-v1.db"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/history-v2.db"),
];

/// The story in the golden databases; the first of them has no machine that others watch.
fn tell(teller: &mut Teller) {
    let at = |time: &str| format!("2025-06-01T{time}Z").parse::<Timestamp>().unwrap();
    let camera = || Subject::service("camera");
    teller.tells([
        changed(1, "camera", Unknown, Healthy, "12:00:00"),
        beats("camera", Healthy, "indexing", "12:01:00", "12:09:00", 9),
        changed(2, "camera", Healthy, Error, "12:10:00.25"),
        beats("core@2", Healthy, "", "12:00:00", "12:20:00", 21),
        Entry::Gap(Gap { from: at("12:30:00"), to: at("12:40:00"), reason: GapReason::Boot }),
        Entry::Maintenance { subject: camera(), window: Window { from: at("12:50:00"), to: at("12:55:00") } },
        Entry::Numbers { subject: camera(), metric: "latency_ms".into(), bin: Bin::of(at("12:00:00"), 1.5) },
        Entry::Forgotten { subject: Subject::service("core@2"), at: at("12:25:00") },
        Entry::Machine(machine("phobos", Presence::Offline, at("12:20:00"))),
        Entry::Seen(at("13:00:00")),
    ]);
}

#[track_caller]
fn is_told(teller: &mut Teller) {
    let always = Window { from: Timestamp::MIN, to: Timestamp::MAX };
    let of = Selection::default();
    assert_eq!(teller.store.position(&teller.origin).unwrap(), Position { transition: 2, gap: 1, batch: 1 });
    let statuses = teller.store.statuses(&of).unwrap();
    assert_eq!((statuses.len(), statuses[0].message.as_str()), (1, "camera is error"));
    assert_eq!(statuses[0].last_heartbeat.unwrap().to_string(), "2025-06-01T12:09:00Z");
    let judged = teller.store.judged(&of, always).unwrap();
    let marks: Vec<_> =
        judged.iter().map(|it| (&*it.subject.name, it.marks.len(), it.maintenance.len())).collect();
    assert_eq!(marks, [("camera", 2, 1), ("core@2", 2, 0)]);
    let runs = teller.runs("camera");
    let told: Vec<_> = runs.iter().map(|run| (run.heartbeats, run.transition.as_ref().unwrap().to)).collect();
    assert_eq!(told, [(9, Healthy), (0, Error)]);
    assert_eq!(runs[1].transition.as_ref().unwrap().evidence.get("exit"), Some("signal 9"));
    assert_eq!(teller.store.gaps("deimos", always).unwrap()[0].reason, GapReason::Boot);
    assert_eq!(teller.store.series(&of, Resolution::Day, always).unwrap()[0].bins[0].sum.to_string(), "1.5");
    assert_eq!(teller.store.hosts().unwrap()[0].last_seen.to_string(), "2025-06-01T13:00:00Z");
}

#[test]
fn each_former_version_is_read_and_goes_on() {
    if !Path::new(GOLDEN[1]).exists() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        tell(&mut teller(dir.path()));
        fs::copy(database(dir.path()), GOLDEN[1]).unwrap();
        panic!("the golden database was not there, and was made: it is never to change");
    }
    for golden in GOLDEN {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        fs::copy(golden, database(dir.path())).unwrap();
        let reader = Sqlite::to_read(database(dir.path()));
        is_told(&mut Teller::new(Box::new(reader), Record::Changes));
        let mut teller = returned(dir.path());
        is_told(&mut teller);
        teller.tells([changed(3, "camera", Error, Healthy, "14:00:00")]);
        assert_eq!((teller.runs("camera").len(), teller.store.remark()), (3, None));
    }
}

#[test]
fn machines_of_the_first_version_get_what_others_have() {
    for (golden, names) in [(GOLDEN[0], &["deimos"][..]), (GOLDEN[1], &["deimos", "phobos"])] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        fs::copy(golden, database(dir.path())).unwrap();
        let mut teller = returned(dir.path());
        teller.tells([]);
        let machines = teller.store.machines().unwrap();
        assert!(machines.iter().map(|it| &*it.0).eq(names.iter().copied()), "{machines:?}");
        let hosts = teller.store.hosts().unwrap();
        assert_eq!((hosts.len(), &*hosts[0].name), (1, "deimos"));
    }
}

/// What a program two versions later may have made of it.
#[test]
fn a_newer_one_is_read_and_never_written() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    tell(&mut teller(dir.path()));
    let connection = Connection::open(database(dir.path())).unwrap();
    let additions = "
        ALTER TABLE system_status_history ADD COLUMN incident INTEGER;
        ALTER TABLE system_status ADD COLUMN blame TEXT;
        CREATE TABLE drills (id INTEGER PRIMARY KEY, notice TEXT NOT NULL);
        UPDATE meta SET value = '3' WHERE key = 'schema_version';
        PRAGMA user_version = 3;";
    connection.execute_batch(additions).unwrap();
    drop(connection);
    let before = fs::read(database(dir.path())).unwrap();
    let mut teller = returned(dir.path());
    is_told(&mut teller);
    let error = teller
        .store
        .write(&teller.portion(vec![changed(3, "camera", Error, Healthy, "14:00:00")]))
        .unwrap_err();
    let told = "history.db was made by a newer healthcheck (schema 3, this one knows 2): nothing is written: update this program";
    assert!(error.to_string().ends_with(told) && !error.is_elsewhere(), "{error}");
    let slice = teller.store.stock().unwrap().slices.remove(0);
    assert!(teller.store.prune(&slice, 100).is_err());
    drop(teller);
    assert_eq!(fs::read(database(dir.path())).unwrap(), before);
    assert_eq!(names_in(dir.path()).iter().filter(|name| name.contains("corrupt")).count(), 0);
}

#[test]
fn a_version_that_contradicts_itself_is_damage() {
    for sql in [
        "PRAGMA user_version = 3",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 7",
        "DELETE FROM meta",
    ] {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        tell(&mut teller(dir.path()));
        Connection::open(database(dir.path())).unwrap().execute_batch(sql).unwrap();
        let mut teller = returned(dir.path());
        assert_eq!(teller.position, Position::default(), "{sql}");
        assert!(teller.store.remark().unwrap().contains("history.db.corrupt-1"), "{sql}");
        tell(&mut teller);
    }
}
