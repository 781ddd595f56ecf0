//! What is asked, by us and by others.

use super::Server;
use crate::history::postgres::read;
use crate::history::suite::{self, at, beat, changed};
use crate::history::{Entry, HistoryStore, Record, Selection};
use health_reporter::Status::{Error, Healthy, Unknown};
use healthcheck_core::Subject;
use healthcheck_core::history::{Bin, Resolution, Window};
use jiff::{SignedDuration, Timestamp};

const ALWAYS: Window = Window { from: Timestamp::MIN, to: Timestamp::MAX };
const LAST_WEEK: &str = "SELECT heartbeat_timestamp, status, current_task FROM system_status_history
     WHERE service_name='camera' AND heartbeat_timestamp > NOW() - INTERVAL '7 days' ORDER BY heartbeat_timestamp DESC";

#[test]
fn it_is_as_every_other_store() {
    let server = Server::new();
    suite::every(&mut || Box::new(server.fresh().0));
}

/// The queries of those who had such tables before.
#[test]
fn their_own_queries_are_answered_by_an_index_and_only_from_the_months_they_ask_for() {
    let server = Server::new();
    let mut teller = server.teller(Record::Heartbeats);
    let now = Timestamp::now();
    for day in (0..80).rev() {
        let time = |hour: i64| (now - SignedDuration::from_hours(24 * day + hour)).to_string();
        let beats = (1..24).flat_map(|hour| {
            ["camera", "core", "wall"].map(|name| beat(name, &format!("day {day}"), &time(24 - hour)))
        });
        teller.tells(beats.collect::<Vec<_>>());
    }
    let rows = server.postgres.sql(LAST_WEEK);
    assert_eq!(rows.lines().count(), 7 * 23, "{rows}");
    assert!(rows.lines().next().unwrap().ends_with("|healthy|day 0"), "{rows}");
    server.ask("ANALYZE");
    let plan = server.ask(&format!("EXPLAIN (ANALYZE, COSTS OFF) {LAST_WEEK}"));
    assert!(plan.contains("Subplans Removed"), "{plan}");
    assert!(plan.contains("Index Cond: ((service_name = 'camera'"), "{plan}");
    // Only what is empty is read from its beginning.
    let is_read_whole = |line: &&str| line.contains("Seq Scan") && !line.contains("rows=0 ");
    assert_eq!(plan.lines().find(is_read_whole), None, "{plan}");
    assert_eq!(server.ask("SELECT status FROM system_status WHERE service_name='camera'"), "healthy");
    server.ask("INSERT INTO system_status (service_name, host, kind, status, cause, message, changed_at)
        SELECT 'other-' || n, 'deimos', 'service', 'healthy', 'self_reported', '', now() FROM generate_series(1, 5000) n;
        ANALYZE");
    let plan = server.ask("EXPLAIN SELECT * FROM system_status WHERE service_name='camera'");
    assert!(plan.contains("Index Scan using system_status_pkey"), "{plan}");
}

#[test]
fn uptime_is_answered_without_a_look_at_heartbeats() {
    let server = Server::new();
    let mut teller = server.teller(Record::Heartbeats);
    teller.tells([changed(1, "camera", Unknown, Healthy, "10:00:00")]);
    let beats = |hour: u32| {
        (0..3_600)
            .map(move |second| beat("camera", "", &format!("{hour}:{:02}:{:02}", second / 60, second % 60)))
    };
    (11..14).for_each(|hour| teller.tells(beats(hour).collect::<Vec<_>>()));
    teller.tells([changed(2, "camera", Healthy, Error, "15:00:00")]);
    server.ask("VACUUM ANALYZE");
    for sql in [read::MARKS_OF_ALL, read::MARKS_OF_ONE] {
        let given = [("$1", "NULL"), ("$2", "'service'"), ("$3", "'camera'")];
        let window = [("$4", "'2025-06-01 09:00+00'"), ("$5", "'2025-06-01 16:00+00'")];
        let asked =
            given.iter().chain(&window).fold(sql.to_owned(), |sql, (at, value)| sql.replace(at, value));
        let plan = server.ask(&format!("EXPLAIN (ANALYZE, COSTS OFF) {asked}"));
        let reads_heartbeats = |line: &&str| {
            line.contains("Seq Scan on system_status_history") && !line.contains("rows=0 loops")
        };
        assert_eq!(plan.lines().find(reads_heartbeats), None, "{plan}");
        assert!(plan.contains("Index Only Scan") && plan.contains("Heap Fetches: 0"), "{plan}");
    }
    let given = [("$1", "NULL"), ("$2", "NULL"), ("$3", "NULL")];
    let window = [("$4", "'2025-06-01 09:00+00'"), ("$5", "'2025-06-01 16:00+00'")];
    let asked = given
        .iter()
        .chain(&window)
        .fold(read::OPENINGS.to_owned(), |sql, (at, value)| sql.replace(at, value));
    let plan = server.ask(&format!("EXPLAIN (ANALYZE, COSTS OFF) {asked}"));
    assert!(!plan.contains("Rows Removed by Filter"), "{plan}");
}

/// A copy that another server takes, with everything in it, while it is written to.
#[test]
fn a_copy_is_everything_at_one_instant() {
    let server = Server::new();
    let mut teller = server.teller(Record::Changes);
    teller.tells([
        changed(1, "it's \\. \"\n", Unknown, Error, "10:00:00"),
        beat("camera", "a\ttab", "10:00:01"),
        Entry::Numbers {
            subject: Subject::service("camera"),
            metric: "a".into(),
            bin: Bin::of(at("10:00:00"), 0.1),
        },
        Entry::Seen(at("10:00:01")),
    ]);
    let path = server.dir.path().join("copy.sql");
    let writer = std::thread::spawn(move || {
        (0..20).for_each(|second| {
            teller.tells([beat("camera", &format!("task {second}"), &format!("11:00:{second:02}"))]);
        });
    });
    server.store().backup(&path).unwrap();
    writer.join().unwrap();
    server.ask("CREATE DATABASE another");
    server.psql_in("another", &["-1", "-f", path.to_str().unwrap()]).unwrap();
    let mut another = super::store(
        &server.url().replace("/postgres", "/another").replace("postgres://another", "postgres://postgres"),
    );
    let mut original = server.store();
    let of = Selection::default();
    let status = |store: &mut super::PostgresStore| store.statuses(&of).unwrap().pop().unwrap();
    assert_eq!(status(&mut another), status(&mut original));
    let series = |store: &mut super::PostgresStore| store.series(&of, Resolution::Minute, ALWAYS).unwrap();
    assert_eq!(series(&mut another), series(&mut original));
    let origin = suite::Teller::new(Box::new(server.store()), Record::Changes).origin;
    let position = another.position(&origin).unwrap();
    let rows = server
        .psql_in("another", &["-c", "SELECT count(*), sum(heartbeats) FROM system_status_history"])
        .unwrap();
    assert_eq!(rows, format!("{}|{}", position.batch + 1, position.batch));
    let mut teller = suite::Teller::new(Box::new(another), Record::Changes);
    teller.position = position;
    teller.tells([changed(2, "camera", Healthy, Error, "12:00:00")]);
}
