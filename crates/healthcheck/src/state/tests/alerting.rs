use super::*;
use healthcheck_core::alerts::{Deed, OutgoingState, Silence};
use rusqlite::Connection;

fn silence(monitor: &Monitor, pattern: &str) -> Silence {
    let until = monitor.now.wall + SignedDuration::from_hours(1);
    Silence {
        id: 0,
        pattern: pattern.to_owned(),
        until,
        while_command: None,
        reason: "it is repaired".to_owned(),
        author: "ann".to_owned(),
        created: monitor.now.wall,
    }
}

fn connection(dir: &Path) -> Connection {
    Connection::open(database(dir)).unwrap()
}

fn count(dir: &Path, table: &str) -> i64 {
    connection(dir).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// Errors, a recovery, a silence, and an acknowledgement, all of them kept.
fn eventful(dir: &Path) -> Monitor {
    let mut monitor = Monitor::start(dir);
    for name in ["camera", "core", "wall", "camera"] {
        let status = if monitor.state.record(&Subject::service(name)).is_some() {
            Status::Healthy
        } else {
            Status::Error
        };
        monitor.sees(name, status);
        monitor.pass(Duration::from_secs(1));
    }
    monitor.alerts.silence(silence(&monitor, "c*"));
    monitor.alerts.acknowledge(3, "ann", monitor.now.wall).unwrap();
    monitor.sees("db", Status::Warning);
    monitor
}

#[test]
fn what_is_known_of_alerts_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let Monitor { store, alerts, .. } = eventful(dir.path());
    drop(store);
    let again = kept_alerts(dir.path());
    assert_eq!(all_of(&again), all_of(&alerts));
    assert_eq!(again.instance(), alerts.instance());
    assert_eq!((again.open_incidents().count(), again.silences().count()), (3, 1));
}

fn deeds(dir: &Path) -> Vec<(i64, String, Deed)> {
    let acts = Store::read_only(dir).unwrap().acts(99).unwrap();
    acts.into_iter().map(|(id, act)| (id, act.at.to_string(), act.deed)).collect()
}

#[test]
fn what_was_done_is_kept_once_with_what_follows_from_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = eventful(dir.path());
    let before = deeds(dir.path());
    assert!(
        matches!(&before[..], [(4, _, Deed::Silenced(_)), (4, _, Deed::Acknowledged { incident: 3, .. })]),
        "{before:?}"
    );
    monitor.sees("db", Status::Healthy);
    assert_eq!(deeds(dir.path()), before, "what is kept is not added again");
    let drilled = Silence { while_command: Some("a drill".into()), ..silence(&monitor, "db") };
    let id = monitor.alerts.silence(drilled.clone());
    monitor.commit("db", &[]).unwrap();
    monitor.pass(Duration::from_secs(30));
    let until = monitor.now.wall + SignedDuration::from_hours(2);
    assert_eq!(monitor.alerts.silence(Silence { until, created: monitor.now.wall, ..drilled.clone() }), id);
    monitor.commit("db", &[]).unwrap();
    let moved = deeds(dir.path()).remove(2);
    assert_eq!(moved.1, drilled.created.to_string(), "a silence that is moved on is one");
    assert!(matches!(moved.2, Deed::Silenced(moved) if moved.until == until && moved.id == id));
    monitor.alerts.unsilence(id, monitor.now.wall);
    monitor.alerts.unsilence(77, monitor.now.wall);
    monitor.alerts.stop(monitor.now.wall);
    monitor.now.wall += SignedDuration::from_hours(1);
    monitor.sees("db", Status::Warning);
    let last = deeds(dir.path()).split_off(3);
    let set = monitor.now.wall - SignedDuration::from_hours(1);
    let expected = [Deed::Unsilenced { silence: id }, Deed::Stopped, Deed::ClockSet { from: set }];
    assert_eq!(last.into_iter().map(|(_, _, deed)| deed).collect::<Vec<_>>(), expected);
}

#[test]
fn of_what_was_done_the_last_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = eventful(dir.path());
    connection(dir.path()).execute("UPDATE sqlite_sequence SET seq = 10002 WHERE name = 'acts'", []).unwrap();
    monitor.alerts.stop(monitor.now.wall);
    monitor.sees("db", Status::Healthy);
    assert_eq!(deeds(dir.path()).into_iter().map(|it| it.2).collect::<Vec<_>>(), [Deed::Stopped]);
}

/// A database that is begun anew has what was done since only once.
#[test]
fn what_was_done_is_not_kept_twice_where_everything_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = eventful(dir.path());
    std::fs::remove_file(database(dir.path())).unwrap();
    monitor.alerts.stop(monitor.now.wall);
    monitor.gets_by("db", Status::Healthy);
    assert_eq!(deeds(dir.path()).into_iter().map(|it| it.2).collect::<Vec<_>>(), [Deed::Stopped]);
}

#[test]
fn another_database_has_numbers_of_its_own() {
    let names: Vec<String> = (0..8)
        .map(|_| {
            let dir = tempfile::tempdir().unwrap();
            Monitor::start(dir.path()).alerts.instance().to_owned()
        })
        .collect();
    let is_name = |name: &String| {
        name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    assert!(names.iter().all(is_name), "{names:?}");
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 8, "{names:?}");
}

#[test]
fn what_is_dropped_is_there_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = eventful(dir.path());
    let tables = ["troubles", "channels", "told", "silences"];
    assert_eq!(tables.map(|table| count(dir.path(), table)), [4, 1, 4, 1]);
    monitor.alerts.unsilence(1, monitor.now.wall);
    monitor.rules.channels.clear();
    monitor.pass(Duration::from_hours(30));
    monitor.sees("wall", Status::Healthy);
    assert_eq!(tables.map(|table| count(dir.path(), table)), [3, 0, 0, 0]);
    let known = all_of(&monitor.alerts);
    drop(monitor);
    assert_eq!(all_of(&kept_alerts(dir.path())), known);
}

#[test]
fn incidents_are_listed_and_notices_found_by_whoever_looks() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = eventful(dir.path());
    let reader = Store::read_only(dir.path()).unwrap();
    let incidents = reader.incidents(9).unwrap();
    let shown: Vec<_> = incidents.iter().map(|it| (it.id, it.is_open())).collect();
    assert_eq!(shown, [(4, true), (3, true), (2, true), (1, false)]);
    assert_eq!(incidents[1].acknowledged.as_ref().unwrap().author, "ann");
    assert_eq!(monitor.store.incidents(9).unwrap(), incidents);
    assert_eq!(reader.incidents(2).unwrap(), incidents[..2]);
    let core = Subject::service("core");
    let notices = reader.notices_of(&core, 9).unwrap();
    assert_eq!((notices.len(), notices[0].state), (1, OutgoingState::Accepted));
    assert_eq!(monitor.store.notices_of(&core, 9).unwrap(), notices);
    assert_eq!(reader.notices_of(&Subject::service("cor"), 9).unwrap(), []);
    assert_eq!(reader.silences().unwrap()[0].pattern, "c*");
    assert_eq!(all_of(&reader.alerts().unwrap()), all_of(&monitor.alerts));
}

#[test]
fn a_row_of_alerts_that_cannot_be_read_costs_itself() {
    for (sql, left) in [
        ("UPDATE incidents SET record = '{' WHERE id = 2", (2, 1, 4)),
        ("UPDATE incidents SET id = 77 WHERE id = 2", (2, 1, 4)),
        ("UPDATE silences SET record = x'00'", (3, 0, 4)),
        ("UPDATE told SET kind = 'ghost' WHERE name = 'core'", (3, 1, 3)),
        ("UPDATE troubles SET record = 7 WHERE name = 'core'", (3, 1, 4)),
        ("UPDATE outbox SET record = '[]'", (3, 1, 4)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(eventful(dir.path()));
        connection(dir.path()).execute_batch(sql).unwrap();
        let mut monitor = Monitor::start(dir.path());
        let everything = monitor.alerts.everything();
        let is = (monitor.alerts.open_incidents().count(), everything.silences.len(), everything.told.len());
        assert_eq!((is, monitor.store.problems()), (left, Vec::new()), "{sql}");
        drop(everything);
        monitor.sees("core", Status::Healthy);
        assert!(!monitor.store.incidents(9).unwrap().is_empty());
    }
}

#[test]
fn subjects_of_an_incident_are_kept_each_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    monitor.rules.group_wait = Duration::from_secs(60);
    for name in ["wall", "camera", "core"] {
        monitor.sees(name, Status::Error);
    }
    monitor.sees("camera", Status::Healthy);
    drop(monitor.store);
    let members = |dir: &Path| {
        let open: Vec<_> = kept_alerts(dir).open_incidents().flat_map(|it| it.members.clone()).collect();
        open.into_iter().map(|it| (it.subject.name.to_string(), it.recovered.is_some())).collect::<Vec<_>>()
    };
    let named = |name: &str, is_over: bool| (name.to_owned(), is_over);
    assert_eq!(members(dir.path()), [named("wall", false), named("camera", true), named("core", false)]);
    let record: String =
        connection(dir.path()).query_row("SELECT record FROM incidents", [], |row| row.get(0)).unwrap();
    assert!(record.contains("\"members\":[]"), "{record}");
    let damage =
        "UPDATE incident_members SET record = replace(record, 'camera', 'another') WHERE name = 'camera'";
    connection(dir.path()).execute(damage, []).unwrap();
    assert_eq!(members(dir.path()), [named("wall", false), named("core", false)]);
    connection(dir.path()).execute("DELETE FROM incident_members WHERE name = 'wall'", []).unwrap();
    let mut monitor = Monitor::start(dir.path());
    let (policy, rules) = (&Policy::default(), &monitor.rules);
    monitor.alerts.agree(&World { state: &monitor.state, policy, rules, now: &monitor.now });
    let known: Vec<_> = monitor.alerts.open_incidents().flat_map(|it| &it.members).collect();
    let known: Vec<_> = known.iter().map(|it| &*it.subject.name).collect();
    assert_eq!(known, ["core", "wall"], "what is bad is not over because a row was lost");
    drop(monitor);
    connection(dir.path()).execute("DELETE FROM incidents", []).unwrap();
    assert_eq!(count(dir.path(), "incident_members"), 0);
}

#[test]
fn alerts_whose_head_is_lost_begin_anew_and_the_state_goes_on() {
    for sql in [
        "DELETE FROM meta WHERE key = 'alerts'",
        "UPDATE meta SET value = '{' WHERE key = 'alerts'",
        "UPDATE meta SET value = json_set(value, '$.instance', '') WHERE key = 'alerts'",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let first = eventful(dir.path());
        let (state, instance) = (first.state, first.alerts.instance().to_owned());
        drop(first.store);
        connection(dir.path()).execute_batch(sql).unwrap();
        let mut monitor = Monitor::start(dir.path());
        assert_eq!(monitor.state, state, "{sql}");
        let told = "what was told to whom cannot be read, all of it is lost";
        assert!(monitor.store.problems()[0].ends_with(told), "{sql}: {:?}", monitor.store.problems());
        assert!(monitor.alerts.instance() != instance && monitor.alerts.open_incidents().count() == 0);
        assert_eq!(monitor.store.incidents(9).unwrap(), [], "{sql}");
        monitor.sees("fan", Status::Error);
        let known = all_of(&monitor.alerts);
        drop(monitor);
        assert_eq!(all_of(&kept_alerts(dir.path())), known);
        assert_eq!(Store::open(dir.path()).unwrap().0.problems(), [""; 0]);
    }
}

#[test]
fn writing_all_anew_keeps_what_is_over_and_nothing_of_somebody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = eventful(dir.path());
    let before = monitor.store.incidents(9).unwrap();
    connection(dir.path()).execute_batch("INSERT INTO told VALUES ('ghost', 'service', 'x', '{}')").unwrap();
    monitor.store.rewrite(&monitor.state, &monitor.alerts).unwrap();
    assert_eq!(monitor.store.incidents(9).unwrap(), before);
    assert_eq!(count(dir.path(), "told"), 4);
    let other = Alerts::new("somebody");
    monitor.store.rewrite(&monitor.state, &other).unwrap();
    assert_eq!(["incidents", "outbox", "troubles"].map(|table| count(dir.path(), table)), [0, 0, 0]);
    drop(monitor);
    assert_eq!(kept_alerts(dir.path()).instance(), "somebody");
}

#[test]
fn a_commit_that_fails_keeps_nothing_of_the_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = eventful(dir.path());
    let before = monitor.store.incidents(9).unwrap();
    let other = connection(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let transitions = monitor.judge("fan", Status::Error);
    monitor.commit("fan", &transitions).unwrap_err();
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(monitor.store.incidents(9).unwrap(), before);
    monitor.commit("fan", &transitions).unwrap();
    assert_eq!(monitor.store.incidents(9).unwrap().len(), before.len() + 1);
}

#[test]
fn what_is_over_goes_in_portions_and_what_is_not_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut monitor = Monitor::start(dir.path());
    monitor.sees("core", Status::Error);
    for status in [Status::Error, Status::Healthy].into_iter().cycle().take(120) {
        // As many notices as there are, and none that is too many.
        monitor.pass(Duration::from_secs(3_600));
        monitor.sees("camera", status);
    }
    let (incidents, notices) = (count(dir.path(), "incidents"), count(dir.path(), "outbox"));
    assert_eq!((incidents, notices > 100), (61, true), "{notices}");
    connection(dir.path())
        .execute_batch(
            "UPDATE incidents SET id = id + 10000 WHERE id = 61;
             UPDATE outbox SET seq = seq + 10000 WHERE seq = (SELECT max(seq) FROM outbox);",
        )
        .unwrap();
    monitor.pass(Duration::from_secs(3_600));
    monitor.sees("camera", Status::Error);
    assert_eq!(count(dir.path(), "incidents"), incidents + 1 - 17);
    assert!((notices - 17..notices).contains(&count(dir.path(), "outbox")));
    for _ in 0..8 {
        monitor.pass(Duration::from_secs(3_600));
        monitor.sees("camera", Status::Healthy);
        monitor.pass(Duration::from_secs(3_600));
        monitor.sees("camera", Status::Error);
    }
    let left = monitor.store.incidents(99).unwrap();
    assert!(left.iter().any(|it| it.id == 1 && it.is_open()), "{left:?}");
    let oldest = left.iter().filter(|it| !it.is_open()).map(|it| it.id).min();
    assert!(oldest > Some(60), "{oldest:?}");
}

/// What a database of the first version has beside it when it is asked for alerts: none, and no error.
#[test]
fn whoever_reads_an_older_database_finds_no_alerts() {
    let dir = tempfile::tempdir().unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/state-v1.db");
    std::fs::copy(golden, database(dir.path())).unwrap();
    let reader = Store::read_only(dir.path()).unwrap();
    assert_eq!((reader.incidents(9).unwrap(), reader.silences().unwrap()), (Vec::new(), Vec::new()));
    assert_eq!(reader.notices_of(&Subject::service("camera"), 9).unwrap(), []);
    assert_eq!(reader.alerts().unwrap().open_incidents().count(), 0);
    assert_eq!(reader.state().unwrap().len(), 2);
}
